"""What a running program calls outside its profile, live, and the profile that would suit it.

A filter of a running process can only be made tighter; what is proposed is for the next start.
"""

import difflib
import math
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gotoolforge.errors import ToolchainError
from gotoolforge.seccomp import ebpf
from gotoolforge.seccomp.compare import kernel_made
from gotoolforge.seccomp.profile import Profile, Rule, profile_json, verdict
from gotoolforge.seccomp.trace import Images, Seen
from gotoolforge.seccomp.witness_ebpf import Reader

_STEP = 1.0
_ALLOW = "SCMP_ACT_ALLOW"
# A running program was not seen to start or to end, and it needs these to do so.
_ENDS = {"execve", "exit", "exit_group", *kernel_made()}


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """A call that the profile does not allow: how often so far, how often a second of late."""

    name: str
    count: int
    rate: float
    stack: tuple[str, ...]


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `proposal` is a unified diff of the profile, empty if it suits.

    `unseen` are calls that the profile allows and that were never seen.
    """

    outside: tuple[Outside, ...]
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    wider: bool
    proposal: str


class Watcher:
    """Counts what a process calls, and tells of what its profile does not allow."""

    def __init__(
        self, program: Path, pid: int, profile: Profile, tell: Callable[[Outside], None], *,
        threshold: int, quiet: float,
    ) -> None:  # fmt: skip
        self.pid, self.profile, self._tell = pid, profile, tell
        self.threshold, self.quiet = threshold, quiet
        self.reader = Reader(program, pid, running=True)
        self._before: dict[str, int] = {}
        self._news = self._tick = time.monotonic()

    def follow(self, seconds: float | None) -> None:
        """Until the process ends, the time is over, or it is quiet. Raises ToolchainError."""
        hint = "`seccomp trace --with strace --pid N` needs less"
        if missing := ebpf.available():
            raise ToolchainError(missing, hint=hint)
        watching = ebpf.Watching(self.pid, self.reader.line)
        try:
            if not watching.wait():
                what = "bpftrace did not begin to watch"
                raise ToolchainError(what, hint=hint)
            self._news = self._tick = time.monotonic()
            limit = self._tick + (seconds or math.inf)
            quiet = False
            while self._runs() and watching.alive and time.monotonic() < limit and not quiet:
                watching.ask()
                time.sleep(_STEP)
                quiet = self.tick(time.monotonic())
        finally:
            said = watching.end()
        if said:
            what = f"bpftrace ended with {said}: what was called is not known to the end"
            raise ToolchainError(what, hint=hint)

    def _runs(self) -> bool:
        return Path(f"/proc/{self.pid}/exe").exists()

    def tick(self, now: float) -> bool:
        """Some time has passed: tell of what is new outside the profile. True if it is quiet."""
        passed = max(now - self._tick, 0.001)
        self._tick = now
        for one in self._beyond(self.reader.images()):
            before = self._before.get(one.name, 0)
            if one.count >= self.threshold and one.count > before:
                rate = (one.count - before) / passed
                self._tell(_outside(one, rate))
                if before < self.threshold:
                    self._news = now
            self._before[one.name] = one.count
        return now - self._news >= self.quiet

    def _beyond(self, images: Images) -> list[Seen]:
        calls = images.own.calls.values()
        return [one for one in calls if verdict(self.profile, one.name).allowed == "no"]

    def result(self, label: str) -> Watched:
        """What was seen, and the profile that it makes for."""
        images = self.reader.images(final=True)
        outside = [one for one in self._beyond(images) if one.count >= self.threshold]
        seen = set(images.own.calls)
        allowed = {n for rule in self.profile.syscalls if rule.action == _ALLOW for n in rule.names}
        unseen = allowed - seen - _ENDS
        add = {one.name for one in outside}
        proposed = widened(self.profile, add) if add else tightened(self.profile, unseen)
        return Watched(
            outside=tuple(_outside(one, 0.0) for one in outside), seen=tuple(sorted(seen)),
            unseen=tuple(sorted(unseen)), wider=bool(add),
            proposal=difference(self.profile, proposed, label),
        )  # fmt: skip


def _outside(one: Seen, rate: float) -> Outside:
    return Outside(name=one.name, count=one.count, rate=round(rate, 1), stack=one.stack)


def widened(profile: Profile, names: set[str]) -> Profile:
    """The profile with these calls allowed besides; rules that refuse them by name are undone."""
    rules = []
    for rule in profile.syscalls:
        left = rule.names if rule.action == _ALLOW else tuple(set(rule.names) - names)
        if left:
            rules.append(msgspec.structs.replace(rule, names=tuple(sorted(left))))
    for place, rule in enumerate(rules):
        if rule.action == _ALLOW and not rule.args and not rule.includes and not rule.excludes:
            more = tuple(sorted({*rule.names, *names}))
            rules[place] = msgspec.structs.replace(rule, names=more)
            break
    else:
        rules.append(Rule(names=tuple(sorted(names)), action=_ALLOW))
    return msgspec.structs.replace(profile, syscalls=tuple(rules))


def tightened(profile: Profile, names: set[str]) -> Profile:
    """The profile without these calls among those that it allows."""
    rules = []
    for rule in profile.syscalls:
        left = tuple(sorted(set(rule.names) - names)) if rule.action == _ALLOW else rule.names
        if left:
            rules.append(msgspec.structs.replace(rule, names=left))
    return msgspec.structs.replace(profile, syscalls=tuple(rules))


def difference(before: Profile, after: Profile, label: str) -> str:
    """Two profiles as a unified diff of their JSON, one name a line."""
    old, new = (profile_json(one).decode().splitlines(keepends=True) for one in (before, after))
    return "".join(difflib.unified_diff(old, new, fromfile=label, tofile=f"{label} (proposed)"))
