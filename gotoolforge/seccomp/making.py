"""A profile for a program: what reading and running showed, and what its start needs, each with
its reason."""

from functools import cache

import msgspec

from gotoolforge import paths
from gotoolforge.errors import UsageError
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.compare import Comparison, compare, kernel_made
from gotoolforge.seccomp.listing import Listing
from gotoolforge.seccomp.profile import ENOSYS, EPERM, Condition, Profile, Rule
from gotoolforge.seccomp.trace import Trace
from gotoolforge.tables import Row, load_table

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of <linux/sched.h>.
NAMESPACES = 0x7E020000
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
# Calls without which programs do, if the answer is ENOSYS and not EPERM.
_FALL_BACK = ("close_range", "faccessat2", "fchmodat2", "futex_time64", "clock_gettime64",
              "openat2", "statx")  # fmt: skip
STANDS_ON = {"containerd": "runc", "docker": "runc", "podman": "crun"}
RUNTIMES = ("runc", "crun", "containerd", "podman", "docker", "none")


class Runtime(Row, frozen=True):
    """What one version of a runtime calls before the program starts."""

    name: str
    version: str
    calls: tuple[str, ...]


class Reason(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a call is in the profile, and the path to it.

    `source` is listing, trace, child, runtime or kernel.
    """

    source: str
    why: str
    path: tuple[str, ...] = ()


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A profile, a reason for each of its names, and what else a person should know."""

    profile: Profile
    reasons: dict[str, Reason]
    comparison: Comparison | None
    notes: tuple[str, ...]


@cache
def runtimes() -> tuple[Runtime, ...]:
    """The rows of recipes/seccomp/runtimes.toml."""
    path = paths.recipes_dir() / "seccomp" / "runtimes.toml"
    return load_table(path, dict[str, tuple[Runtime, ...]])["runtime"]


def runtime_row(word: str) -> Runtime | None:
    """The row for `runc`, `runc@1.1.5`, `containerd` ...; None for `none`.

    Raises UsageError for a runtime that was never measured.
    """
    name, _, version = word.partition("@")
    if name == "none":
        return None
    rows = [row for row in runtimes() if row.name == STANDS_ON.get(name, name)]
    if not rows:
        what = f"no runtime is called {name!r}"
        raise UsageError(what, hint=f"one of {', '.join(RUNTIMES)}")
    return next((row for row in rows if row.version.startswith(version or "?")), rows[-1])


def make_profile(
    listing: Listing, traces: tuple[Trace, ...], runtime: str, *, loose: bool = False
) -> Made:
    """The profile that allows what the program can call, and nothing else."""
    row = runtime_row(runtime)
    comparison = compare(listing, traces) if traces else None
    reasons = _reasons(listing, traces, row)
    notes = list(listing.unsure)
    if row and "@" in runtime and not row.version.startswith(runtime.partition("@")[2]):
        notes.append(f"{runtime} was not measured; taken to be like {row.name} {row.version}")
    special: list[Rule] = []
    if not loose:
        special += _clone(reasons, traces, listing.arch, notes)
        special += _sockets(reasons, listing, traces, notes)
    apart = {name for rule in special for name in rule.names}
    plain = tuple(sorted(set(reasons) - apart))
    arch = numbers.architectures()[listing.arch]
    profile = Profile(
        defaultAction="SCMP_ACT_ERRNO",
        defaultErrnoRet=EPERM,
        architectures=(arch.scmp, *arch.sub),
        syscalls=(Rule(names=plain, action="SCMP_ACT_ALLOW"), *special),
    )
    return Made(
        profile=profile, reasons=dict(sorted(reasons.items())), comparison=comparison,
        notes=tuple(notes),
    )  # fmt: skip


def _reasons(listing: Listing, traces: tuple[Trace, ...], row: Runtime | None) -> dict[str, Reason]:
    reasons: dict[str, Reason] = {}
    for use in listing.uses:
        if use.path and use.name not in reasons:
            why = f"{use.owner} makes it"
            reasons[use.name] = Reason(source="listing", why=why, path=use.path)
    for trace in traces:
        for name in sorted(trace.names - set(reasons) - set(kernel_made())):
            why = f"seen by {trace.witness}, and not found by reading the program"
            reasons[name] = Reason(source="trace", why=why)
    for trace in traces:
        for other in trace.others:
            for name in sorted(set(other.calls) - set(reasons)):
                why = f"a child that became {other.program} made it, under the same filter"
                reasons[name] = Reason(source="child", why=why)
    for name in row.calls if row else ():
        why = f"{row.name if row else ''} {row.version if row else ''} calls it before the start"
        reasons.setdefault(name, Reason(source="runtime", why=why))
    for name, made in kernel_made().items():
        if name != "execve":
            reasons.setdefault(name, Reason(source="kernel", why=made.reason))
    # Every libc may fall back on clone from clone3, which is answered ENOSYS.
    reasons.pop("clone3", None)
    return reasons


def _clone(
    reasons: dict[str, Reason], traces: tuple[Trace, ...], arch: str, notes: list[str]
) -> list[Rule]:
    absent = ("clone3", *(name for name in _FALL_BACK if name not in reasons))
    rules = [Rule(names=absent, action="SCMP_ACT_ERRNO", errnoRet=ENOSYS)]
    words = [
        word for trace in traces if (one := trace.own.calls.get("clone")) for word in one.arguments
    ]
    if "clone" not in reasons:
        return rules
    if any("CLONE_NEW" in word or "namespaces" in word for word in words):
        notes.append("clone is allowed with namespace flags, since a trace shows them")
        return rules
    # The flags are the second argument on s390 (CONFIG_CLONE_BACKWARDS2).
    place = 1 if arch == "s390x" else 0
    condition = Condition(index=place, value=NAMESPACES, valueTwo=0, op="SCMP_CMP_MASKED_EQ")
    return [*rules, Rule(names=("clone",), action="SCMP_ACT_ALLOW", args=(condition,))]


def _sockets(
    reasons: dict[str, Reason], listing: Listing, traces: tuple[Trace, ...], notes: list[str]
) -> list[Rule]:
    """One rule a family: of two conditions on one argument runc makes alternatives."""
    if "socket" not in reasons:
        return []
    strangers = [one for one in listing.socket_askers if not one.startswith("net.")]
    seen = {
        word for trace in traces if (one := trace.own.calls.get("socket")) for word in one.arguments
    }
    if strangers:
        notes.append(
            f"socket is allowed with every family, since {strangers[0]} asks for one that reading "
            "does not tell"
        )
        return []
    if not seen <= set(_FAMILIES):
        notes.append("socket is allowed with every family, since a trace shows unusual ones")
        return []
    return [
        Rule(
            names=("socket",), action="SCMP_ACT_ALLOW",
            args=(Condition(index=0, value=family, op="SCMP_CMP_EQ"),),
        )
        for family in _FAMILIES.values()
    ]  # fmt: skip


def how_to_apply(path: str) -> tuple[str, ...]:
    """How each engine is told to use a profile file."""
    name = path.rpartition("/")[2]
    return (
        f"docker run --security-opt seccomp={path} IMAGE",
        f"podman run --security-opt seccomp={path} IMAGE",
        f"ctr run --seccomp --seccomp-profile {path} IMAGE NAME   (containerd)",
        f"Kubernetes, CRI: copy it to /var/lib/kubelet/seccomp/{name} on each node, then\n"
        "    securityContext:\n      seccompProfile:\n        type: Localhost\n"
        f"        localhostProfile: {name}",
        f"gotoolforge seccomp run --profile {path} -- PROGRAM",
    )
