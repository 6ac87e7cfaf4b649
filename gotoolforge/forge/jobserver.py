"""One pool of jobs for every make that runs: GNU make's jobserver, over an inherited pipe.

https://www.gnu.org/software/make/manual/html_node/POSIX-Jobserver.html
"""

import os
from pathlib import Path
from types import TracebackType

# What one compiler of GCC's largest generated files takes, in bytes.
_BYTES_A_JOB = 1_300_000_000


class JobServer:
    """Tokens for `jobs` jobs in all; each make has one job of its own besides."""

    def __init__(self, jobs: int) -> None:
        self.jobs = max(jobs, 1)
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_inheritable(end, True)
        os.write(self._write, b"+" * (self.jobs - 1))

    def __enter__(self) -> "JobServer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._read)
        os.close(self._write)

    @property
    def descriptors(self) -> frozenset[int]:
        """What a child has to inherit."""
        return frozenset((self._read, self._write))

    @property
    def makeflags(self) -> str:
        """MAKEFLAGS for a make that is to take its jobs from here."""
        return f" -j --jobserver-auth={self._read},{self._write}"


def affordable_jobs() -> int:
    """As many jobs as there are processors for us, fewer where memory is short."""
    cores = len(os.sched_getaffinity(0))
    return max(1, min(cores, _free_memory() // _BYTES_A_JOB))


def _free_memory() -> int:
    """Bytes, by the kernel's estimate; plenty where it says nothing."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 1 << 40
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else 1 << 40
