"""What a running program was seen to call, in one format for all witnesses.

Calls of the program's own image are kept apart from those of programs that its children became.
"""

from pathlib import Path

import msgspec

from gotoolforge.errors import UnreadableError, UsageError

FORMAT = "gotoolforge-trace"
_HINT = "make one with `gotoolforge seccomp trace -o FILE -- PROGRAM`"


class Seen(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One system call: how often, where from at first, and arguments that matter with counts.

    `stack` is the innermost first; empty where the witness cannot tell.
    """

    name: str
    count: int = 0
    stack: tuple[str, ...] = ()
    arguments: dict[str, int] = {}


class Witnessed(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All calls made by one program file."""

    program: str
    calls: dict[str, Seen] = {}

    def saw(self, name: str, argument: str = "", count: int = 1) -> Seen:
        """Count one call."""
        one = self.calls.setdefault(name, Seen(name=name))
        one.count += count
        if argument:
            one.arguments[argument] = one.arguments.get(argument, 0) + count
        return one


class Trace(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What one witness saw of one run. `exit_code` is negative for a signal, None if unknown.

    `lossless` says whether the witness can miss a call at all; `notes` say what it missed.
    """

    format: str = FORMAT
    version: int = 1
    witness: str
    arch: str
    command: tuple[str, ...]
    own: Witnessed
    others: tuple[Witnessed, ...] = ()
    exit_code: int | None = None
    lossless: bool = True
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Names of the calls that the program's own image made."""
        return frozenset(self.own.calls)


def load_trace(path: Path) -> Trace:
    """Read a trace; raises UnreadableError or UsageError, saying what is wrong with it."""
    try:
        trace = msgspec.json.decode(path.read_bytes(), type=Trace)
    except OSError as error:
        what = f"cannot read {path}: {error.strerror}"
        raise UnreadableError(what, hint=_HINT) from error
    except msgspec.DecodeError as error:
        what = f"{path} is no trace of ours: {error}"
        raise UsageError(what, hint=_HINT) from error
    if trace.format != FORMAT or trace.version != 1:
        what = f"{path} is no trace of ours: format {trace.format!r}, version {trace.version}"
        raise UsageError(what, hint=_HINT)
    return trace


def joined(traces: tuple[Trace, ...], command: tuple[str, ...]) -> Trace:
    """Several runs as one; the exit code is the first that is not 0."""
    own, others = Witnessed(program=traces[0].own.program), dict[str, Witnessed]()
    for trace in traces:
        _add(own, trace.own)
        for one in trace.others:
            _add(others.setdefault(one.program, Witnessed(program=one.program)), one)
    first = traces[0]
    return Trace(
        witness=first.witness, arch=first.arch, command=command, own=own,
        others=tuple(others.values()), lossless=all(one.lossless for one in traces),
        exit_code=next((one.exit_code for one in traces if one.exit_code), 0),
        notes=tuple(dict.fromkeys(note for one in traces for note in one.notes)),
    )  # fmt: skip


def _add(whole: Witnessed, part: Witnessed) -> None:
    for name, seen in part.calls.items():
        one = whole.saw(name, count=seen.count)
        one.stack = one.stack or seen.stack
        for word, times in seen.arguments.items():
            one.arguments[word] = one.arguments.get(word, 0) + times


class Images:
    """Which program file each process runs, as children are made and become other programs."""

    def __init__(self, program: Path) -> None:
        self.own_path = program.resolve()
        self.own = Witnessed(program=str(program))
        self._others: dict[str, Witnessed] = {}
        self._of: dict[int, Witnessed] = {}

    def of(self, process: int) -> Witnessed:
        """What the process or thread runs; one that was never heard of runs the program itself."""
        return self._of.setdefault(process, self.own)

    def born(self, parent: int, child: int) -> None:
        """A process or thread made another, which runs the same file."""
        self._of[child] = self.of(parent)

    def became(self, process: int, program: str) -> None:
        """A process runs another file from now on."""
        self._of[process] = self.image(program)

    def image(self, program: str) -> Witnessed:
        """What is known of a program file."""
        if Path(program).resolve() == self.own_path:
            return self.own
        return self._others.setdefault(program, Witnessed(program=program))

    def others(self) -> tuple[Witnessed, ...]:
        """All program files but the traced one."""
        return tuple(self._others.values())
