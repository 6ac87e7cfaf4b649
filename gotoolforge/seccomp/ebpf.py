"""The one door to bpftrace: what processes call, seen by the kernel's tracepoints.

It needs root, bpftrace, and a kernel with raw_syscalls tracepoints. Where tracefs is not mounted,
it is mounted in a mount namespace of bpftrace's own.
"""

import re
from collections.abc import Callable
from functools import cache

from gotoolforge import run
from gotoolforge.run import Command
from gotoolforge.seccomp import numbers

_ALONE = ("unshare", "-m", "sh", "-c",
          '[ -e /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing; '
          'exec "$@"', "sh")  # fmt: skip
_COUNT = re.compile(r"@n\[(\d+), (\d+), (-?\d+), (-?\d+)\]: (\d+)")
_ENV = {"BPFTRACE_MAP_KEYS_MAX": "65536", "BPFTRACE_STRLEN": "200"}

# M: the first call of the process itself. F: a process (in its nth image) made another. X: one
# became another file. S: the first stack of a call. Each image of a process is counted apart.
_SCRIPT = """
BEGIN {{ @own[(uint64){pid}] = 1; }}
tracepoint:sched:sched_process_fork /@own[pid]/ {{
  @own[(uint64)args->child_pid] = 1;
  printf("F %d %d %d\\n", pid, @gen[pid], args->child_pid);
}}
tracepoint:sched:sched_process_exec /@own[pid]/ {{
  @gen[pid]++;
  printf("X %d %d %s\\n", pid, @gen[pid], str(args->filename));
}}
tracepoint:raw_syscalls:sys_enter /@own[pid]/ {{
  if (@met == 0) {{ @met = 1; printf("M\\n"); }}
  $what = (uint64)0;
  if (args->id == {clone} || args->id == {socket}) {{ $what = args->args[0]; }}
  if (args->id == {ioctl}) {{ $what = args->args[1]; }}
  @n[pid, @gen[pid], args->id, $what] = count();
  if (@seen[pid, @gen[pid], args->id] == 0) {{
    @seen[pid, @gen[pid], args->id] = 1;
    printf("S %d %d %d%s\\nE\\n", pid, @gen[pid], args->id, ustack(perf, 12));
  }}
}}
tracepoint:sched:sched_process_exit /pid == {pid} && tid == pid/ {{ exit(); }}
{more}
END {{ clear(@own); clear(@gen); clear(@seen); clear(@met); }}
"""
_EACH = 'interval:ms:{step} {{ print(@n); clear(@n); printf("T\\n"); }}'


@cache
def available() -> str:
    """Why eBPF cannot serve here, by trying it; empty if it can."""
    import os

    if not run.find_program("bpftrace"):
        return "bpftrace is not installed"
    if os.geteuid() != 0:
        return "bpftrace needs root"
    probe = "tracepoint:raw_syscalls:sys_enter { exit(); }"
    try:
        said = run.ask(Command(argv=(*_ALONE, "bpftrace", "-e", probe)), seconds=60)
    except TimeoutError as error:
        return str(error)
    if said.code == 0:
        return ""
    lines = (said.err or said.out).strip().splitlines()
    return f"bpftrace cannot trace system calls here: {lines[-1] if lines else said.code}"


def watch(
    pid: int, on_line: Callable[[str], None], *, seconds: float | None = None, step: int = 0
) -> int:
    """Follow a process and its children until it or the time ends; bpftrace's exit code.

    `on_line` gets the words of the script above; with a `step` (milliseconds) the counts of each.
    """
    calls = numbers.calls_of(numbers.host_arch())
    more = [_EACH.format(step=step)] if step else []
    if seconds:
        more.append(f"interval:ms:{round(seconds * 1000)} {{ exit(); }}")
    script = _SCRIPT.format(
        pid=pid, clone=calls["clone"], socket=calls["socket"], ioctl=calls["ioctl"],
        more="\n".join(more),
    )  # fmt: skip
    return run.stream(Command(argv=(*_ALONE, "bpftrace", "-e", script), env=_ENV), on_line)


def count(line: str) -> tuple[int, int, int, int, int] | None:
    """(process, image, number, argument, how often) of a line that counts; None for another."""
    found = _COUNT.match(line)
    return tuple(int(one) for one in found.groups()) if found else None  # type: ignore[return-value]
