"""The witness strace (ptrace): lossless, needs no root, and slow, since every call stops twice."""

import contextlib
import os
import re
import signal
import time
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.errors import ToolchainError
from gotoolforge.run import Command
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.stacks import Symbols
from gotoolforge.seccomp.trace import Images, Trace

# `1234 [00000000004a2b3c] openat(AT_FDCWD, "/etc", ...) = 3`
_LINE = re.compile(r"^(\d+) +\[([0-9a-f?]+)\] (\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +\[[0-9a-f?]+\] <\.\.\. (\w+) resumed>(.*)$")
_RESULT = re.compile(r"\)\s+= (-?\d+)")
_ENDED = re.compile(r"^(\d+) .*\+\+\+ (?:exited with (\d+)|killed by (\w+))")
_MAKERS = {"clone", "clone3", "fork", "vfork"}


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    if why := numbers.foreign(arch):
        return why
    return "" if run.find_program("strace") else "strace is not installed"


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program under strace to its end, or watch a running one for some seconds."""
    arch = numbers.arch_of(program)
    if missing := available(arch):
        raise ToolchainError(missing, hint="install strace, or take another witness with --with")
    with store.scratch_dir() as scratch:
        log = scratch / "strace"
        words = ["strace", "-f", "-i", "-qq", "-s", "64", "-o", str(log)]
        if pid is not None:
            words += ["-p", str(pid)]
            seconds = seconds or 10
        end = _Ending(log, seconds, pid).look if seconds else None
        code = run.attached(Command(argv=(*words, *argv)), end)
        text = log.read_text(errors="replace") if log.is_file() else ""
    found = read_log(text, program, arch)
    found.command = argv or (f"--pid {pid}",)
    found.exit_code = None if pid is not None else code
    return found


class _Ending:
    """Ends strace (or the program that it started) so many seconds after it began to see calls."""

    def __init__(self, log: Path, seconds: float, pid: int | None) -> None:
        self.log, self.seconds, self.pid = log, seconds, pid
        self.limit: float | None = None

    def look(self, strace: int) -> None:
        """See whether it is time."""
        if self.limit is None:
            if self._begun():
                self.limit = time.monotonic() + self.seconds
        elif time.monotonic() > self.limit:
            if self.pid is not None:
                os.kill(strace, signal.SIGINT)  # it lets go of the process
                return
            for status in Path("/proc").glob("[0-9]*/status"):
                with contextlib.suppress(OSError):
                    if f"TracerPid:\t{strace}\n" in status.read_text():
                        os.kill(int(status.parent.name), signal.SIGKILL)

    def _begun(self) -> bool:
        if self.pid is None:
            return self.log.is_file() and self.log.stat().st_size > 0
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        return "TracerPid:\t0\n" not in status


def read_log(text: str, program: Path, arch: str) -> Trace:
    """strace's own words to a trace."""
    images, symbols = Images(program), Symbols(program)
    parents = _parents(text)
    told: set[int] = set()
    pending: dict[int, str] = {}
    for line in text.splitlines():
        found = _LINE.match(line) or _RESUMED.match(line)
        if not found:
            continue
        process = int(found[1])
        if process not in told:
            told.add(process)
            if process in parents:
                images.born(parents[process], process)
        if found.re is _RESUMED:
            name, rest = found[2], pending.pop(process, "") + found[3]
        else:
            name, rest = found[3], found[4]
            one = images.of(process).saw(name, argument(name, rest))
            if not one.stack and images.of(process) is images.own and found[2].isalnum():
                one.stack = symbols.name(int(found[2], 16))
            if rest.endswith("<unfinished ...>"):
                pending[process] = rest.removesuffix("<unfinished ...>")
                continue
        result = _RESULT.search(rest)
        if name in ("execve", "execveat") and result and result[1] == "0":
            quoted = re.search(r'"((?:[^"\\]|\\.)*)"', rest)
            images.became(process, quoted[1] if quoted else "?")
    return Trace(
        witness="strace", arch=arch, command=(), own=images.own,
        others=images.others(),
    )  # fmt: skip


def _parents(text: str) -> dict[int, int]:
    """Who made whom, from the results of clone and its kin."""
    found = {}
    for line in text.splitlines():
        one = _LINE.match(line) or _RESUMED.match(line)
        name = one[3] if one and one.re is _LINE else one[2] if one else ""
        result = _RESULT.search(line) if name in _MAKERS else None
        if one and result and int(result[1]) > 0:
            found[int(result[1])] = int(one[1])
    return found


def argument(name: str, rest: str) -> str:
    """The argument that matters for a filter: clone's flags, a socket's family, an ioctl."""
    if name in ("clone", "clone3"):
        found = re.search(r"flags=([\w|]+)", rest)
        return found[1] if found else ""
    if name in ("socket", "socketpair"):
        return rest.split(",")[0]
    if name in ("ioctl", "fcntl", "prctl", "unshare", "setns"):
        place = 1 if name in ("ioctl", "fcntl") else 0
        words = rest.split(" <unfinished")[0].split(", ")
        return words[place].split(")")[0] if len(words) > place else ""
    return ""
