"""The witness of the kernel's own seccomp, by notification: lossless, needs no root, and each call
waits for an answer, so it is slow. Gives Go stacks."""

import os
from pathlib import Path

from gotoolforge.errors import UsageError
from gotoolforge.seccomp import kernel, numbers
from gotoolforge.seccomp.kernel import Answer, Call
from gotoolforge.seccomp.profile import ACTIONS
from gotoolforge.seccomp.stacks import Symbols
from gotoolforge.seccomp.trace import Images, Trace

_RET = 0x06
_NAMESPACES = 0x7E020080
_EXECS = ("execve", "execveat")
_FAMILIES = {1: "AF_UNIX", 2: "AF_INET", 10: "AF_INET6", 16: "AF_NETLINK", 17: "AF_PACKET",
             38: "AF_ALG", 40: "AF_VSOCK"}  # fmt: skip


def available(arch: str) -> str:
    """Why it cannot serve here; empty if it can."""
    return numbers.foreign(arch) or kernel.available()


def trace(argv: tuple[str, ...], program: Path, *, pid: int | None, seconds: float | None) -> Trace:
    """Run a program, and let each of its calls go on after it was written down."""
    if pid is not None:
        what = "a filter cannot be put on a process that runs already"
        raise UsageError(what, hint="--with strace or --with ebpf can watch a running process")
    watcher = _Watcher(program)
    filtering = [(_RET, 0, 0, ACTIONS["SCMP_ACT_NOTIFY"])]
    code = kernel.supervise(argv, filtering, watcher.decide, seconds=seconds)
    return Trace(
        witness="notify", arch=numbers.arch_of(program), command=argv, own=watcher.images.own,
        others=watcher.images.others(), exit_code=code,
    )  # fmt: skip


class _Watcher:
    """Writes down every call, and whose it was."""

    def __init__(self, program: Path) -> None:
        self.images = Images(program)
        self.symbols = Symbols(program)
        self.arches = {row.audit: name for name, row in numbers.architectures().items()}
        self.started = False
        self.fresh: set[int] = set()
        self.known: set[int] = set()

    def decide(self, call: Call) -> Answer:
        """Let everything go on; before the program's own start nothing counts."""
        name = numbers.names_of(self.arches[call.audit]).get(call.number, f"syscall_{call.number}")
        # Until execve it is still our own code that runs.
        if not self.started and name not in _EXECS:
            return Answer(None)
        if not self.started:
            self.started = True
            self.images.own.saw(name)
            self.fresh.add(call.thread)
            return Answer(None)
        if call.thread in self.fresh or call.thread not in self.known:
            self._look(call.thread)
        image = self.images.of(call.thread)
        one = image.saw(name, argument(name, call.args))
        if not one.stack and image is self.images.own:
            one.stack = self.symbols.stack(call.thread, call.pointer)
        if name in _EXECS:
            self.fresh.add(call.thread)
        return Answer(None)

    def _look(self, thread: int) -> None:
        """What file a thread runs, after its first call or a possible change."""
        self.fresh.discard(thread)
        self.known.add(thread)
        try:
            self.images.became(thread, os.readlink(f"/proc/{thread}/exe"))  # noqa: PTH115
        except OSError:
            return


def argument(name: str, args: tuple[int, ...]) -> str:
    """The argument that matters for a filter, in words where it has any."""
    if name == "clone":
        return f"flags={args[0]:#x}" + (" (namespaces)" if args[0] & _NAMESPACES else "")
    if name in ("socket", "socketpair"):
        return _FAMILIES.get(args[0], str(args[0]))
    if name in ("ioctl", "fcntl"):
        return f"{args[1]:#x}"
    return f"{args[0]:#x}" if name in ("prctl", "unshare", "setns") else ""
