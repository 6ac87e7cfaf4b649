"""`seccomp trace`: run a program under a witness and keep what it called."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from gotoolforge.console import Console
from gotoolforge.errors import EXIT_OK, ToolchainError, UsageError

if TYPE_CHECKING:
    from gotoolforge.seccomp.trace import Trace

WITNESSES = ("notify", "strace", "ebpf", "log", "qemu")


def add_arguments(parser: argparse.ArgumentParser, _verb: str) -> None:
    """A witness, and a program with its arguments or the number of a process."""
    parser.usage = (
        "gotoolforge seccomp trace [options] -- PROGRAM [ARGUMENT ...]  |  --pid N  |  "
        "--test PACKAGE [-- TEST FLAG ...]"
    )
    parser.add_argument(
        "--with", dest="witness", choices=WITNESSES, metavar="WITNESS",
        help=f"one of {', '.join(WITNESSES)} (default: the first that works here)",
    )  # fmt: skip
    parser.add_argument("--pid", type=int, metavar="N", help="watch a running process instead")
    parser.add_argument(
        "--test", metavar="PACKAGE", help="build and run the tests of Go packages (./...) instead"
    )
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long (--pid: 10)")
    parser.add_argument("-o", dest="output", metavar="FILE", help="where to (default: stdout)")
    parser.add_argument("words", nargs="*", metavar="-- PROGRAM ARGUMENT",
                        help="what to run, and its arguments")  # fmt: skip
    parser.epilog = "exit codes: that of the program; 14 the witness is not to be had here"


def run(parsed: argparse.Namespace) -> int:
    """Trace, and write the result; the exit code is the program's own."""

    from gotoolforge import jsontext, store

    console = Console()
    trace = _of_tests(parsed, console) if parsed.test else _of_program(parsed, console)
    text = jsontext.document(trace)
    if parsed.output:
        store.write_atomically(Path(parsed.output), text)
    else:
        sys.stdout.buffer.write(text)
    _tell(trace, console)
    code = trace.exit_code or EXIT_OK
    return 128 - code if code < 0 else code


def _of_program(parsed: argparse.Namespace, console: Console) -> "Trace":
    from gotoolforge.run import find_program
    from gotoolforge.seccomp import numbers

    words = tuple(parsed.words)
    if bool(words) == (parsed.pid is not None):
        what = "name a program behind `--`, or a process with --pid"
        raise UsageError(what, hint="gotoolforge seccomp trace -- ./app --its-own-flags")
    program = Path(f"/proc/{parsed.pid}/exe" if parsed.pid is not None else words[0])
    if not program.exists() and words and (found := find_program(words[0])):
        program = Path(found)
    if not program.exists():
        what = f"there is no {program}"
        raise UsageError(what, hint="is the name (or the process number) right?")
    module = choose(parsed.witness, numbers.arch_of(program), console)
    trace: Trace = module.trace(words, program.resolve(), pid=parsed.pid, seconds=parsed.seconds)
    return trace


def _of_tests(parsed: argparse.Namespace, console: Console) -> "Trace":
    """The tests of each package, run where `go test` runs them, as one trace."""
    import contextlib

    from gotoolforge import store
    from gotoolforge.gosdk import find_go
    from gotoolforge.seccomp import gotest, numbers
    from gotoolforge.seccomp.trace import joined

    if parsed.pid is not None:
        what = "--test starts programs of its own, --pid watches one that runs"
        raise UsageError(what, hint="leave out one of the two")
    module = choose(parsed.witness, numbers.host_arch(), console)
    sdk = find_go(Path.cwd(), console)
    traces = []
    with store.scratch_dir() as scratch:
        for one in gotest.build_tests(sdk, parsed.test, Path.cwd(), scratch):
            console.say(f"testing {one.package} ...")
            with contextlib.chdir(one.folder):
                argv = (str(one.binary), *parsed.words)
                traces.append(module.trace(argv, one.binary, pid=None, seconds=parsed.seconds))
    return joined(tuple(traces), ("go", "test", parsed.test, *parsed.words))


def choose(wanted: str | None, arch: str, console: Console) -> ModuleType:
    """The module of a witness for programs of `arch`; if none is named, the first that works."""
    reasons = {}
    for name in [wanted] if wanted else WITNESSES:
        module = import_module(f"gotoolforge.seccomp.witness_{name}")
        reasons[name] = module.available(arch)
        if not reasons[name]:
            return module
        console.detail(f"{name}: {reasons[name]}")
    told = "; ".join(f"{name}: {why}" for name, why in reasons.items())
    others = [name for name in WITNESSES if name not in reasons and not _missing(name, arch)]
    hint = f"what works here: --with {', '.join(others)}" if others else (
        "`gotoolforge seccomp list` needs no witness: it reads the code"
    )  # fmt: skip
    what = f"no witness can serve here ({told})"
    raise ToolchainError(what, hint=hint)


def _missing(name: str, arch: str) -> str:
    why: str = import_module(f"gotoolforge.seccomp.witness_{name}").available(arch)
    return why


def _tell(trace: "Trace", console: Console) -> None:
    total = sum(one.count for one in trace.own.calls.values())
    console.say(f"{trace.witness}: {len(trace.names)} calls by {trace.own.program}, made {total}x")
    for other in trace.others:
        console.say(f"  apart from it, {len(other.calls)} calls by {other.program}")
    for note in trace.notes:
        console.warn(note)
