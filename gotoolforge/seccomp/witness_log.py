"""The witness of the kernel's log (SECCOMP_RET_LOG): the kernel writes each call to its log, of
which it keeps some ten lines in five seconds and drops the rest. Writing costs as much as strace
does (BENCHMARKS.md): it is for machines where nothing else may watch."""

import os
import re
import sys
import time
from pathlib import Path

from gotoolforge.errors import ToolchainError, UsageError
from gotoolforge.seccomp import kernel, numbers
from gotoolforge.seccomp.profile import ACTIONS
from gotoolforge.seccomp.stacks import Symbols
from gotoolforge.seccomp.trace import Images, Trace

_RET, _KMSG = 0x06, "/dev/kmsg"
# audit: type=1326 audit(…): … pid=7 comm="app" exe="/app" sig=0 arch=c000003e syscall=1 compat=0
# ip=0x4a code=0x7ffc0000
_RECORD = re.compile(
    r'type=1326 .*? pid=(\d+) .*?exe="([^"]+)".*? arch=(\w+) syscall=(\d+) .*?ip=0x(\w+) '
    r"code=0x7ffc0000"
)
_DROPPED = re.compile(r"callbacks suppressed|audit_lost|printk limit exceeded")
_LOSSY = "the kernel limits the rate of its log: calls are missing, and counts mean nothing"


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    if why := numbers.foreign(arch) or kernel.available():
        return why
    try:
        logged = Path("/proc/sys/kernel/seccomp/actions_logged").read_text().split()
        os.close(os.open(_KMSG, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return f"the kernel's log cannot be read: {error.strerror} ({error.filename})"
    if Path("/run/auditd.pid").exists():
        return "auditd takes the records before they reach the kernel's log"
    return "" if "log" in logged else "this kernel is told not to log (seccomp/actions_logged)"


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program whose every call is allowed and logged."""
    if missing := available(numbers.arch_of(program)):
        raise ToolchainError(missing, hint="--with notify needs no root and loses nothing")
    if pid is not None:
        what = "a filter cannot be put on a process that runs already"
        raise UsageError(what, hint="--with strace or --with ebpf can watch a running process")
    reader = _Reader(program)
    log = os.open(_KMSG, os.O_RDONLY | os.O_NONBLOCK)
    try:
        os.lseek(log, 0, os.SEEK_END)
        child = kernel.start_logged(argv, [(_RET, 0, 0, ACTIONS["SCMP_ACT_LOG"])])
        code = _follow(child, log, reader, seconds)
    finally:
        os.close(log)
    notes = (_LOSSY, *([f"the kernel says so {reader.dropped} times"] if reader.dropped else []))
    return Trace(
        witness="log", arch=numbers.arch_of(program), command=argv, own=reader.images.own,
        others=reader.images.others(), exit_code=code, lossless=False, notes=notes,
    )  # fmt: skip


def _follow(child: int, log: int, reader: "_Reader", seconds: float | None) -> int:
    limit = time.monotonic() + seconds if seconds else None
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        reader.drain(log)
        if done:
            return os.waitstatus_to_exitcode(status)
        if limit and time.monotonic() > limit:
            os.kill(child, 9)
            limit = None
        time.sleep(0.005)


class _Reader:
    def __init__(self, program: Path) -> None:
        self.images, self.symbols = Images(program), Symbols(program)
        self.arches = {row.audit: name for name, row in numbers.architectures().items()}
        self.dropped = 0

    def drain(self, log: int) -> None:
        """All records that are there."""
        while True:
            try:
                text = os.read(log, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:  # overwritten before it was read
                self.dropped += 1
                continue
            if _DROPPED.search(text):
                self.dropped += 1
            elif found := _RECORD.search(text):
                self._record(*found.groups())

    def _record(self, pid: str, program: str, audit: str, number: str, pointer: str) -> None:
        arch = self.arches.get(int(audit, 16), "")
        # Until execve it is still our own code that runs.
        ours = not self.images.own.calls and program == str(Path(sys.executable).resolve())
        if not arch or ours:
            return
        name = numbers.names_of(arch).get(int(number), f"syscall_{number}")
        self.images.became(int(pid), program)
        image = self.images.of(int(pid))
        one = image.saw(name)
        if not one.stack and image is self.images.own:
            one.stack = self.symbols.name(int(pointer, 16))
