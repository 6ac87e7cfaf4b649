"""A cgroup for one run: version 1 or 2 written directly, or systemd-run where systemd runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gotoolforge import run
from gotoolforge.parity.alike import Alike

_PERIOD = 100_000
_ROOT = Path("/sys/fs/cgroup")


def systemd_words(alike: Alike) -> tuple[str, ...]:
    """The words to put before a program where systemd is process 1, else none."""
    if not Path("/run/systemd/system").is_dir() or not run.find_program("systemd-run"):
        return ()
    words = ["systemd-run", "--scope", "--quiet", "--collect"]
    words += [] if os.geteuid() == 0 else ["--user"]
    return (*words, *scope_properties(alike), "--")


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
def made_groups(alike: Alike, root: Path = _ROOT) -> Iterator[tuple[list[Path], list[str]]]:
    """Groups with the limits, to be joined by writing a process's number into each `cgroup.procs`.

    Also gives, in words, what could not be applied. The groups are removed afterwards.
    """
    made: list[Path] = []
    failed: list[str] = []
    name = f"gotoolforge-{os.getpid()}"
    try:
        for folder, files, what in _plan(alike, root):
            place = folder / name
            try:
                if not place.is_dir():
                    place.mkdir()
                    made.append(place)
                for file, text in files.items():
                    (place / file).write_text(text)
            except OSError as error:
                failed.append(f"{what}: {place}: {error.strerror}")
        yield made, failed
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()


def _plan(alike: Alike, root: Path) -> list[tuple[Path, dict[str, str], str]]:
    """Folder of the parent group, files to write, and what it is for."""
    quota = None if alike.cpu is None else str(alike.cpu * _PERIOD // 1000)
    if (root / "cgroup.controllers").is_file():
        parent = root / _own_path("").lstrip("/")
        wanted = {
            "cpu.max": quota and f"{quota} {_PERIOD}",
            "memory.max": alike.memory,
            "pids.max": alike.pids,
        }
        return [(parent, {file: str(text)}, file) for file, text in wanted.items() if text]
    rows = []
    if quota is not None:
        files = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": quota}
        rows.append((_v1(root, "cpu"), files, "cpu quota"))
    if alike.memory is not None:
        files = {"memory.limit_in_bytes": str(alike.memory)}
        rows.append((_v1(root, "memory"), files, "memory limit"))
    if alike.pids is not None:
        rows.append((_v1(root, "pids"), {"pids.max": str(alike.pids)}, "pids limit"))
    return rows


def _v1(root: Path, controller: str) -> Path:
    own = root / controller / _own_path(controller).lstrip("/")
    return own if own.is_dir() else root / controller


def _own_path(controller: str) -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path
    return "/"
