"""The difference of two programs, profiles or traces, in words."""

from pathlib import Path

import msgspec

from gotoolforge.errors import UnreadableError
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.profile import load_profile
from gotoolforge.seccomp.trace import load_trace


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side: what kind of thing it is, its calls, and for a program the path to each."""

    label: str
    kind: str
    names: frozenset[str]
    paths: dict[str, tuple[str, ...]] = {}
    conditions: dict[str, str] = {}


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A call that is on one side only ("added", "removed"), or with other conditions."""

    name: str
    kind: str
    words: str


def load_side(path: Path) -> Side:
    """A program, a profile, or a trace, told apart by its content."""
    try:
        with path.open("rb") as handle:
            start = handle.read(4)
    except OSError as error:
        what = f"cannot read {path}: {error.strerror}"
        raise UnreadableError(what, hint="is the name right?") from error
    if start == b"\x7fELF":
        listing = list_calls(path)
        paths = {one.name: one.path for one in reversed(listing.uses) if one.path}
        label = f"{path} ({_go_version(path) or listing.arch})"
        return Side(label=label, kind="program", names=frozenset(paths), paths=paths)
    if b'"gotoolforge-trace"' in path.read_bytes():
        trace = load_trace(path)
        paths = {one.name: one.stack[::-1] for one in trace.own.calls.values()}
        return Side(label=str(path), kind="trace", names=trace.names, paths=paths)
    profile = load_profile(path)
    rules = [one for one in profile.syscalls if one.action in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")]
    conditions: dict[str, str] = {}
    for rule in rules:
        for name in rule.names if rule.args else ():
            text = " and ".join(f"argument {c.index} {c.op} {c.value:#x}" for c in rule.args or ())
            conditions[name] = " or ".join(filter(None, (conditions.get(name), text)))
    names = frozenset(name for rule in rules for name in rule.names)
    return Side(label=str(path), kind="profile", names=names, conditions=conditions)


def differences(before: Side, after: Side) -> tuple[Change, ...]:
    """What the second has and the first has not, and the other way round."""
    found = []
    for name in sorted(after.names - before.names):
        found.append(Change(name=name, kind="added", words=_words(after, name)))
    for name in sorted(before.names - after.names):
        found.append(Change(name=name, kind="removed", words=_words(before, name)))
    for name in sorted(before.names & after.names):
        old, new = before.conditions.get(name, ""), after.conditions.get(name, "")
        if old != new and before.kind == after.kind:
            words = f"was {old or 'unconditional'}, is {new or 'unconditional'}"
            found.append(Change(name=name, kind="changed", words=words))
    return tuple(found)


def _words(side: Side, name: str) -> str:
    path = side.paths.get(name, ())
    return f"through {' -> '.join(path[-4:])}" if path else ""


def _go_version(path: Path) -> str:
    from gotoolforge.elf import BrokenElfError, NotElfError, read_elf

    try:
        go = read_elf(path).go
    except (OSError, NotElfError, BrokenElfError):
        return ""
    return go.version if go else ""
