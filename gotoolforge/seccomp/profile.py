"""OCI seccomp profiles: reading them strictly, and what a profile says of one call.

Format: the OCI runtime specification's `linux.seccomp`, and Docker's additions to it (`archMap`,
`includes`, `excludes`), which are resolved for an architecture and a set of capabilities.
"""

from pathlib import Path

import msgspec

from gotoolforge import jsontext
from gotoolforge.errors import UnreadableError, UsageError
from gotoolforge.seccomp import numbers

# Actions of seccomp(2), by OCI's names; the low 16 bits hold an errno or a tracer's word.
ACTIONS = {
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_KILL": 0x00000000,
    "SCMP_ACT_KILL_THREAD": 0x00000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
OPERATORS = ("SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_GT",
             "SCMP_CMP_GE", "SCMP_CMP_MASKED_EQ")  # fmt: skip
FLAGS = ("SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
         "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV")  # fmt: skip
EPERM, ENOSYS = 1, 38
# What Docker, containerd and podman leave a container by default (podman leaves fewer).
DEFAULT_CAPABILITIES = frozenset(
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FSETID CAP_FOWNER CAP_MKNOD CAP_NET_RAW CAP_SETGID CAP_SETUID "
    "CAP_SETFCAP CAP_SETPCAP CAP_NET_BIND_SERVICE CAP_SYS_CHROOT CAP_KILL CAP_AUDIT_WRITE".split()
)
_SPEC_ARCHES = frozenset(
    "SCMP_ARCH_X32 SCMP_ARCH_S390 SCMP_ARCH_PPC SCMP_ARCH_PPC64 SCMP_ARCH_PARISC "
    "SCMP_ARCH_PARISC64 SCMP_ARCH_MIPS64N32 SCMP_ARCH_MIPSEL64N32 SCMP_ARCH_M68K SCMP_ARCH_SH "
    "SCMP_ARCH_SHEB".split()
)


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A comparison of one argument (`index` 0 to 5), as 64-bit unsigned numbers."""

    index: int
    value: int
    op: str
    valueTwo: int = 0


class Needs(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Docker's conditions on a rule: capabilities, architectures (Go's names), a kernel."""

    caps: tuple[str, ...] = ()
    arches: tuple[str, ...] = ()
    minKernel: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An action for some calls, if all `args` hold."""

    names: tuple[str, ...]
    action: str
    errnoRet: int | None = None
    args: tuple[Condition, ...] | None = None
    comment: str = ""
    includes: Needs | None = None
    excludes: Needs | None = None
    errno: str = ""


class ArchMap(msgspec.Struct, frozen=True, kw_only=True):
    """Docker: an architecture, and those that come with it."""

    architecture: str
    subArchitectures: tuple[str, ...] | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole profile. Field names are those of the OCI runtime specification."""

    defaultAction: str
    defaultErrnoRet: int | None = None
    defaultErrno: str = ""
    architectures: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    listenerPath: str = ""
    listenerMetadata: str = ""
    archMap: tuple[ArchMap, ...] | None = None
    syscalls: tuple[Rule, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile does to one call: `allowed` yes, no, or only with some arguments."""

    allowed: str
    action: str
    errno: int | None = None
    conditions: tuple[Condition, ...] = ()


def load_profile(path: Path) -> Profile:
    """Read a profile and hold it against the specification.

    Raises UnreadableError or UsageError, naming the file and what is wrong in it.
    """
    hint = "the OCI runtime specification, config-linux.md, describes the format"
    try:
        profile = msgspec.json.decode(path.read_bytes(), type=Profile)
    except OSError as error:
        what = f"cannot read {path}: {error.strerror}"
        raise UnreadableError(what, hint="is the name right?") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        what = f"{path} is no seccomp profile: {error}"
        raise UsageError(what, hint=hint) from error
    wrong = faults(profile)
    if wrong:
        what = f"{path} is no valid profile: " + "; ".join(wrong)
        raise UsageError(what, hint=hint)
    return profile


def faults(profile: Profile) -> list[str]:
    """What the kernel or an OCI runtime would refuse, in words."""
    found = []
    actions = {profile.defaultAction, *(one.action for one in profile.syscalls)}
    found += [f"unknown action {one!r}" for one in sorted(actions - set(ACTIONS))]
    known = {row.scmp for row in numbers.architectures().values()} | _SPEC_ARCHES
    found += [f"unknown architecture {one!r}" for one in profile.architectures if one not in known]
    found += [f"unknown flag {one!r}" for one in profile.flags if one not in FLAGS]
    for rule in profile.syscalls:
        for one in rule.args or ():
            if one.op not in OPERATORS:
                found.append(f"unknown operator {one.op!r} in the rule of {rule.names[0]}")
            if not 0 <= one.index <= 5:
                found.append(f"{rule.names[0]} has no argument {one.index}: there are 0 to 5")
            if not 0 <= one.value < 1 << 64 or not 0 <= one.valueTwo < 1 << 64:
                found.append(f"{rule.names[0]}: a value does not fit 64 bits without a sign")
        if not rule.names:
            found.append("a rule without names")
    return found


def unknown_names(profile: Profile) -> tuple[str, ...]:
    """Names that no architecture of our tables has: libseccomp and OCI runtimes ignore them."""
    named = {name for rule in profile.syscalls for name in rule.names}
    return tuple(sorted(named - numbers.every_name()))


def resolve(profile: Profile, arch: str, caps: frozenset[str] = DEFAULT_CAPABILITIES) -> Profile:
    """Docker's additions taken away: the plain profile for one architecture and capabilities.

    One that names no architecture is for the machine's own, as libseccomp has it.
    """
    scmp = numbers.architectures()[arch].scmp
    arches = profile.architectures
    for one in profile.archMap or ():
        if one.architecture == scmp:
            arches = (scmp, *(one.subArchitectures or ()))
    rules = tuple(
        msgspec.structs.replace(rule, includes=None, excludes=None, comment="")
        for rule in profile.syscalls
        if _applies(rule, arch, caps)
    )
    return msgspec.structs.replace(
        profile, archMap=None, architectures=arches or (scmp,), syscalls=rules
    )


def _applies(rule: Rule, arch: str, caps: frozenset[str]) -> bool:
    wanted, unwanted = rule.includes or Needs(), rule.excludes or Needs()
    names = {arch, {"386": "x86"}.get(arch, arch), *_subs(arch)}
    return (
        set(wanted.caps) <= caps
        and (not wanted.arches or bool(names.intersection(wanted.arches)))
        and not caps.intersection(unwanted.caps)
        and not names.intersection(unwanted.arches)
    )


def _subs(arch: str) -> set[str]:
    # Docker names x32 by "x32"; rules for it come with amd64.
    return {"x32"} if arch == "amd64" else set()


def verdict(profile: Profile, name: str) -> Verdict:
    """What a resolved profile does to a call.

    As in libseccomp a rule without conditions is stronger than those with conditions.
    """
    rules = [rule for rule in profile.syscalls if name in rule.names]
    plain = next((rule for rule in rules if not rule.args), None)
    if plain is not None:
        allowed = "yes" if plain.action in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG") else "no"
        return Verdict(allowed=allowed, action=plain.action, errno=_errno(plain, profile))
    lets = profile.defaultAction in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")
    action, errno = profile.defaultAction, _default_errno(profile)
    if not rules:
        return Verdict(allowed="yes" if lets else "no", action=action, errno=errno)
    conditions = tuple(one for rule in rules for one in rule.args or ())
    return Verdict(allowed="in part", action=action, errno=errno, conditions=conditions)


def _errno(rule: Rule, profile: Profile) -> int | None:
    if rule.action != "SCMP_ACT_ERRNO":
        return None
    return rule.errnoRet if rule.errnoRet is not None else (_default_errno(profile) or EPERM)


def _default_errno(profile: Profile) -> int | None:
    if profile.defaultAction != "SCMP_ACT_ERRNO":
        return None
    return profile.defaultErrnoRet if profile.defaultErrnoRet is not None else EPERM


def action_word(action: str, errno: int | None) -> int:
    """An action as the kernel's filter returns it."""
    word = ACTIONS[action]
    return word | (errno if errno is not None else EPERM) if action == "SCMP_ACT_ERRNO" else word


def profile_json(profile: Profile) -> bytes:
    """The profile as a file's content."""
    return jsontext.document(msgspec.to_builtins(profile))
