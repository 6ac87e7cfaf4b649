"""limits: what a process may have beside what it uses, and what a load needs."""

import argparse
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import CommandParser, add_command, add_volume
from gotoolforge.console import Console, live_table, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, OutputError, UsageError

if TYPE_CHECKING:
    from gotoolforge.limits.advise import Needs
    from gotoolforge.limits.pprof import Pprof
    from gotoolforge.limits.watching import Look

_EPILOG = """\
examples:
  gotoolforge limits show 1234
  gotoolforge limits watch 1234 --pprof 127.0.0.1:6060 --record watch.jsonl
  gotoolforge limits plot watch.jsonl -o watch.html
  gotoolforge limits advise ./app --connections 10000
  gotoolforge limits systemd app.service --connections 10000 -o nofile.conf

exit codes: 0 all is far away; 1 a limit is near, or a unit is wrong; 2 misuse; 3 unreadable file;
33 no such process; 35 the pprof address does not tell
"""
_HEADINGS = ("WHAT", "USED", "LIMIT", "SHARE", "RATE", "TIME LEFT")


def add_arguments(parser: CommandParser, _name: str) -> None:
    """One sub-command for each question."""
    parser.epilog = _EPILOG
    commands = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    one = add_command(commands, "show", "a process's limits beside its use, once")
    _add_process(one)
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    one = add_command(commands, "watch", "the same again and again; JSON lines in a pipe")
    _add_process(one)
    one.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="default: 1")
    one.add_argument("--count", type=int, metavar="N", help="looks; default: until it ends")
    one.add_argument("--record", metavar="FILE", help="write JSON lines there too, for plot")
    one = add_command(commands, "plot", "a recorded watch as an HTML page")
    one.add_argument("record", metavar="RECORD", help="JSON lines of watch")
    one.add_argument(
        "-o", dest="output", required=True, metavar="FILE.html", help="write the page there"
    )
    one = add_command(commands, "systemd", "a unit's real limits, and a drop-in for a load")
    one.add_argument("unit", metavar="UNIT", help="a name, or the path of its file")
    _add_load(one, required=False)
    one.add_argument("-o", dest="output", metavar="FILE", help="write the drop-in there")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    one = add_command(commands, "advise", "what a number of connections needs")
    one.add_argument("binary", metavar="BINARY", help="the program, for whether C is inside")
    _add_load(one, required=True)
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    for sub in commands.choices.values():
        add_volume(sub)


def _add_process(one: argparse.ArgumentParser) -> None:
    one.add_argument("pid", type=int, metavar="PID", help="the process's number")
    one.add_argument(
        "--pprof", metavar="URL", help="also what its Go runtime says: where net/http/pprof listens"
    )


def _add_load(one: argparse.ArgumentParser, *, required: bool) -> None:
    one.add_argument("--connections", type=int, required=required, metavar="N", help="at once")
    one.add_argument(
        "--files", type=int, default=1, metavar="N", help="descriptors a connection; a proxy has 2"
    )
    one.add_argument(
        "--cpus", type=int, metavar="N", help="of the server; default: as many as here"
    )


def run(parsed: argparse.Namespace) -> int:
    """Dispatch to the question."""
    steps = {
        "show": _show,
        "watch": _watch,
        "plot": _plot,
        "systemd": _systemd,
        "advise": _advise,
    }
    return steps[parsed.step](parsed)


