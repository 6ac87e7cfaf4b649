"""prove: start a file where nothing else exists, and watch it."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import add_volume
from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UnprovenError, UsageError

if TYPE_CHECKING:
    from gotoolforge.elf import ElfFacts
    from gotoolforge.prove.matrix import Line
    from gotoolforge.prove.trial import Trial, Wanted

EPILOG = """\
The program sees an empty root: itself, /dev/null, and what --show names; no network without
--network. Programs for other machines run under a static qemu-user. strace tells what it opens.
--matrix tries it in each --root, --image, --debian suite, --musl and scratch, and judges the other
distributions by table. An --image that is no file is a name, and a container engine starts the file
in it (docker, podman or nerdctl, the first whose engine answers).

Options stand before FILE.

  gotoolforge prove dist/app -- --version
  gotoolforge prove --matrix --debian bookworm --debian trixie --musl --image ubuntu.tar dist/app
  gotoolforge prove --image debian:12-slim --image centos:7 dist/app

exit codes: 0 it started at every place that was named, with --matrix or none at scratch too (and
ended with --expect, if given); 1 it did not; 2 misuse; 3 unreadable file; 21 not proven: namespaces
are refused here, or there is no emulator
"""


_SYMBOLS = {"runs": "satisfied", "does not run": "not satisfied"}


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """A file, its arguments, and where to try it."""
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", help="an ELF program, of any machine")
    parser.add_argument("args", nargs="*", metavar="ARG", help="the program's own, after --")
    parser.add_argument("--show", action="append", default=[], metavar="PATH",
                        help="a file or folder that it may see; repeatable")  # fmt: skip
    parser.add_argument("--network", action="store_true", help="let it use the network")
    parser.add_argument("--timeout", type=float, default=10.0, metavar="SECONDS",
                        help="how long it may run (10)")  # fmt: skip
    parser.add_argument("--expect", type=int, metavar="CODE", help="the exit code wanted")
    parser.add_argument("--matrix", action="store_true", help="try it in many roots; a table")
    parser.add_argument("--root", action="append", default=[], metavar="DIR",
                        help="a root folder to try it in; repeatable")  # fmt: skip
    parser.add_argument("--image", action="append", default=[], metavar="FILE.tar|NAME",
                        help="a tarball, or a name for a container engine; repeatable")  # fmt: skip
    parser.add_argument("--debian", action="append", default=[], metavar="SUITE",
                        help="a root that mmdebstrap makes, once; repeatable")  # fmt: skip
    parser.add_argument("--musl", action="store_true", help="an Alpine-like root: musl alone")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    add_volume(parser)


def run(parsed: argparse.Namespace) -> int:
    """Try it; what is not proven is never a pass."""
    from gotoolforge.prove.trial import Wanted, try_in
    from gotoolforge.verify import inspect

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    facts, verdict = inspect(Path(parsed.file))
    show = tuple(os.path.abspath(one) for one in parsed.show)  # noqa: PTH100 - links stay links
    for one in show:
        if not Path(one).exists():
            what = f"--show {one}: there is no such file"
            raise UsageError(what, hint="name a file or folder of this machine")
    wanted = Wanted(
        file=Path(parsed.file),
        args=tuple(parsed.args),
        show=show,
        network=parsed.network,
        seconds=parsed.timeout,
    )
    if parsed.matrix or parsed.root or parsed.image or parsed.debian or parsed.musl:
        return _matrix(parsed, wanted, facts, verdict, console)
    trial = try_in(None, wanted, facts)
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json(
            {"path": parsed.file, "verdict": verdict, "trial": msgspec.to_builtins(trial)}
        )
    else:
        _show(trial, parsed.file, console)
    return _code([trial], parsed.expect)


def _matrix(
    parsed: argparse.Namespace,
    wanted: "Wanted",
    facts: "ElfFacts",
    verdict: str,
    console: Console,
) -> int:
    from gotoolforge.prove.engine import is_name
    from gotoolforge.prove.matrix import Source, try_all

    sources = [Source(kind="root", name=one) for one in parsed.root]
    sources += [
        Source(kind="engine" if is_name(one) else "image", name=one) for one in parsed.image
    ]
    sources += [Source(kind="debian", name=one) for one in parsed.debian]
    sources += [Source(kind="musl", name="musl alone")] if parsed.musl else []
    sources.append(Source(kind="scratch"))
    lines = try_all(tuple(sources), wanted, facts, verdict, console.say)
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json(
            {"path": parsed.file, "verdict": verdict, "lines": msgspec.to_builtins(lines)}
        )
    else:
        _table(lines)
    # The last that was tried is scratch, which nobody named.
    asked = lines if parsed.matrix else lines[: len(sources) - 1]
    return _code([one.trial for one in asked if one.trial], parsed.expect)


def _show(trial: "Trial", path: str, console: Console) -> None:
    how = f" under {Path(trial.emulator).name}" if trial.emulator else ""
    console.line(f"{path}: {trial.state}{how}" + (f": {trial.why}" if trial.why else ""))
    if trial.running:
        console.line("  it was still running when its time was up")
    elif trial.code is not None:
        console.line(f"  exit code {trial.code}")
    if trial.opened is None and trial.state == "started":
        console.say("  nobody watched what it opened: strace is not here")
    for one in trial.opened or ():
        console.say(f"  opened {one.path}" + ("" if one.found else " (not there)"))
    for line in trial.output.splitlines()[-5:]:
        console.say(f"  said: {line}")


def _table(lines: tuple["Line", ...]) -> None:
    rows = []
    for one in lines:
        trial = one.trial
        started, code = "by table only", ""
        if trial:
            started = trial.state
            code = "running" if trial.running else "" if trial.code is None else str(trial.code)
        why = (trial.why if trial else "") or "; ".join(one.because)
        rows.append(
            (one.image, one.libc, _SYMBOLS.get(one.symbols, one.symbols), started, code, why)
        )
    render_table(("image", "libc", "symbols", "started", "exit code", "because"), rows)


def _code(trials: list["Trial"], expect: int | None) -> int:
    if any(one.state == "not started" for one in trials):
        return EXIT_FINDINGS
    if any(one.state == "not proven" for one in trials):
        return UnprovenError.exit_code
    if expect is not None and any(one.code != expect for one in trials):
        return EXIT_FINDINGS
    return EXIT_OK
