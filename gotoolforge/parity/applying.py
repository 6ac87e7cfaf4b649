"""Runs a program under another machine's limits, and says what could not be applied."""

import ctypes
import os
import resource
from collections.abc import Callable
from contextlib import ExitStack

from gotoolforge import run
from gotoolforge.console import Console
from gotoolforge.errors import ApplyError
from gotoolforge.limits.names import load_rlimits
from gotoolforge.parity import group
from gotoolforge.parity.alike import Alike, fit
from gotoolforge.run import Command

_CAP_SYS_RESOURCE = 24
_PR_SET_NO_NEW_PRIVS = 38


def run_alike(words: tuple[str, ...], alike: Alike, console: Console, *, strict: bool) -> int:
    """Run the program; its exit code.

    Raises ApplyError if `strict` and something cannot be applied.
    """
    settings, failed = plan_rlimits(alike)
    with ExitStack() as stack:
        joined: list[str] = []
        if alike.has_group:
            if before := group.systemd_words(alike):
                words = (*before, *words)
            else:
                made, missed = stack.enter_context(group.made_groups(alike))
                joined = [str(place / "cgroup.procs") for place in made]
                failed += missed
        for one in failed:
            console.warn(f"not applied: {one}")
        if failed and strict:
            what = f"{len(failed)} of the limits cannot be applied (--strict)"
            raise ApplyError(what, hint="run it as root, or without --strict")
        command = Command(argv=words, env=alike.env)
        before_it = _before(settings, joined, no_new_privs=alike.no_new_privs)
        return run.foreground(command, before_it)


def plan_rlimits(alike: Alike) -> tuple[dict[int, tuple[int, int]], list[str]]:
    """What to set, by setrlimit's numbers, and what cannot be set, in words."""
    settings: dict[int, tuple[int, int]] = {}
    failed = []
    may_raise = may_raise_limits()
    for row in load_rlimits():
        number = getattr(resource, row.constant, None)
        # RLIMIT_LOCKS has no meaning since Linux 2.4.25, and Python has no word for it.
        if number is None or row.name not in alike.rlimits:
            continue
        own = resource.getrlimit(number)
        settings[number], whole = fit(alike.rlimits[row.name], own, may_raise=may_raise)
        if not whole:
            hard = alike.rlimits[row.name][1]
            given = "unlimited" if hard is None else hard
            failed.append(
                f"{row.name} {given}: the hard limit here is {own[1]}, and only root may raise it"
            )
    return settings, failed


def may_raise_limits() -> bool:
    """Whether this process may raise a hard limit (CAP_SYS_RESOURCE)."""
    with open("/proc/self/status") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def _before(
    settings: dict[int, tuple[int, int]], joined: list[str], *, no_new_privs: bool
) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl

    def apply() -> None:
        for path in joined:
            with open(path, "w") as procs:  # noqa: PTH123
                procs.write(str(os.getpid()))
        for number, pair in settings.items():
            resource.setrlimit(number, pair)
        if no_new_privs:
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    return apply