def _show(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.limits.watching import looks

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    (look,) = looks(parsed.pid, pprof=_pprof(parsed, console), count=1)
    if parsed.json:
        report.print_json(msgspec.to_builtins(look))
    else:
        if not sys.stdout.isatty():
            console.say(_title(look))
        render_table(_HEADINGS, _rows(look), _title(look))
    return EXIT_FINDINGS if look.near else EXIT_OK


def _pprof(parsed: argparse.Namespace, console: Console) -> "Pprof | None":
    if not parsed.pprof:
        return None
    from gotoolforge.limits.pprof import Pprof

    pprof = Pprof(parsed.pprof)
    words = pprof.command_line()
    with suppress(OSError):
        own = Path(f"/proc/{parsed.pid}/cmdline").read_bytes().decode(errors="replace")
        if tuple(own.rstrip("\0").split("\0")) != words:
            console.warn(f"{pprof.base} is of another program: {' '.join(words)[:80]}")
    return pprof


def _rows(look: "Look") -> list[tuple[str, ...]]:
    from gotoolforge.limits.plot import amount_words

    rows: list[tuple[str, ...]] = []
    for gauge, outlook in zip(look.gauges, look.outlook, strict=True):
        left = "-" if outlook.seconds_left is None else f"{outlook.seconds_left:.0f} s"
        share = "-" if gauge.share is None else f"{gauge.share:.1%}"
        used = "unknown" if gauge.used is None else amount_words(gauge.name, gauge.used)
        limit = "none" if gauge.limit is None else amount_words(gauge.name, gauge.limit)
        rate = f"{'-' if outlook.rate < 0 else '+'}{amount_words(gauge.name, abs(outlook.rate))}/s"
        rows.append((gauge.name, used, limit, share, rate, left))
    return rows


def _title(look: "Look") -> str:
    unseen = f"; {look.unseen}" if look.unseen else ""
    return f"{look.name} ({look.pid}), {look.children} children{unseen}"


def _watch(parsed: argparse.Namespace) -> int:
    from gotoolforge.limits.watching import looks

    if parsed.every <= 0 or (parsed.count is not None and parsed.count < 1):
        what = "--every and --count want numbers above zero"
        raise UsageError(what)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    warned: set[str] = set()
    near, shown = False, 0
    with ExitStack() as stack:
        seen = looks(parsed.pid, pprof=_pprof(parsed, console), every=parsed.every,
                     count=parsed.count)  # fmt: skip
        live = sys.stdout.isatty()
        draw = stack.enter_context(live_table(_HEADINGS)) if live else None
        try:
            record = stack.enter_context(Path(parsed.record).open("w")) if parsed.record else None
        except OSError as error:
            what = f"cannot write {parsed.record}: {error.strerror}"
            raise OutputError(what, hint="name another file with --record") from error
        # Ctrl-C is how a watch without a count is ended.
        with suppress(KeyboardInterrupt):
            for look in seen:
                if draw:
                    draw(_rows(look), _title(look))
                else:
                    print(look.to_line(), flush=True)
                if record:
                    print(look.to_line(), file=record, flush=True)
                near, shown = near or look.near, shown + 1
                if not draw:
                    _warn(look, warned, console)
            if shown != parsed.count:
                console.say(f"process {parsed.pid} has ended")
    return EXIT_FINDINGS if near else EXIT_OK


def _warn(look: "Look", warned: set[str], console: Console) -> None:
    """Once a gauge, and once for a Go runtime that has stopped answering."""
    for one in look.outlook:
        if one.near and one.name not in warned:
            warned.add(one.name)
            console.warn(f"{one.name}: {one.used} of {one.limit}, {one.rate:+.1f} a second")
    if look.unseen and "pprof" not in warned:
        warned.add("pprof")
        console.warn(look.unseen)


def _plot(parsed: argparse.Namespace) -> int:
    from gotoolforge.limits.plot import render_page
    from gotoolforge.limits.watching import load_record

    looks, cut = load_record(Path(parsed.record))
    if cut:
        Console(quiet=parsed.quiet).warn(f"{parsed.record}: its last line is cut off; left out")
    _write(parsed.output, render_page(looks))
    print(parsed.output)
    return EXIT_OK


def _write(output: str, text: str) -> None:
    from gotoolforge import store

    try:
        store.write_atomically(Path(output), text)
    except OSError as error:
        what = f"cannot write {output}: {error.strerror}"
        raise OutputError(what, hint="name another file with -o") from error


def _needs(parsed: argparse.Namespace, *, cgo: bool) -> "Needs":
    import os

    from gotoolforge.limits.advise import advise

    if min(parsed.connections, parsed.files, 1 if parsed.cpus is None else parsed.cpus) < 1:
        what = "--connections, --files and --cpus want numbers above zero"
        raise UsageError(what)
    cpus = parsed.cpus or os.cpu_count() or 1
    return advise(parsed.connections, files=parsed.files, cgo=cgo, cpus=cpus)


def _uses_c(path: Path) -> bool | None:
    """Whether a Go program has C inside; None for what is no Go program. Raises UnreadableError."""
    from gotoolforge.errors import UnreadableError
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import verify_file

    about = verify_file(path, policy=load_policy("no-host-libc"))
    if about.error or about.verdict == "not-executable":
        what = f"{path}: could not be read: {about.error or 'it is no program'}"
        raise UnreadableError(what)
    return about.verdict != "no-libc" if about.go else None


def _advise(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report

    cgo = _uses_c(Path(parsed.binary))
    if cgo is None:
        console = Console(quiet=parsed.quiet)
        console.warn(f"{parsed.binary} is no Go program: as if each connection held a thread")
    needs = _needs(parsed, cgo=cgo is not False)
    if parsed.json:
        report.print_json({"cgo": cgo, **msgspec.to_builtins(needs)})
    else:
        print("\n".join(needs.why))
    return EXIT_OK


def _systemd(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.finding import in_order
    from gotoolforge.limits.unit import ask_systemd, check_unit, find_unit, read_unit

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    path = find_unit(parsed.unit)
    name = Path(parsed.unit).name if "." in parsed.unit else path.name
    unit, findings = read_unit(path, name)
    loaded, more = ask_systemd(name, unit) if path.parent.name == "system" else (None, ())
    findings = in_order([*findings, *more])
    text = _drop_in(parsed, unit.program, console)
    if parsed.json:
        facts = {**msgspec.to_builtins(unit), "loaded": loaded, "drop_in": text}
        report.print_json({**facts, "findings": msgspec.to_builtins(findings)})
    else:
        for key, one in sorted(unit.limits.items()):
            console.line(f"{key}={one.value}  ({one.source})")
        for key, value in sorted((loaded or {}).items()):
            console.say(f"systemd has {key}={value}")
        report.show_findings(findings, console)
    if said := check_unit(path):
        console.warn(f"systemd-analyze verify: {said}")
    if text and parsed.output:
        _write(parsed.output, text)
    if text and not parsed.json:
        print(parsed.output or text.rstrip())
    return EXIT_FINDINGS if findings else EXIT_OK


def _drop_in(parsed: argparse.Namespace, program: str | None, console: Console) -> str | None:
    """A drop-in for the stated load, if one is stated."""
    from gotoolforge.errors import UnreadableError
    from gotoolforge.limits.advise import drop_in
    from gotoolforge.limits.unit import check_drop_in

    if parsed.connections is None:
        return None
    try:
        cgo = _uses_c(Path(program)) if program else None
    except UnreadableError as error:
        cgo = None
        console.detail(error.what)
    if cgo is None:
        console.warn(f"{program or 'what it starts'} cannot be read as a Go program: TasksMax "
                     "is for one without C; a thread each where it calls C")  # fmt: skip
    text = drop_in(_needs(parsed, cgo=bool(cgo)))
    if said := check_drop_in(text):
        console.warn(f"systemd-analyze verify, of the drop-in: {said}")
    return text
