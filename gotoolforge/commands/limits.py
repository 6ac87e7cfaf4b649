"""limits: what a process may have beside what it uses, and what a load needs."""

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import CommandParser, add_command, add_volume
from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, OutputError, ProcessError, UsageError

if TYPE_CHECKING:
    from gotoolforge.limits.advise import Needs
    from gotoolforge.limits.forecast import Outlook
    from gotoolforge.limits.usage import Usage

_EPILOG = """\
examples:
  gotoolforge limits show 1234
  gotoolforge limits watch 1234 --count 60 > watch.jsonl
  gotoolforge limits advise ./app --connections 10000
  gotoolforge limits systemd app.service --connections 10000 -o nofile.conf

exit codes: 0 all is far away; 1 a limit is near, or a unit is wrong; 2 misuse; 3 unreadable file;
33 no such process
"""


def add_arguments(parser: CommandParser, _name: str) -> None:
    """One sub-command for each question."""
    parser.epilog = _EPILOG
    commands = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    one = add_command(commands, "show", "a process's limits beside its use, once")
    one.add_argument("pid", type=int, metavar="PID")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    one = add_command(commands, "watch", "the same again and again; JSON lines in a pipe")
    one.add_argument("pid", type=int, metavar="PID")
    one.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="default: 1")
    one.add_argument("--count", type=int, metavar="N", help="looks; default: until it ends")
    one = add_command(commands, "systemd", "a unit's real limits, and a drop-in for a load")
    one.add_argument("unit", metavar="UNIT", help="a name, or the path of its file")
    _add_load(one, required=False)
    one.add_argument("-o", dest="output", metavar="FILE", help="write the drop-in there")
    one = add_command(commands, "advise", "what a number of connections needs")
    one.add_argument("binary", metavar="BINARY")
    _add_load(one, required=True)
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    for sub in commands.choices.values():
        add_volume(sub)


def _add_load(one: argparse.ArgumentParser, *, required: bool) -> None:
    one.add_argument("--connections", type=int, required=required, metavar="N", help="at once")
    one.add_argument(
        "--files", type=int, default=1, metavar="N", help="descriptors a connection; a proxy has 2"
    )


def run(parsed: argparse.Namespace) -> int:
    """Dispatch to the question."""
    steps = {"show": _show, "watch": _watch, "systemd": _systemd, "advise": _advise}
    return steps[parsed.step](parsed)


def _show(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.limits.forecast import Forecast
    from gotoolforge.limits.usage import read_usage

    usage = read_usage(parsed.pid)
    outlooks = Forecast().add(usage)
    if parsed.json:
        report.print_json(msgspec.to_builtins(usage))
    else:
        _print_table(usage, outlooks)
    return EXIT_FINDINGS if any(one.near for one in outlooks) else EXIT_OK


def _print_table(usage: "Usage", outlooks: "tuple[Outlook, ...]") -> None:
    rows = []
    for gauge, outlook in zip(usage.gauges, outlooks, strict=True):
        left = "-" if outlook.seconds_left is None else f"{outlook.seconds_left:.0f} s"
        share = "-" if gauge.share is None else f"{gauge.share:.1%}"
        used = "unknown" if gauge.used is None else str(gauge.used)
        limit = "none" if gauge.limit is None else str(gauge.limit)
        rows.append((gauge.name, used, limit, share, f"{outlook.rate:+.1f}/s", left))
    title = f"{usage.name} ({usage.pid}), {usage.children} children"
    render_table(("WHAT", "USED", "LIMIT", "SHARE", "RATE", "TIME LEFT"), rows, title)


def _watch(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge.limits.forecast import Forecast
    from gotoolforge.limits.usage import read_usage

    if parsed.every <= 0 or (parsed.count is not None and parsed.count < 1):
        what = "--every and --count want numbers above zero"
        raise UsageError(what)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    forecast, seen, warned, near = Forecast(), 0, set(), False
    while parsed.count is None or seen < parsed.count:
        if seen:
            time.sleep(parsed.every)
        try:
            usage = read_usage(parsed.pid)
        except ProcessError:
            if not seen:
                raise
            console.say(f"process {parsed.pid} has ended")
            break
        seen += 1
        outlooks = forecast.add(usage)
        if sys.stdout.isatty():
            _print_table(usage, outlooks)
        else:
            line = {"version": 1, **msgspec.to_builtins(usage), "outlook": outlooks}
            print(msgspec.json.encode(line).decode(), flush=True)
        for one in outlooks:
            if one.near and one.name not in warned:
                warned.add(one.name)
                console.warn(f"{one.name}: {one.used} of {one.limit}, {one.rate:+.1f} a second")
        near = near or any(one.near for one in outlooks)
    return EXIT_FINDINGS if near else EXIT_OK


def _needs(parsed: argparse.Namespace, *, cgo: bool) -> "Needs":
    import os

    from gotoolforge.limits.advise import advise

    if parsed.connections < 1 or parsed.files < 1:
        what = "--connections and --files want numbers above zero"
        raise UsageError(what)
    return advise(parsed.connections, files=parsed.files, cgo=cgo, cpus=os.cpu_count() or 1)


def _advise(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.errors import UnreadableError
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import verify_file

    about = verify_file(Path(parsed.binary), policy=load_policy("no-host-libc"))
    if about.error or about.verdict == "not-executable":
        what = f"{parsed.binary}: could not be read: {about.error or 'it is no program'}"
        raise UnreadableError(what)
    cgo = about.verdict != "no-libc"
    needs = _needs(parsed, cgo=cgo)
    if parsed.json:
        report.print_json({"cgo": cgo, **msgspec.to_builtins(needs)})
    else:
        print("\n".join(needs.why))
    return EXIT_OK


def _systemd(parsed: argparse.Namespace) -> int:
    from gotoolforge import report, store
    from gotoolforge.limits.advise import drop_in
    from gotoolforge.limits.unit import check_unit, find_unit, read_unit

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    path = find_unit(parsed.unit)
    values, findings = read_unit(path)
    for key, value in sorted(values.items()):
        console.line(f"{key}={value}")
    report.show_findings(findings, console)
    if said := check_unit(path):
        console.warn(f"systemd-analyze verify: {said}")
    if parsed.connections is not None:
        text = drop_in(_needs(parsed, cgo=False))
        if parsed.output:
            try:
                store.write_atomically(Path(parsed.output), text.encode())
            except OSError as error:
                what = f"cannot write {parsed.output}: {error.strerror}"
                raise OutputError(what, hint="name another file with -o") from error
            text = f"{parsed.output}\n"
        print(text, end="")
    return EXIT_FINDINGS if findings else EXIT_OK
