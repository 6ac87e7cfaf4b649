"""The witness of eBPF (bpftrace on the raw_syscalls tracepoints): cheap for the program, can watch
one that runs already, needs root. A map that overflows loses calls."""

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gotoolforge.errors import ToolchainError
from gotoolforge.seccomp import ebpf, kernel, numbers
from gotoolforge.seccomp.stacks import Symbols
from gotoolforge.seccomp.trace import Images, Trace, Witnessed
from gotoolforge.seccomp.witness_notify import argument

_SETTLE = 0.3


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    if arch != numbers.host_arch():
        return numbers.foreign(arch) or f"calls of {arch} programs are not told apart by eBPF"
    return ebpf.available()


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program, or watch one that runs, for 10 seconds if none are given."""
    if missing := available(numbers.arch_of(program)):
        raise ToolchainError(missing, hint="--with strace needs no root")
    reader = Reader(program, running=pid is not None)
    code: int | None = None
    if pid is not None:
        reader.follow(pid)
        ebpf.watch(pid, reader.line, seconds=seconds or 10)
    else:
        code = _run(argv, reader, seconds)
    return Trace(
        witness="ebpf", arch=numbers.host_arch(), command=argv or (f"--pid {pid}",),
        own=reader.images.own, others=reader.images.others(), exit_code=code,
        lossless=not reader.lost, notes=tuple(reader.lost),
    )  # fmt: skip


def _run(argv: tuple[str, ...], reader: "Reader", seconds: float | None) -> int:
    child, go = kernel.start_waiting(argv)
    reader.follow(child)
    with ThreadPoolExecutor(1) as beside:
        watching = beside.submit(ebpf.watch, child, reader.line, seconds=seconds)
        code = _released(child, go, reader, seconds)
        said = watching.result()
    if said or not reader.met:
        reader.lost.append(f"bpftrace ended with {said}: calls may be missing")
    return code


def _released(child: int, go: int, reader: "Reader", seconds: float | None) -> int:
    """Let the program start as soon as it is watched; its exit code."""
    try:
        limit = time.monotonic() + 60
        while not reader.met and time.monotonic() < limit:
            time.sleep(0.05)
        # Its other probes are there as soon as the one that has met the process, or just after.
        time.sleep(_SETTLE)
        os.write(go, b"!")
        if not seconds:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return _until(child, seconds)
    finally:
        os.close(go)


def _until(child: int, seconds: float) -> int:
    import signal

    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Reader:
    """Makes a trace of bpftrace's lines."""

    def __init__(self, program: Path, *, running: bool) -> None:
        self.images, self.symbols = Images(program), Symbols(program)
        self.names = numbers.names_of(numbers.host_arch())
        self.met = False
        self.lost: list[str] = []
        self._running = running
        self._at: dict[tuple[int, int], Witnessed | None] = {}
        self._stack: tuple[Witnessed | None, str, list[int]] | None = None

    def follow(self, pid: int) -> None:
        """The process that it is all about; until its execve it is still our own code."""
        self._at[pid, 0] = self.images.own if self._running else None

    def line(self, text: str) -> None:
        """One line of `ebpf.watch`."""
        kind, *words = text.split(" ")
        if self._stack is not None:
            self._in_stack(text)
        elif kind == "M":
            self.met = True
        elif kind == "F":
            parent, image, child = (int(one) for one in words)
            self._at.setdefault((child, 0), self._of(parent, image))
        elif kind == "X":
            self.images.became(int(words[0]), " ".join(words[2:]))
            self._at[int(words[0]), int(words[1])] = self.images.of(int(words[0]))
        elif kind == "S":
            number = int(words[2])
            name = self.names.get(number, f"syscall_{number}")
            self._stack = (self._of(int(words[0]), int(words[1])), name, [])
        elif counted := ebpf.count(text):
            self._counted(*counted)
        elif text.startswith("Lost"):
            self.lost.append(f"bpftrace: {text}")

    def _of(self, process: int, image: int) -> Witnessed | None:
        return self._at.get((process, image), self.images.own)

    def _in_stack(self, text: str) -> None:
        assert self._stack is not None
        owner, name, addresses = self._stack
        if text == "E":
            self._stack = None
            if owner is self.images.own and addresses:
                functions = [one for at in addresses for one in self.symbols.name(at)]
                owner.saw(name, count=0).stack = tuple(functions)
            return
        word = text.strip().split(" ")[0]
        with contextlib.suppress(ValueError):
            addresses.append(int(word, 16))

    def _counted(self, process: int, image: int, number: int, what: int, times: int) -> None:
        owner = self._of(process, image)
        if owner is None:
            return
        name = self.names.get(number, f"syscall_{number}")
        args = (what, what, 0, 0, 0, 0)
        owner.saw(name, argument(name, args) if what else "", times)
