"""The one door to bpftrace: what processes call, seen by the kernel's tracepoints.

It needs root, bpftrace, and a kernel with raw_syscalls tracepoints. Where tracefs is not mounted,
it is mounted in a mount namespace of bpftrace's own.

Everything is kept in maps, which bpftrace prints when it gets SIGUSR1 and when it ends. Lines that
it prints by itself go through a buffer for each processor, and on a busy machine (bpftrace 0.17,
Linux 6.18) those of one whole processor were seen to be missing, without a word.
"""

import os
import re
import signal
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

from gotoolforge import run
from gotoolforge.run import Command
from gotoolforge.seccomp import numbers

_ALONE = ("unshare", "-m", "sh", "-c",
          '[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; '
          'exec "$@"', "sh")  # fmt: skip
MOST = 65536
_ENV = {"BPFTRACE_MAP_KEYS_MAX": str(MOST), "BPFTRACE_STRLEN": "200"}
# PROC_PID_INIT_INO of <linux/proc_ns.h>: the namespace whose process numbers the kernel tells.
_HOSTS_PROCESSES = 0xEFFFFFFC
_LIMIT_SECONDS = 180
# It looks for SIGUSR1 when it was left in peace for a tenth of a second.
_PATIENCE = 0.3

# own: processes to follow. gen: which image a process runs, counted up when it is born (numbers of
# processes come again) and when it becomes another file. n: how often an image made a call with an
# argument. f: who was born in which image, and of whom. x: the file of an image. s: up to three
# stacks of an image's call, since now and then the kernel finds no room for one.
_SCRIPT = """
BEGIN {{ @own[(uint64){pid}] = 1; @ready = 1; }}
tracepoint:sched:sched_process_fork {{
  $child = (uint64)args->child_pid;
  if (@own[pid]) {{
    @own[$child] = 1;
    @gen[$child]++;
    @f[$child, @gen[$child], pid, @gen[pid]] = 1;
  }} else if (@own[$child]) {{
    delete(@own[$child]);
  }}
}}
tracepoint:sched:sched_process_exec /@own[pid]/ {{
  @gen[pid]++;
  @x[pid, @gen[pid]] = str(args->filename);
}}
tracepoint:raw_syscalls:sys_enter /@own[pid]/ {{
  $what = (uint64)0;
  if (args->id == {clone} || args->id == {socket}) {{ $what = args->args[0]; }}
  if (args->id == {ioctl}) {{ $what = args->args[1]; }}
  @n[pid, @gen[pid], args->id, $what] = count();
  $place = @seen[pid, @gen[pid], args->id];
  if ($place < 3) {{
    @seen[pid, @gen[pid], args->id] = $place + 1;
    @s[pid, @gen[pid], args->id, $place] = ustack(perf, 24);
  }}
}}
"""


@cache
def available() -> str:
    """Why eBPF cannot serve here, by trying it; empty if it can."""
    if not run.find_program("bpftrace"):
        return "bpftrace is not installed"
    if os.geteuid() != 0:
        return "bpftrace needs root"
    if Path("/proc/self/ns/pid").stat().st_ino != _HOSTS_PROCESSES:
        return "this is a container with process numbers of its own, and eBPF tells the host's"
    probe = "tracepoint:raw_syscalls:sys_enter { exit(); }"
    try:
        said = run.ask(Command(argv=(*_ALONE, "bpftrace", "-e", probe)), seconds=_LIMIT_SECONDS)
    except TimeoutError as error:
        return str(error)
    if said.code == 0:
        return ""
    lines = (said.err or said.out).strip().splitlines()
    return f"bpftrace cannot trace system calls here: {lines[-1] if lines else said.code}"


class Watching:
    """bpftrace at work on a process and its children; `on_line` gets what it prints of its maps."""

    def __init__(self, pid: int, on_line: Callable[[str], None]) -> None:
        calls = numbers.calls_of(numbers.host_arch())
        script = _SCRIPT.format(
            pid=pid, clone=calls["clone"], socket=calls["socket"], ioctl=calls["ioctl"]
        )
        self._ready = False
        self._on_line = on_line
        self._program = run.Streamed(
            Command(argv=(*_ALONE, "bpftrace", "-e", script), env=_ENV), self._line
        )

    def _line(self, text: str) -> None:
        if text == "@ready: 1":
            self._ready = True
        else:
            self._on_line(text)

    def wait(self) -> bool:
        """Until every probe is there: it answers only then. False if that does not come to be."""
        limit = time.monotonic() + _LIMIT_SECONDS
        patience = _PATIENCE
        while not self._ready and self._program.alive and time.monotonic() < limit:
            self.ask()
            again = time.monotonic() + patience
            while not self._ready and time.monotonic() < again:
                time.sleep(0.01)
            patience *= 1.5
        return self._ready

    def ask(self) -> None:
        """Have it print what it knows so far, as soon as it can be asked."""
        if self._program.alive and _hears(self._program.pid):
            self._program.signal(signal.SIGUSR1)

    @property
    def alive(self) -> bool:
        """Whether it still watches."""
        return self._program.alive

    def end(self) -> int:
        """Have it print all and end; its exit code (negative: a signal).

        bpftrace looks for SIGINT only when a signal interrupts its wait for events, so that one
        which comes while it prints is as good as lost (0.17): whatever comes next reminds it.
        """
        if self._program.alive:
            self._program.signal(signal.SIGINT)
        limit = time.monotonic() + _LIMIT_SECONDS
        patience = _PATIENCE
        while not self._program.ended(patience):
            self.ask()
            patience *= 1.5
            if time.monotonic() > limit:
                self._program.signal(signal.SIGKILL)
        return self._program.wait()


def _hears(pid: int) -> bool:
    """Whether a process handles SIGUSR1, which would end it otherwise."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    found = re.search(r"^SigCgt:\t(\w+)$", status, re.MULTILINE)
    return bool(found and int(found[1], 16) >> signal.SIGUSR1 - 1 & 1)
