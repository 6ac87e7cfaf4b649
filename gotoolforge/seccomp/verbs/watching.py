"""`seccomp watch`: a running program's calls outside its profile, live, and a proposal."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UsageError

if TYPE_CHECKING:
    from gotoolforge.seccomp.watching import Outside, Watched


def add_arguments(parser: argparse.ArgumentParser, _verb: str) -> None:
    """A process, its profile, and how patient to be."""
    parser.add_argument("--pid", type=int, required=True, metavar="N",
                        help="the process to watch, with its threads and children")  # fmt: skip
    parser.add_argument("--profile", required=True, metavar="FILE|NAME",
                        help="what it should keep to: a file, or an engine's default")  # fmt: skip
    parser.add_argument("--threshold", type=int, default=1, metavar="N",
                        help="report a call from its Nth time on (default 1)")  # fmt: skip
    parser.add_argument("--quiet", type=float, default=30, metavar="S",
                        help="end when nothing new was outside for so long (30)")  # fmt: skip
    parser.add_argument("--seconds", type=float, metavar="S", help="end after so long in any case")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    parser.epilog = (
        "The proposal, a diff of the profile, goes to stdout; it is for the next start, since a "
        "filter of a running process can only be made tighter. exit codes: 0 all was inside; "
        "1 something was outside; 14 eBPF is not to be had here"
    )


def run(parsed: argparse.Namespace) -> int:
    """Watch until it is quiet, and propose."""
    from gotoolforge.seccomp import numbers
    from gotoolforge.seccomp.defaults import find_profiles
    from gotoolforge.seccomp.watching import Watcher

    if not Path(f"/proc/{parsed.pid}/exe").exists():
        what = f"there is no process {parsed.pid}"
        raise UsageError(what, hint="is the number right?")
    found = find_profiles(parsed.profile, numbers.host_arch())
    if len(found) != 1:
        what = f"{parsed.profile} means {', '.join(found)}"
        raise UsageError(what, hint="name one of them")
    ((label, profile),) = found.items()
    console = Console()
    watcher = Watcher(
        Path(f"/proc/{parsed.pid}/exe").resolve(), parsed.pid, profile,
        lambda one: _tell(one, console), threshold=parsed.threshold, quiet=parsed.quiet,
    )  # fmt: skip
    console.say(f"watching {parsed.pid} beside {label} ...")
    watcher.follow(parsed.seconds)
    made = watcher.result(label)
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json(msgspec.to_builtins(made))
    else:
        sys.stdout.write(made.proposal)
    _conclude(made, console)
    return EXIT_FINDINGS if made.outside else EXIT_OK


def _tell(one: "Outside", console: Console) -> None:
    where = f", first from {' <- '.join(one.stack[:4])}" if one.stack else ""
    console.warn(
        f"outside the profile: {one.name}, {one.count} times, {one.rate:g} a second{where}"
    )


def _conclude(made: "Watched", console: Console) -> None:
    console.say(f"{len(made.seen)} calls seen, {len(made.outside)} outside the profile")
    if made.wider:
        console.say("proposed: a wider profile. Judge each name first: is it wanted, or an attack?")
    elif made.proposal:
        console.say(
            f"proposed: a tighter profile, without {len(made.unseen)} calls that were not seen. A "
            "program that runs was not seen to start, and a short look misses rare paths"
        )
    console.say("a running filter can only be made tighter: the proposal is for the next start")
