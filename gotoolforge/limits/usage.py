"""One process beside its limits: what it may have, and what it uses now. The door to psutil."""

import time
from collections.abc import Callable
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
        threads_max = _smallest(limits["nproc"][0], _group_limit(pid, proc, "pids", "pids.max"))
        memory_max = _group_limit(pid, proc, "memory", "memory.limit_in_bytes")
        gauges = (
            _gauge("descriptors", _seen(process.num_fds), limits["nofile"]),
            _gauge("threads", process.num_threads(), (threads_max, None)),
            _gauge("address space", memory.vms, limits["as"]),
            _gauge("resident memory", memory.rss, (memory_max, None)),
            _gauge(
                "mappings",
                _seen(lambda: (proc / str(pid) / "maps").read_bytes().count(b"\n")),
                (_sysctl(proc, "vm/max_map_count"), None),
            ),
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


def _group_limit(pid: int, proc: Path, controller: str, v1_file: str) -> int | None:
    """The least limit of the process's cgroup and those above it, v1 or v2; None for none."""
    root = Path("/sys/fs/cgroup")
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _number, names, path = line.split(":", 2)
        if controller not in names.split(",") and names:
            continue
        top = root / controller if names else root
        group = top / path.lstrip("/")
        file = v1_file if names else f"{controller}.max"
        places = [group, *(one for one in group.parents if one.is_relative_to(top))]
        seen = [one / file for one in places if (one / file).is_file()]
        if seen:
            return _smallest(*(_unbounded(number(one.read_text().strip())) for one in seen))
    return None


def _unbounded(value: int | None) -> int | None:
    # v1 says "no limit" of memory as the greatest multiple of a page.
    return None if value is None or value >= _V1_UNLIMITED else value


def _smallest(*amounts: int | None) -> int | None:
    return min((one for one in amounts if one is not None), default=None)
