"""System calls that a program needs and a server refuses, and a filter that refuses the same."""

import errno
from pathlib import Path

from gotoolforge.errors import SnapshotError, TargetError, UnreadableError
from gotoolforge.finding import Finding, Severity
from gotoolforge.parity.binary import TIME64
from gotoolforge.parity.snapshot import Snapshot
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.profile import Profile, Rule

_PREFIX = "syscall."
# What each answer means for a Go program. ENOSYS is what an old kernel says, and what packages
# expect: they fall back. EPERM they take for an answer.
_SEVERITY: dict[str, Severity] = {
    "killed": "error",
    "EPERM": "warning",
    "EACCES": "warning",
    "ENOSYS": "note",
}


def refused(server: Snapshot) -> dict[str, str]:
    """Calls that the server was seen to refuse, and its answers."""
    return {
        key.removeprefix(_PREFIX): entry.value
        for key, entry in server.entries.items()
        if key.startswith(_PREFIX) and entry.value in _SEVERITY
    }


def needed_calls(path: Path, server: Snapshot) -> list[Finding]:
    """Calls that the program can reach, by its code, and that the server refuses."""
    # The comparison of the binary has a finding of its own for those of 64-bit time.
    answers = {name: word for name, word in refused(server).items() if name not in TIME64}
    if not answers:
        return []
    try:
        listing = list_calls(path)
    except (TargetError, UnreadableError) as error:
        message = f"which system calls it needs cannot be read: {error.what}"
        return [Finding(check="binary.syscalls", severity="note", message=message)]
    found = []
    for name in sorted(answers.keys() & set(listing.reachable)):
        owner = next(one.owner for one in listing.uses if one.name == name and one.path)
        message = f"{owner} can call {name}; the server answers {answers[name]}"
        advice = "" if answers[name] == "ENOSYS" else "allow it in the server's seccomp profile"
        severity = _SEVERITY[answers[name]]
        check = f"binary.syscall.{name}"
        found.append(Finding(check=check, severity=severity, message=message, advice=advice))
    return found


def captured_profile(server: Snapshot) -> Profile:
    """A profile that refuses here what the server was seen to refuse, and nothing else.

    The calls that were not tried there are allowed. Raises SnapshotError if none was tried.
    """
    if not any(key.startswith(_PREFIX) and e.value for key, e in server.entries.items()):
        what = "the snapshot does not say which system calls answer there"
        raise SnapshotError(what, hint="capture it with the probe, or give --seccomp a profile")
    rules = []
    for name, answer in refused(server).items():
        if answer == "killed":
            rules.append(Rule(names=(name,), action="SCMP_ACT_KILL_PROCESS"))
        else:
            number = getattr(errno, answer)
            rules.append(Rule(names=(name,), action="SCMP_ACT_ERRNO", errnoRet=number))
    arch = numbers.architectures()[numbers.host_arch()].scmp
    return Profile(defaultAction="SCMP_ACT_ALLOW", architectures=(arch,), syscalls=tuple(rules))
