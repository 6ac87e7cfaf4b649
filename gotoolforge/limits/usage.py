"""One process beside its limits: what it may have, and what it uses now. The door to psutil."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from gotoolforge.errors import ProcessError
from gotoolforge.limits.names import load_rlimits, number
from gotoolforge.limits.pprof import Runtime

_PROC = Path("/proc")
_V1_UNLIMITED = (1 << 63) - (1 << 16)
T = TypeVar("T")


class Gauge(msgspec.Struct, frozen=True, kw_only=True):
    """One limit beside its use; None where there is no limit, or where the use is not to be seen.

    `hard` is the kernel's hard limit where there are two.
    """

    name: str
    used: int | None
    limit: int | None
    hard: int | None = None

    @property
    def share(self) -> float | None:
        """Used part of the limit, 0 to 1 and beyond."""
        return self.used / self.limit if self.limit and self.used is not None else None


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A process at one moment. `at` is in seconds since 1970; `children` counts all below it.

    `runtime` is what its Go runtime says, None if that was not asked or, with `unseen` the reason,
    not answered.
    """

    pid: int
    name: str
    at: float
    gauges: tuple[Gauge, ...]
    children: int
    resident: int
    runtime: Runtime | None = None
    unseen: str | None = None

    def told(self, runtime: Runtime) -> "Usage":
        """The same with what the Go runtime says. It has no limits of the kernel's."""
        own = {"goroutines": runtime.goroutines, "Go heap": runtime.heap}
        own["Go stacks"] = runtime.stacks
        gauges = tuple(Gauge(name=name, used=used, limit=None) for name, used in own.items())
        return msgspec.structs.replace(self, runtime=runtime, gauges=(*self.gauges, *gauges))


def parse_limits(text: str) -> dict[str, tuple[int | None, int | None]]:
    """/proc/PID/limits: our name to soft and hard limit, None for none."""
    found = {}
    for line in text.splitlines():
        for row in load_rlimits():
            if line.startswith(row.title + " "):
                soft, hard = line[len(row.title) :].split()[:2]
                found[row.name] = (number(soft), number(hard))
    return found


def read_usage(pid: int, proc: Path = _PROC) -> Usage:
    """Look at a process once. Raises ProcessError if it is not there, or hides its limits."""
    try:
        process = psutil.Process(pid)
        limits = parse_limits((proc / str(pid) / "limits").read_text())
        memory = process.memory_info()
        gauges = (
            _gauge("descriptors", _seen(process.num_fds), limits["nofile"]),
            _gauge("threads", process.num_threads(), (None, None)),
            _threads_of_the_user(process, limits["nproc"]),
            _gauge("address space", memory.vms, limits["as"]),
            _gauge("resident memory", memory.rss, (None, None)),
            _gauge(
                "mappings",
                _seen(lambda: (proc / str(pid) / "maps").read_bytes().count(b"\n")),
                (_sysctl(proc, "vm/max_map_count"), None),
            ),
            *_groups(pid, proc),
        )
        return Usage(
            pid=pid,
            name=process.name(),
            at=time.time(),
            gauges=gauges,
            children=len(process.children(recursive=True)),
            resident=memory.rss,
        )
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError, KeyError) as error:
        what = f"there is no process {pid} (ended, or hidden from this user by hidepid)"
        raise ProcessError(what, hint="name one that runs; root sees every process") from error
    except (psutil.AccessDenied, PermissionError) as error:
        what = f"process {pid} may not be looked at by this user"
        raise ProcessError(what, hint="run it as the same user, or as root") from error


def _gauge(name: str, used: int | None, pair: tuple[int | None, int | None]) -> Gauge:
    return Gauge(name=name, used=used, limit=pair[0], hard=pair[1])


def _seen(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except (psutil.AccessDenied, PermissionError):
        return None


def _sysctl(proc: Path, name: str) -> int | None:
    try:
        return int((proc / "sys" / name).read_text())
    except (OSError, ValueError):
        return None


def _threads_of_the_user(process: psutil.Process, nproc: tuple[int | None, int | None]) -> Gauge:
    """RLIMIT_NPROC counts all threads of a user, and does not hold for root (getrlimit(2))."""
    uid, used = process.uids().real, 0
    for other in psutil.process_iter():
        with suppress(psutil.Error):
            used += other.num_threads() if other.uids().real == uid else 0
    return _gauge("threads of the user", used, nproc if uid else (None, None))


def _groups(pid: int, proc: Path) -> Iterator[Gauge]:
    """What the process's cgroup, or one above it, limits: the limit is for all in it together."""
    rows = (
        ("tasks of the cgroup", "pids", ("pids.current", "pids.max")),
        ("memory of the cgroup", "memory", ("memory.usage_in_bytes", "memory.limit_in_bytes")),
    )
    for name, controller, v1 in rows:
        found = [
            _gauge(name, used, (limit, None))
            for used, limit in _group_uses(pid, proc, controller, v1)
            if limit is not None
        ]
        yield from sorted(found, key=lambda one: one.share or 0)[-1:]


def _group_uses(
    pid: int, proc: Path, controller: str, v1: tuple[str, str]
) -> Iterator[tuple[int, int | None]]:
    """Use and limit of the process's cgroup and of those above it, version 1 or 2."""
    root = Path("/sys/fs/cgroup")
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _number, names, path = line.split(":", 2)
        if controller not in names.split(",") and names:
            continue
        top = root / controller if names else root
        files = v1 if names else (f"{controller}.current", f"{controller}.max")
        group = top / path.lstrip("/")
        for place in (group, *(one for one in group.parents if one.is_relative_to(top))):
            with suppress(OSError, ValueError):
                used, limit = ((place / file).read_text().strip() for file in files)
                yield int(used), _unbounded(number(limit))


def _unbounded(value: int | None) -> int | None:
    # v1 says "no limit" of memory as the greatest multiple of a page.
    return None if value is None or value >= _V1_UNLIMITED else value
