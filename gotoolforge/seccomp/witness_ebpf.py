"""The witness of eBPF (bpftrace on the raw_syscalls tracepoints): cheap for the program, can watch
one that runs already, needs root. A map that overflows loses calls."""

import math
import os
import re
import signal
import time
from pathlib import Path

from gotoolforge.errors import ToolchainError
from gotoolforge.seccomp import ebpf, kernel, numbers
from gotoolforge.seccomp.stacks import Symbols
from gotoolforge.seccomp.trace import Images, Trace, Witnessed
from gotoolforge.seccomp.witness_notify import argument

_LINE = re.compile(r"^@([nfxs])\[([-\d, ]+)\]: ?(.*)$")
_ADDRESS = re.compile(r"^\s+([0-9a-f]+) ")
_STEP = 0.2


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    if arch != numbers.host_arch():
        return numbers.foreign(arch) or f"calls of {arch} programs are not told apart by eBPF"
    return ebpf.available()


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program, or watch one that runs, for 10 seconds if none are given."""
    if missing := available(numbers.arch_of(program)):
        raise ToolchainError(missing, hint="--with strace needs no root")
    code, go = None, -1
    if pid is None:
        watched, go = kernel.start_waiting(argv)
    else:
        watched = pid
    reader = Reader(program, watched, running=pid is not None)
    watching = ebpf.Watching(watched, reader.line)
    try:
        if not watching.wait():
            what = "bpftrace did not begin to watch"
            raise ToolchainError(what, hint="--with strace needs no bpftrace")
        if pid is None:
            os.write(go, b"!")
            code = _ended(watched, seconds)
        else:
            _passed(pid, seconds or 10)
    finally:
        if go >= 0:
            os.close(go)
        said = watching.end()
    if said:
        reader.lost.append(f"bpftrace ended with {said}: calls may be missing")
    images = reader.images(final=True)
    return Trace(
        witness="ebpf", arch=numbers.host_arch(), command=argv or (f"--pid {pid}",),
        own=images.own, others=images.others(), exit_code=code,
        lossless=not reader.lost, notes=tuple(reader.lost),
    )  # fmt: skip


def _ended(child: int, seconds: float | None) -> int:
    """The child's exit code; it is killed when the seconds are over."""
    limit = time.monotonic() + (seconds or math.inf)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.02)


def _passed(pid: int, seconds: float) -> None:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and Path(f"/proc/{pid}/exe").exists():
        time.sleep(_STEP)


class Reader:
    """Makes a trace of what bpftrace prints of its maps (see `ebpf`), again and again.

    An image that nothing was said of yet is none of the program's, until the end.
    """

    def __init__(self, program: Path, pid: int, *, running: bool) -> None:
        self.program, self.symbols = program, Symbols(program)
        self.names = numbers.names_of(numbers.host_arch())
        self.lost: list[str] = []
        self._pid, self._running = pid, running
        self._counts: dict[tuple[int, ...], int] = {}
        self._births: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._files: dict[tuple[int, ...], str] = {}
        self._stacks: dict[tuple[int, ...], list[int]] = {}
        self._open: list[int] | None = None

    def line(self, text: str) -> None:
        """One line of bpftrace's."""
        found = _LINE.match(text)
        if found is None:
            if self._open is not None and (address := _ADDRESS.match(text)):
                self._open.append(int(address[1], 16))
            return
        kind, key = found[1], tuple(int(one) for one in found[2].split(","))
        self._open = None
        if kind == "n":
            self._counts[key] = int(found[3])
        elif kind == "f":
            self._births[key[:2]] = key[2:]
        elif kind == "x":
            self._files[key] = found[3]
        else:
            self._open = self._stacks[key] = []

    def images(self, *, final: bool = False) -> Images:
        """Who has called what so far. What is of unknown origin at the end is the program's own."""
        made = Images(self.program)
        for (process, image, number, what), times in list(self._counts.items()):
            owner = self._owner(made, process, image, final=final)
            if owner is not None:
                name = self._name(number)
                word = argument(name, (what, what, 0, 0, 0, 0)) if what else ""
                owner.saw(name, word, times)
        for (process, image, number, _), addresses in sorted(self._stacks.items()):
            if self._owner(made, process, image, final=final) is made.own:
                functions = tuple(one for at in addresses for one in self.symbols.name(at))
                one = made.own.saw(self._name(number), count=0)
                # The first that shows more than the call itself.
                if len(one.stack) < 2 and len(functions) > len(one.stack):
                    one.stack = functions
        most = max(len(self._counts), len(self._births), len(self._files))
        if final and most >= ebpf.MOST:
            self.lost.append("bpftrace's table is full: calls are missing")
        return made

    def _name(self, number: int) -> str:
        return self.names.get(number, f"syscall_{number}")

    def _owner(self, made: Images, process: int, image: int, *, final: bool) -> Witnessed | None:
        """Whose calls they are; None if they are nobody's, as before the program's start."""
        key: tuple[int, ...] = (process, image)
        while key not in self._files and key in self._births:
            key = self._births[key]
        if key in self._files:
            return made.image(self._files[key])
        started = self._running if key == (self._pid, 0) else final
        return made.own if started else None
