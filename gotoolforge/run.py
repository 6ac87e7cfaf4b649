"""The door to other programs. Commands are values; running them is done here, and in `logged`.

Short questions and `go build` itself go through `subprocess`, because the warm path of `build`
may not pay the 60 ms that importing `sh` costs (measured; see BENCHMARKS.md). Long work whose
output goes to a log, such as building toolchains, is in `logged`.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from gotoolforge.errors import ApplyError, GotoolforgeError, InterruptedRunError

T = TypeVar("T")

_GRACE_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1
_alive: set[subprocess.Popen[bytes]] = set()
# Leaders of the process groups that others started, and that `stop_all` ends too.
_leaders: set[int] = set()
_lock = threading.Lock()
_stopping = threading.Event()


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `env` is laid over the caller's environment; None takes a variable away."""

    argv: tuple[str, ...]
    env: Mapping[str, str | None] = {}
    cwd: Path | None = None

    def full_env(self) -> dict[str, str]:
        """The whole environment that the program sees."""
        merged = {**os.environ, **self.env}
        return {name: value for name, value in merged.items() if value is not None}

    def __str__(self) -> str:
        import shlex

        words = [f"{name}={shlex.quote(value)}" for name, value in self.env.items() if value]
        return " ".join([*words, shlex.join(self.argv)])


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a program said: exit code (negative: killed by that signal), both streams as text."""

    code: int
    out: str
    err: str


def find_program(name: str) -> str | None:
    """The absolute path of a program on PATH, or None."""
    return shutil.which(name)


def ask(command: Command, *, given: bytes | None = None, seconds: float | None = None) -> Answer:
    """Run a short command to its end and keep what it says; `given` is its standard input.

    Raises TimeoutError, having ended it, if it takes longer than `seconds`.
    """
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    child = _start(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        out, err = _until_end(child, lambda: child.communicate(given, timeout=seconds))
    except subprocess.TimeoutExpired as error:
        _signal_group(child.pid, signal.SIGKILL)
        child.communicate()
        what = f"{command.argv[0]} took longer than {seconds:g} seconds"
        raise TimeoutError(what) from error
    return Answer(
        code=child.returncode,
        out=out.decode(errors="replace"),
        err=err.decode(errors="replace"),
    )


def stream(command: Command, on_line: Callable[[str], None]) -> int:
    """Run a command, handing on each line that it prints (either stream) at once; its exit code."""
    child = _start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def pump() -> None:
        _hand_on(child, on_line)
        child.wait()

    _until_end(child, pump)
    return child.returncode


class Streamed:
    """A running command whose lines (of either stream) are handed on at once, by a thread.

    It ends with this process, by SIGKILL too.
    """

    def __init__(self, command: Command, on_line: Callable[[str], None]) -> None:
        self._child = _start(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=ending_with_parent(),
        )  # fmt: skip
        self._failed: Exception | None = None
        self._pump = threading.Thread(target=self._hand_on, args=(on_line,), daemon=True)
        self._pump.start()

    def _hand_on(self, on_line: Callable[[str], None]) -> None:
        try:
            _hand_on(self._child, on_line)
        except Exception as error:
            self._failed = error
            # A full pipe would hold the command for ever.
            _hand_on(self._child, lambda _line: None)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._child.send_signal(number)

    def ended(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(seconds)
        return not self.alive

    def wait(self) -> int:
        """Its exit code, when it has ended and all its lines were handed on.

        Raises what handing on a line raised, if it did; those after it were dropped.
        """

        def end() -> int:
            code = self._child.wait()
            self._pump.join()
            assert self._child.stdout is not None
            self._child.stdout.close()
            if self._failed is not None:
                raise self._failed
            return code

        return _until_end(self._child, end)


def attached(command: Command, look: Callable[[int], None] | None = None) -> int:
    """Run a command on the caller's own streams and terminal; its exit code (negative: a signal).

    It stays in the caller's process group, so that a terminal's signals reach both. While it runs,
    `look` is called with its process id many times a second.
    """
    child = _spawn(command)
    with _lock:
        _alive.add(child)

    def wait() -> int:
        while look is not None:
            try:
                return child.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                look(child.pid)
        return child.wait()

    return _until_end(child, wait)


def replace_process(command: Command) -> None:
    """Become the command: signals, terminal and exit code are then its own. Does not return."""
    if command.cwd:
        os.chdir(command.cwd)
    os.execvpe(command.argv[0], list(command.argv), command.full_env())  # noqa: S606


def foreground(command: Command, before: Callable[[], None]) -> int:
    """Run a program in this terminal to its end; its exit code, as a shell says it.

    `before` runs in the child, just before it becomes the program. Signals of the terminal reach
    the program by themselves; SIGTERM and SIGHUP are handed on. Raises ApplyError if it cannot
    start.
    """
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def hand_on(number: int, _frame: object) -> None:
        if number != signal.SIGINT:
            started[0].send_signal(number) if started else early.append(number)

    # Before it starts, so that no signal falls between. What is ignored stays so, as under nohup.
    former = {
        number: signal.signal(number, hand_on)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        started.append(_spawn(command, ApplyError, preexec_fn=before))
        for number in early:
            started[0].send_signal(number)
        code = started[0].wait()
    except subprocess.SubprocessError as error:
        what = f"a limit could not be applied to {command.argv[0]}"
        raise ApplyError(what, hint="the captured limits may be too low for any program") from error
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def stop_all() -> None:
    """End every running child and its children: first politely, then for good."""
    _stopping.set()
    with _lock:
        children = list(_alive)
    groups = [*(child.pid for child in children), *_leaders]
    for group in groups:
        _signal_group(group, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and (
        any(child.poll() is None for child in children) or any(map(_group_lives, _leaders))
    ):
        time.sleep(0.02)
    for group in groups:
        _signal_group(group, signal.SIGKILL)


@contextmanager
def stoppable(leader: int) -> Iterator[None]:
    """For the time of the body, `stop_all` ends the process group of `leader` too."""
    _leaders.add(leader)
    try:
        yield
    except KeyboardInterrupt:
        # It stays among them, so that `stop_all` can end for good what ignores this.
        _signal_group(leader, signal.SIGTERM)
        raise
    except BaseException:
        _leaders.discard(leader)
        raise
    _leaders.discard(leader)


def refuse_when_stopping() -> None:
    """Raise InterruptedRunError once `stop_all` was called: for long work in a thread, which no
    signal reaches."""
    if _stopping.is_set():
        what = "interrupted"
        raise InterruptedRunError(what)


def _group_lives(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _start(
    command: Command,
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    stdin: int = subprocess.DEVNULL,
    preexec_fn: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    refuse_when_stopping()
    # A process group of its own, so that an end reaches the compilers behind `go build` too.
    child = _spawn(
        command, stdin=stdin, stdout=stdout, stderr=stderr, process_group=0, preexec_fn=preexec_fn
    )
    with _lock:
        _alive.add(child)
    return child


def _spawn(
    command: Command, kind: type[GotoolforgeError] = GotoolforgeError, **words: Any
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603
            command.argv, env=command.full_env(), cwd=command.cwd, **words
        )
    except OSError as error:
        what = f"cannot run {command.argv[0]}: {error.strerror}"
        hint = "is it installed, executable, and for this machine?"
        raise kind(what, hint=hint) from error


def _hand_on(child: subprocess.Popen[bytes], on_line: Callable[[str], None]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        on_line(line.decode(errors="replace").rstrip("\n"))


def _until_end(child: subprocess.Popen[bytes], work: Callable[[], T]) -> T:
    try:
        result = work()
    except BaseException:
        # It stays among the living, so that `stop_all` can end for good what ignores this.
        _signal_group(child.pid, signal.SIGTERM)
        raise
    with _lock:
        _alive.discard(child)
    return result


def _signal_group(leader: int, number: signal.Signals) -> None:
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return


def ending_with_parent() -> Callable[[], None]:
    """What a child calls so as to be told to end when this process is gone, by SIGKILL too.

    make hands the signal on to what it runs. Linux only (prctl(2), PR_SET_PDEATHSIG).
    """
    import ctypes

    prctl = getattr(ctypes.CDLL(None), "prctl", None)

    def ask() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)

    return ask


def quote(words: Sequence[str]) -> str:
    """Words as a POSIX shell would read them back."""
    import shlex

    return shlex.join(words)
