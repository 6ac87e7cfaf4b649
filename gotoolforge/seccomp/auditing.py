"""Holes in a profile, found by asking its own filter. Data: `recipes/seccomp/holes.toml`."""

import errno

import msgspec

from gotoolforge import paths
from gotoolforge.seccomp import bpf, numbers
from gotoolforge.seccomp.profile import Profile, unknown_names
from gotoolforge.tables import Row, load_table

_X32_BIT = 0x40000000
_LETS = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
_NAMESPACES = ("unshare", "clone", "clone3")


class Hole(Row, frozen=True):
    """One question to a filter; see the head of holes.toml."""

    call: str
    severity: str
    why: str
    args: tuple[int, ...] = ()
    arch: str = ""
    want: int = 0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A hole that is open. `answer` is what the filter's simulation returned."""

    call: str
    arch: str
    severity: str
    answer: str
    why: str


def audit(profile: Profile, arch: str) -> tuple[Found, ...]:
    """The holes of a resolved profile on an architecture."""
    table = load_table(paths.recipes_dir() / "seccomp" / "holes.toml", dict[str, tuple[Hole, ...]])
    program = bpf.compile_profile(profile)
    found = [one for hole in table["hole"] if (one := _ask(program, hole, arch))]
    if profile.defaultAction in _LETS:
        found.insert(0, Found(call="*", arch=arch, severity="error", answer=profile.defaultAction,
                              why="calls that nobody thought of are allowed"))  # fmt: skip
    namespaces = [one.call for one in found if one.call in _NAMESPACES and one.arch == arch]
    opened = {one.call for one in found if one.answer in _LETS}
    if "mount" in opened and (way := next((n for n in namespaces if n in opened), "")):
        why = "CAP_SYS_ADMIN can be had without being given: a user namespace, then mount"
        found.append(Found(call=f"{way}, mount", arch=arch, severity="error",
                           answer="SCMP_ACT_ALLOW", why=why))  # fmt: skip
    found += [
        Found(call=name, arch=arch, severity="warning", answer="ignored",
              why="no architecture has such a call; runtimes skip the name")
        for name in unknown_names(profile)
    ]  # fmt: skip
    return tuple(found)


def _ask(program: bpf.Program, hole: Hole, arch: str) -> Found | None:
    """The answer to one row if it is a hole; None if it is closed, or not of this machine."""
    family = {"amd64": ("amd64", "386", "x32"), "arm64": ("arm64", "arm")}.get(arch, (arch,))
    asked = hole.arch or arch
    if asked not in family:
        return None
    real = "amd64" if asked == "x32" else asked
    if hole.call not in numbers.calls_of(real):
        return None
    number = numbers.calls_of(real)[hole.call] | (_X32_BIT if asked == "x32" else 0)
    action, code = bpf.action_of(bpf.simulate(program, number, real, hole.args))
    refused_wrongly = action == "SCMP_ACT_ERRNO" and code != hole.want
    if refused_wrongly if hole.want else action in _LETS:
        answer = errno.errorcode.get(code, str(code)) if action == "SCMP_ACT_ERRNO" else action
        return Found(call=hole.call, arch=asked, severity=hole.severity, answer=answer,
                     why=hole.why)  # fmt: skip
    return None
