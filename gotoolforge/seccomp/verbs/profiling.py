"""`seccomp profile`, `check` and `run`: make a profile, judge one, apply one."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UsageError

if TYPE_CHECKING:
    from gotoolforge.seccomp.filtered import Refusal
    from gotoolforge.seccomp.making import Made

REASONS = ".reasons.json"


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """The words of each of the three."""
    if verb == "run":
        parser.usage = "gotoolforge seccomp run --profile P [options] -- PROGRAM [ARGUMENT ...]"
        parser.add_argument(
            "--profile",
            required=True,
            metavar="FILE|NAME",
            help="a file, or an engine's default (docker, podman, systemd ...)",
        )
        parser.add_argument("--seconds", type=float, metavar="S", help="kill it after so long")
        parser.add_argument(
            "words", nargs="+", metavar="-- PROGRAM ARGUMENT", help="what to run, and its arguments"
        )
        parser.epilog = "exit codes: the program's; 1 if it ended well and something was refused"
    else:
        parser.add_argument("binary", metavar="BINARY", help="a program for Linux")
    if verb == "check":
        parser.add_argument(
            "--profile",
            default="all",
            metavar="FILE|NAME|all",
            help="a file, an engine (docker, containerd, podman, systemd), a version of "
            "its default (docker-28.3.3), or all (the default)",
        )
        parser.epilog = "exit codes: 0 all is allowed; 1 something reachable would be stopped"
    if verb == "profile":
        parser.add_argument(
            "--runtime",
            default="runc",
            metavar="R[@VERSION]",
            help="what will start it, whose own calls are allowed too: runc (the "
            "default), crun, containerd, podman, docker, none; runc@1.1.5",
        )
        parser.add_argument(
            "--trace",
            action="append",
            default=[],
            metavar="FILE",
            help="a trace of the same program (seccomp trace -o FILE): what it shows "
            "is allowed too; may be given again",
        )
        parser.add_argument(
            "--loose",
            action="store_true",
            help="no conditions on arguments (families of sockets, flags of clone)",
        )
        parser.add_argument(
            "-o",
            dest="output",
            metavar="FILE",
            help="where to (default: stdout); the reasons go to FILE.reasons.json",
        )
        parser.epilog = "exit codes: 0 made; 1 made, and some call may be missing"
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def run(parsed: argparse.Namespace) -> int:
    """Carry out one of the three."""
    return {"profile": _profile, "check": _check, "run": _run}[parsed.verb](parsed)


def _profile(parsed: argparse.Namespace) -> int:
    import sys

    import msgspec

    from gotoolforge import jsontext, report, store
    from gotoolforge.seccomp import making, profile
    from gotoolforge.seccomp.listing import list_calls
    from gotoolforge.seccomp.trace import load_trace

    traces = tuple(load_trace(Path(name)) for name in parsed.trace)
    listing = list_calls(Path(parsed.binary))
    made = making.make_profile(listing, traces, parsed.runtime, loose=parsed.loose)
    text = profile.profile_json(made.profile)
    if parsed.output:
        out = Path(parsed.output)
        store.write_atomically(out, text)
        beside = out.with_name(out.name + REASONS)
        reasons = {"version": 1, "program": str(listing.file), "reasons": made.reasons}
        store.write_atomically(beside, jsontext.document(reasons))
    if parsed.json:
        report.print_json(msgspec.to_builtins(made))
    elif not parsed.output:
        sys.stdout.buffer.write(text)
    _tell(made, parsed.output, Console())
    return EXIT_FINDINGS if listing.unsure else EXIT_OK


def _tell(made: "Made", output: str | None, console: Console) -> None:
    from gotoolforge.seccomp import libseccomp
    from gotoolforge.seccomp.making import how_to_apply

    console.say(f"{len(made.reasons)} calls allowed, everything else is answered EPERM")
    for note in made.notes:
        console.warn(note)
    if made.comparison:
        for name in made.comparison.missed:
            console.warn(f"{name} was traced and not found by reading; it is in the profile")
        never = made.comparison.never_traced
        if never:
            console.say(f"  never traced, and reachable: {' '.join(never)}")
    unknown = libseccomp.unknown_here(made.reasons)
    if unknown:
        console.warn(
            f"libseccomp {libseccomp.version()} of this machine does not know {', '.join(unknown)}:"
            " a runtime that uses it leaves them out, and refuses them"
        )
    if output:
        console.say(f"written to {output}; why each call is there, to {output}{REASONS}")
        for line in how_to_apply(os.path.abspath(output)):  # noqa: PTH100
            console.say(f"  {line}")


def _check(parsed: argparse.Namespace) -> int:
    from gotoolforge import report
    from gotoolforge.seccomp.checking import check
    from gotoolforge.seccomp.defaults import find_profiles
    from gotoolforge.seccomp.listing import list_calls

    listing = list_calls(Path(parsed.binary))
    stops = check(listing, find_profiles(parsed.profile, listing.arch))
    if parsed.json:
        import msgspec

        value = {"file": listing.file, "unsure": listing.unsure}
        report.print_json({**value, "profiles": msgspec.to_builtins(stops)})
    else:
        for why in listing.unsure:
            Console().warn(why)
        rows = [
            (name, one.name, one.effect, " <- ".join(reversed(one.path[-3:])))
            for name, found in stops.items()
            for one in found
        ]
        if rows:
            render_table(("PROFILE", "CALL", "EFFECT", "FROM"), rows)
        for name, found in stops.items():
            hard = sum(one.allowed == "no" for one in found)
            Console().say(f"{name}: {hard or 'nothing'} of {len(listing.reachable)} stopped")
    return EXIT_FINDINGS if any(x.allowed == "no" for f in stops.values() for x in f) else EXIT_OK


def _run(parsed: argparse.Namespace) -> int:
    from gotoolforge import report
    from gotoolforge.run import find_program
    from gotoolforge.seccomp import numbers
    from gotoolforge.seccomp.defaults import find_profiles
    from gotoolforge.seccomp.filtered import run_filtered

    found = find_profiles(parsed.profile, numbers.host_arch())
    if len(found) != 1:
        what = f"{parsed.profile} means {', '.join(found)}"
        raise UsageError(what, hint="name one of them")
    program = find_program(parsed.words[0])
    if program is None:
        what = f"there is no program {parsed.words[0]}"
        raise UsageError(what, hint="is the name right?")
    (profile,) = found.values()
    code, refused = run_filtered(
        tuple(parsed.words), Path(program).resolve(), profile, seconds=parsed.seconds
    )
    if parsed.json:
        import msgspec

        report.print_json({"exit_code": code, "refused": msgspec.to_builtins(refused)})
    _tell_refusals(refused, Console())
    if code < 0:
        return 128 - code
    return code or (EXIT_FINDINGS if refused else EXIT_OK)


def _tell_refusals(refused: "tuple[Refusal, ...]", console: Console) -> None:
    import errno

    for one in refused:
        gave = errno.errorcode.get(one.errno, str(one.errno)) if one.errno else one.action
        console.warn(f"refused {one.name} {one.count}x with {gave}")
        for name in one.stack:
            console.say(f"    {name}")
    if not refused:
        console.say("nothing was refused")
