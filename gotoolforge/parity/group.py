"""A cgroup for one run: version 1 or 2 written directly, or systemd-run where systemd runs."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gotoolforge import run
from gotoolforge.console import Console
from gotoolforge.errors import GotoolforgeError
from gotoolforge.parity.alike import Alike
from gotoolforge.parity.capture import make_script
from gotoolforge.parity.hierarchy import Place, find_places, wanted_limits
from gotoolforge.parity.snapshot import parse_snapshot
from gotoolforge.run import Command

_ROOT = Path("/sys/fs/cgroup")
_PREFIX = "gotoolforge-"
_SECONDS_TO_END = 2.0
_SYSTEMD_SECONDS = 120.0


def systemd_words(alike: Alike) -> tuple[tuple[str, ...], list[str]]:
    """Words to put before a program where systemd is process 1, else none.

    Also, in words, what such a scope was seen not to get: a user's manager may lack a controller.
    """
    if not Path("/run/systemd/system").is_dir() or not run.find_program("systemd-run"):
        return (), []
    words = ["systemd-run", "--scope", "--quiet", "--collect"]
    words += [] if os.geteuid() == 0 else ["--user"]
    before = (*words, *scope_properties(alike), "--")
    command = Command(argv=(*before, "sh", "-s"))
    try:
        answer = run.ask(command, given=make_script({}).encode(), seconds=_SYSTEMD_SECONDS)
        seen = parse_snapshot(answer.out.encode(), "systemd-run") if answer.code == 0 else None
    except (TimeoutError, GotoolforgeError) as error:
        return (), [f"systemd-run: {error}"]
    if seen is None:
        said = answer.err.strip().splitlines() or [f"exit code {answer.code}"]
        return (), [f"systemd-run: {said[-1]}"]
    rows = {"cpu.milli": alike.cpu, "memory.max": alike.memory, "pids.max": alike.pids}
    failed = []
    for name, amount in rows.items():
        value = seen.value(f"cgroup.{name}")
        if amount is not None and (value in {None, "max"} or int(value or 0) > amount):
            failed.append(f"{name} {amount}: a scope of systemd has {value or 'none to be seen'}")
    return before, failed


def scope_properties(alike: Alike) -> tuple[str, ...]:
    """The limits as properties of a scope (systemd.resource-control(5))."""
    words = []
    if alike.cpu is not None:
        words.append(f"--property=CPUQuota={alike.cpu / 10:g}%")
    if alike.memory is not None:
        words.append(f"--property=MemoryMax={alike.memory}")
    if alike.pids is not None:
        words.append(f"--property=TasksMax={alike.pids}")
    return tuple(words)


@contextmanager
def made_groups(
    alike: Alike, console: Console, root: Path = _ROOT, own: str | None = None
) -> Iterator[tuple[list[Path], list[str]]]:
    """Groups with the limits, to be joined by writing a process's number into each `cgroup.procs`.

    Also gives, in words, what could not be applied. The groups are removed afterwards, and so are
    those that a killed run has left.
    """
    text = Path("/proc/self/cgroup").read_text() if own is None else own
    places, failed = find_places(wanted_limits(alike), root, text)
    made: list[tuple[Place, Path]] = []
    try:
        for place in places:
            _sweep(place.parent)
            folder = place.parent / f"{_PREFIX}{os.getpid()}"
            if _make(place, folder, failed):
                made.append((place, folder))
        yield [folder for _place, folder in made], failed
    finally:
        for place, folder in made:
            _remove(place, folder, console)


def _make(place: Place, folder: Path, failed: list[str]) -> bool:
    """Make the group; whether it is there. What it could not be given is added to `failed`."""
    try:
        _control(place.parent, "+", place.enable)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        failed += [f"{what}: {folder}: {error.strerror}" for what, _n, _t in place.files]
        return False
    for what, name, text in place.files:
        try:
            (folder / name).write_text(text)
        except OSError as error:
            failed.append(f"{what} {text}: {folder / name}: {error.strerror}")
    return True


def _control(parent: Path, sign: str, controllers: tuple[str, ...]) -> None:
    if controllers:
        text = " ".join(sign + name for name in controllers)
        (parent / "cgroup.subtree_control").write_text(text)


def _remove(place: Place, folder: Path, console: Console) -> None:
    # What the program started may outlive it by a moment, or for long.
    until = time.monotonic() + _SECONDS_TO_END
    while True:
        try:
            folder.rmdir()
            break
        except OSError as error:
            if time.monotonic() > until:
                console.warn(
                    f"{folder} is left ({error.strerror}): what the program started goes on in it"
                )
                return
            time.sleep(0.02)
    # Another run may hold a group of its own here, and would lose its limits.
    if not any(place.parent.glob(f"{_PREFIX}*")):
        with suppress(OSError):
            _control(place.parent, "-", place.enable)


def _sweep(parent: Path) -> None:
    for one in parent.glob(f"{_PREFIX}*"):
        number = one.name.removeprefix(_PREFIX)
        if number.isdigit() and not Path("/proc", number).exists():
            with suppress(OSError):
                one.rmdir()
