"""Watching beside a profile, on the lines that bpftrace would print."""

import json
from collections.abc import Callable
from pathlib import Path

from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.profile import Condition, Profile, Rule
from gotoolforge.seccomp.watching import (
    Outside,
    Watcher,
    difference,
    tightened,
    widened,
)  # fmt: skip
from gotoolforge.seccomp.witness_ebpf import Reader

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"


def profile(*names: str, refused: tuple[str, ...] = ()) -> Profile:
    rules = (Rule(names=names, action=ALLOW), Rule(names=refused, action=ERRNO, errnoRet=38))
    return Profile(defaultAction=ERRNO, syscalls=rules if refused else rules[:1])


def watcher_of(
    profile: Profile, threshold: int, quiet: float, tell: Callable[[Outside], None]
) -> Watcher:
    return Watcher(Path("/absent"), 7, profile, tell, threshold=threshold, quiet=quiet)


def lines(watcher: Watcher, counts: dict[str, int], now: float) -> bool:
    """As bpftrace prints them: counts from the beginning."""
    calls = numbers.calls_of(numbers.host_arch())
    for name, times in counts.items():
        watcher.reader.line(f"@n[7, 0, {calls[name]}, 0]: {times}")
    return watcher.tick(now)


def test_what_is_outside_is_told_from_the_threshold_on() -> None:
    told: list[Outside] = []
    watcher = watcher_of(profile("read", "write"), 3, 1e9, told.append)
    start = watcher._tick
    lines(watcher, {"read": 9, "socket": 2}, start + 1)
    assert told == []
    lines(watcher, {"socket": 6}, start + 3)
    assert [(one.name, one.count, one.rate) for one in told] == [("socket", 6, 2.0)]
    lines(watcher, {"read": 10}, start + 4)
    assert len(told) == 1
    made = watcher.result("p.json")
    assert (made.wider, made.seen, made.unseen) == (True, ("read", "socket"), ("write",))
    assert '+        "socket"' in made.proposal
    assert "-" not in {line[0] for line in made.proposal.splitlines() if "names" in line}


def test_it_ends_when_nothing_new_was_outside() -> None:
    watcher = watcher_of(profile("read"), 1, 5, lambda _: None)
    start = watcher._tick
    assert not lines(watcher, {"socket": 1}, start + 4)
    assert not lines(watcher, {"socket": 2}, start + 8)
    assert lines(watcher, {"socket": 3}, start + 9.5)


def test_nothing_outside_proposes_less_and_keeps_what_an_end_needs() -> None:
    watcher = watcher_of(
        profile("exit_group", "read", "rt_sigreturn", "write"), 1, 5, lambda _: None
    )
    watcher.reader.line(f"@n[7, 0, {numbers.calls_of(numbers.host_arch())['read']}, 0]: 1")
    made = watcher.result("p.json")
    assert (made.outside, made.unseen, made.wider) == ((), ("write",), False)
    assert '-        "write"' in made.proposal


def test_a_wider_profile_undoes_a_rule_that_refuses() -> None:
    before = profile("read", refused=("clone3", "statx"))
    after = widened(before, {"statx"})
    assert after.syscalls[0].names == ("read", "statx")
    assert after.syscalls[1].names == ("clone3",)
    only = Condition(index=0, value=1, op="SCMP_CMP_EQ")
    part = Profile(defaultAction=ERRNO, syscalls=(Rule(names=("socket",), action=ALLOW,
                                                       args=(only,)),))  # fmt: skip
    assert widened(part, {"bind"}).syscalls[1] == Rule(names=("bind",), action=ALLOW)
    assert tightened(before, {"read"}).syscalls == before.syscalls[1:]
    assert difference(before, before, "p.json") == ""
    assert json.loads(json.dumps(difference(before, after, "p.json"))).startswith("--- p.json")


def test_each_image_of_a_process_is_told_apart_by_what_is_known_of_it() -> None:
    """As bpftrace prints its maps, in any order: a child's calls may come before its birth."""
    calls = numbers.calls_of(numbers.host_arch())
    reader = Reader(Path("/absent"), 7, running=False)
    said = [
        f"@n[8, 2, {calls['brk']}, 0]: 3", f"@n[8, 1, {calls['dup3']}, 0]: 1",
        f"@n[7, 0, {calls['read']}, 0]: 5", f"@n[7, 1, {calls['mmap']}, 0]: 2",
        f"@n[9, 1, {calls['close']}, 0]: 4",
    ]  # fmt: skip
    for text in said:
        reader.line(text)
    assert reader.images().own.calls == {}
    for text in ("@x[8, 2]: /bin/other", "@f[8, 1, 7, 1]: 1", "@x[7, 1]: /absent", *said):
        reader.line(text)
    made = reader.images()
    assert {one.name: one.count for one in made.own.calls.values()} == {"dup3": 1, "mmap": 2}
    assert [(one.program, set(one.calls)) for one in made.others()] == [("/bin/other", {"brk"})]
    # A call of unknown origin is the program's own in the end: too many are better than too few.
    assert "close" in reader.images(final=True).own.calls
