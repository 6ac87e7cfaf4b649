"""The witness for programs of other machines: qemu-user runs them, and tells their calls.

Lossless for the program itself. Children that become programs of this machine are left to it, and
no call of theirs is seen.
"""

import re
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.errors import ToolchainError, UsageError
from gotoolforge.run import Command
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.trace import Images, Trace
from gotoolforge.seccomp.witness_strace import argument
from gotoolforge.target import load_targets

# `21498 openat(AT_FDCWD,"/proc/self/cgroup",O_RDONLY|O_CLOEXEC) = 4`
_LINE = re.compile(r"^(\d+) (?:Unknown syscall (\d+)|(\w+)\((.*))$")


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    if arch == numbers.host_arch():
        return "the program is for this machine"
    return "" if _emulator(arch) else f"qemu-user for {arch} is not installed (qemu-user-static)"


def _emulator(arch: str) -> str:
    """The emulator's path; empty if there is none."""
    name = next(one for one in load_targets() if one.goarch == arch).qemu
    programs = (run.find_program(one) for one in (f"qemu-{name}-static", f"qemu-{name}"))
    return next(filter(None, programs), "")


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program of another machine to its end, or for so many seconds."""
    arch = numbers.arch_of(program)
    if missing := available(arch):
        raise ToolchainError(missing, hint="`gotoolforge seccomp list` needs no witness")
    if pid is not None:
        what = "a process that runs already cannot be watched by an emulator"
        raise UsageError(what, hint="start it by `seccomp trace --with qemu -- PROGRAM`")
    with store.scratch_dir() as scratch:
        # A file for each thread: lines of several threads in one file would run into each other.
        words = [_emulator(arch), "-d", "strace,tid", "-D", f"{scratch}/log.%d", str(program)]
        if seconds:
            words = ["timeout", "--foreground", str(seconds), *words]
        code = run.attached(Command(argv=(*words, *argv[1:])))
        texts = [one.read_text(errors="replace") for one in sorted(scratch.glob("log.*"))]
    images = Images(program)
    for text in texts:
        _read(text, images, numbers.names_of(arch))
    notes = ("what children became is not seen: qemu leaves them to this machine",)
    return Trace(
        witness="qemu", arch=arch, command=argv, own=images.own, exit_code=code,
        notes=notes if "execve" in images.own.calls else (),
    )  # fmt: skip


def _read(text: str, images: Images, names: dict[int, str]) -> None:
    for line in text.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        if found[2]:
            images.own.saw(names.get(int(found[2]), f"syscall_{found[2]}"))
        elif found[3].isupper():
            images.own.saw("socketcall")  # qemu tells what it is asked to do: SOCKET, BIND ...
        else:
            images.own.saw(found[3], argument(found[3], found[4].replace(",", ", ")))
