"""Runs a program under another machine's limits, and says what could not be applied."""

import ctypes
import os
import resource
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gotoolforge import run
from gotoolforge.console import Console
from gotoolforge.errors import ApplyError
from gotoolforge.limits.names import INFINITY, load_rlimits
from gotoolforge.parity import group
from gotoolforge.parity.alike import Alike, fit
from gotoolforge.parity.keys import CAPABILITIES
from gotoolforge.run import Command

_CAP_SETPCAP = 8
_CAP_SYS_RESOURCE = 24
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38


def run_alike(words: tuple[str, ...], alike: Alike, console: Console, *, strict: bool) -> int:
    """Run the program; its exit code.

    Raises ApplyError if `strict` and something cannot be applied.
    """
    settings, failed = plan_rlimits(alike)
    with ExitStack() as stack:
        joined: list[str] = []
        if alike.has_group:
            before, missed = group.systemd_words(alike)
            words = (*before, *words)
            if not before:
                made, unmade = stack.enter_context(group.made_groups(alike, console))
                joined = [str(place / "cgroup.procs") for place in made]
                # Seen: it took the cpu controller from a group that it had not made.
                missed = [f"{one}; written directly, which systemd may undo" for one in missed]
                failed += unmade
            failed += missed
        dropped = dropped_capabilities(alike)
        if dropped and words[0] == "systemd-run":
            # It could not speak to systemd without them.
            failed.append("capabilities: not with a scope; try setpriv --bounding-set")
            dropped = ()
        for one in failed:
            console.warn(f"not applied: {one}")
        if failed and strict:
            what = f"{len(failed)} of the limits cannot be applied (--strict)"
            hint = "run it as root (of the machine, not of a container), or without --strict"
            raise ApplyError(what, hint=hint)
        command = Command(argv=words, env=alike.env)
        before_it = _before(settings, joined, dropped, no_new_privs=alike.no_new_privs)
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
        soft, hard = alike.rlimits[row.name]
        most = _most_files() if row.name == "nofile" else None
        if most is not None and (hard is None or hard > most):
            failed.append(
                f"nofile {_said(hard)}: no process here may have more than fs.nr_open, {most}"
            )
            soft, hard = min(soft or most, most), most
        settings[number], whole = fit((soft, hard), own, may_raise=may_raise)
        if not whole:
            failed.append(
                f"{row.name} {_said(hard)}: the hard limit here is {own[1]}, and raising it wants "
                "CAP_SYS_RESOURCE"
            )
    return settings, failed


def _said(limit: int | None) -> str:
    return INFINITY if limit is None else str(limit)


def _most_files() -> int | None:
    try:
        return int(Path("/proc/sys/fs/nr_open").read_text())
    except (OSError, ValueError):
        return None


def may_raise_limits() -> bool:
    """Whether this process may raise a hard limit."""
    return _holds(_CAP_SYS_RESOURCE)


def dropped_capabilities(alike: Alike) -> tuple[int, ...]:
    """Capabilities to be taken from the bounding set, by number.

    None where this process may not: without privileges the set hardly matters.
    """
    if alike.capabilities is None or not _holds(_CAP_SETPCAP):
        return ()
    return tuple(n for n, name in enumerate(CAPABILITIES) if name not in alike.capabilities)


def _holds(capability: int) -> bool:
    with open("/proc/self/status") as lines:  # noqa: PTH123
        for line in lines:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def _before(
    settings: dict[int, tuple[int, int]],
    joined: list[str],
    dropped: tuple[int, ...],
    *,
    no_new_privs: bool,
) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl

    def apply() -> None:
        for path in joined:
            with open(path, "w") as procs:  # noqa: PTH123
                procs.write(str(os.getpid()))
        for number, pair in settings.items():
            resource.setrlimit(number, pair)
        for capability in dropped:
            # One that this kernel does not know is not there to be dropped.
            prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
        if no_new_privs:
            prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    return apply
