"""The one door to seccomp(2): filters for a child, and the listener that hears of its calls.

Linux 5.0 for notifications, 5.5 to let a call go on, 5.6 for pidfd_getfd. Structures and numbers:
<linux/seccomp.h>.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from gotoolforge.errors import GotoolforgeError, ToolchainError
from gotoolforge.seccomp import bpf, numbers
from gotoolforge.seccomp.bpf import Program

_PR_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _NEW_LISTENER = 38, 1, 8
_RECV, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_NOTIF = struct.Struct("=QIIiIQ6Q")
_RESP = struct.Struct("=QqiI")
_CANNOT_EXEC = 127
_PATIENCE = 60.0


class Call(NamedTuple):
    """One call that waits for an answer: the thread that makes it, and what the filter saw."""

    thread: int
    number: int
    audit: int
    pointer: int
    args: tuple[int, ...]


class Answer(NamedTuple):
    """What to do with a call: let it go on (errno None), refuse it, or end the process."""

    errno: int | None
    kill: bool = False


Decide = Callable[[Call], Answer]


def available() -> str:
    """Why notifications cannot serve here; empty if they can."""
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail") as handle:  # noqa: PTH123
            words = handle.read().split()
    except OSError:
        return "this kernel has no seccomp filters"
    return "" if "user_notif" in words else "this kernel has no seccomp notifications (Linux 5.5)"


def supervise(
    argv: tuple[str, ...], program: Program, decide: Decide, *, seconds: float | None = None
) -> int:
    """Run a program under a filter and decide each call that the filter hands up.

    The filter must hand up execve: the program cannot start before the listener is there. Returns
    the exit code (negative: a signal). `seconds` after its start the program is killed.
    """
    if missing := available():
        raise ToolchainError(missing, hint="strace needs no notifications: --with strace")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _become(argv, program, writing)
    os.close(writing)
    said = os.read(reading, 16)
    os.close(reading)
    if not said:
        os.waitpid(child, 0)
        what = f"cannot run {argv[0]} under a filter"
        raise GotoolforgeError(what)
    try:
        listener = _take(child, int(said))
        return _serve(child, listener, decide, seconds)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        raise


def start_waiting(argv: tuple[str, ...]) -> tuple[int, int]:
    """A process that becomes a program when a byte is written to it: its id, and where to."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(writing)
            if os.read(reading, 1):
                os.execvp(argv[0], list(argv))  # noqa: S606
        except OSError as error:
            os.write(2, os.fsencode(f"cannot run {argv[0]}: {error.strerror}\n"))
        finally:
            os._exit(_CANNOT_EXEC)
    os.close(reading)
    return child, writing


def start_logged(argv: tuple[str, ...], program: Program) -> int:
    """Run a program under a filter that asks nobody; its process id."""
    child = os.fork()
    if child == 0:
        _become(argv, program, None)
    return child


def _become(argv: tuple[str, ...], program: Program, writing: int | None) -> None:
    """In the child: install the filter and become the program. Never returns."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        raw = bpf.pack(program)
        buffer = ctypes.create_string_buffer(raw, len(raw))
        fprog = struct.pack("=HxxxxxxQ", len(program), ctypes.addressof(buffer))
        flags = 0
        if writing is not None:
            flags = _NEW_LISTENER
            # The listener gets the lowest free number, which must be told before it exists.
            free = os.dup(writing)
            os.close(free)
            os.write(writing, str(free).encode())
        number = numbers.calls_of(numbers.host_arch())["seccomp"]
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 and (
            libc.syscall(number, _SET_MODE_FILTER, flags, fprog) >= 0
        ):
            os.execvp(argv[0], list(argv))  # noqa: S606
    except OSError as error:
        os.write(2, os.fsencode(f"cannot run {argv[0]}: {error.strerror}\n"))
    finally:
        os._exit(_CANNOT_EXEC)


def _take(child: int, number: int) -> int:
    """The child's listener, as soon as it is there."""
    libc = ctypes.CDLL(None, use_errno=True)
    getfd = numbers.calls_of(numbers.host_arch())["pidfd_getfd"]
    pidfd = os.pidfd_open(child)
    limit = time.monotonic() + _PATIENCE
    try:
        while time.monotonic() < limit and not os.waitpid(child, os.WNOHANG)[0]:
            got = int(libc.syscall(getfd, pidfd, number, 0))
            if got >= 0:
                return got
            time.sleep(0.001)
    finally:
        os.close(pidfd)
    what = f"no listener from the filtered program ({os.strerror(ctypes.get_errno())})"
    raise GotoolforgeError(what, hint="is a debugger's or a container's policy in the way?")


def _serve(child: int, listener: int, decide: Decide, seconds: float | None) -> int:
    """Answer until every process under the filter is gone.

    `seconds` after the first call, which is the program's execve, all are killed.
    """
    limit: float | None = None
    heard: dict[int, float] = {}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    code: int | None = None
    while True:
        if limit and time.monotonic() > limit:
            # Again and again: those that are left may have made others meanwhile.
            for thread, when in heard.items():
                _kill(thread, when)
            heard.clear()
        events = poll.poll(50)
        if events and events[0][1] & select.POLLIN:
            heard[_answer(listener, decide)] = time.clock_gettime(time.CLOCK_BOOTTIME)
            heard.pop(0, None)
            if seconds and limit is None:
                limit = time.monotonic() + seconds
        elif events:
            break
        if code is None:
            done, status = os.waitpid(child, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if done else None
    os.close(listener)
    return code if code is not None else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill(thread: int, heard: float) -> None:
    """Kill a thread's process, unless its number went to one that began after it was heard of."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        with open(f"/proc/{thread}/stat") as handle:  # noqa: PTH123
            begun = int(handle.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        if begun <= heard:
            os.kill(thread, signal.SIGKILL)


def _answer(listener: int, decide: Decide) -> int:
    """Decide one call; the thread that makes it, or 0 if it is gone."""
    raw = bytearray(_NOTIF.size)
    try:
        fcntl.ioctl(listener, _RECV, raw)
    except OSError as error:
        # ENOENT: the caller was killed meanwhile.
        if error.errno in (errno.ENOENT, errno.EINTR):
            return 0
        raise
    number, thread, _, call, audit, pointer, *args = _NOTIF.unpack(raw)
    answer = decide(Call(thread, call, audit, pointer, tuple(args)))
    if answer.kill:
        with contextlib.suppress(ProcessLookupError):
            os.kill(thread, signal.SIGSYS)
    refused = -(answer.errno or 1) if answer.kill or answer.errno is not None else 0
    flags = 0 if refused else _CONTINUE
    with contextlib.suppress(FileNotFoundError):
        fcntl.ioctl(listener, _SEND, _RESP.pack(number, 0, refused, flags))
    return int(thread)
