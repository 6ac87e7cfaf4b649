"""Watching beside a profile, on the lines that bpftrace would print."""

import json

import pytest

from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.profile import Condition, Profile, Rule
from gotoolforge.seccomp.watching import (
    Outside,
    Watcher,
    _Quiet,
    difference,
    tightened,
    widened,
)  # fmt: skip

ALLOW, ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"


def profile(*names: str, refused: tuple[str, ...] = ()) -> Profile:
    rules = (Rule(names=names, action=ALLOW), Rule(names=refused, action=ERRNO, errnoRet=38))
    return Profile(defaultAction=ERRNO, syscalls=rules if refused else rules[:1])


def lines(watcher: Watcher, counts: dict[str, int], now: float) -> None:
    calls = numbers.calls_of(numbers.host_arch())
    for name, times in counts.items():
        watcher.reader.line(f"@n[7, 0, {calls[name]}, 0]: {times}")
    watcher.tick(now)


def test_what_is_outside_is_told_from_the_threshold_on() -> None:
    told: list[Outside] = []
    watcher = Watcher(profile("read", "write"), 3, 1e9, told.append)
    start = watcher._tick
    lines(watcher, {"read": 9, "socket": 2}, start + 1)
    assert told == []
    lines(watcher, {"socket": 4}, start + 3)
    assert [(one.name, one.count, one.rate) for one in told] == [("socket", 6, 2.0)]
    lines(watcher, {"read": 1}, start + 4)
    assert len(told) == 1
    made = watcher.result("p.json")
    assert (made.wider, made.seen, made.unseen) == (True, ("read", "socket"), ("write",))
    assert '+        "socket"' in made.proposal
    assert "-" not in {line[0] for line in made.proposal.splitlines() if "names" in line}


def test_it_ends_when_nothing_new_was_outside() -> None:
    watcher = Watcher(profile("read"), 1, 5, lambda _: None)
    start = watcher._tick
    lines(watcher, {"socket": 1}, start + 4)
    lines(watcher, {"socket": 1}, start + 8)
    with pytest.raises(_Quiet):
        lines(watcher, {"socket": 1}, start + 9.5)


def test_nothing_outside_proposes_less_and_keeps_what_an_end_needs() -> None:
    watcher = Watcher(profile("exit_group", "read", "rt_sigreturn", "write"), 1, 5, lambda _: None)
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
