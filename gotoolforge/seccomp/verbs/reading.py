"""`seccomp list` and `seccomp why`: what reading a program's code says."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UsageError

if TYPE_CHECKING:
    from gotoolforge.seccomp.listing import Listing, Use

_SHOWN_PATHS = 5


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """A program, and for `why` a system call."""
    parser.add_argument("binary", metavar="BINARY", help="a program for Linux")
    if verb == "why":
        parser.add_argument("call", metavar="SYSCALL", help="a name (openat), or a number")
        parser.add_argument("--all", action="store_true", help="every path, not the first few")
        parser.epilog = "exit codes: 0 the program makes it; 1 it does not; 2 no such call"
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    if verb == "list":
        parser.epilog = (
            "exit codes: 0 every number is known; 1 some call may be missing (why, it says)"
        )


def run(parsed: argparse.Namespace) -> int:
    """Carry out `list` or `why`."""
    from gotoolforge.seccomp.listing import list_calls

    listing = list_calls(Path(parsed.binary))
    return _why(parsed, listing) if parsed.verb == "why" else _list(parsed, listing)


def _list(parsed: argparse.Namespace, listing: "Listing") -> int:
    if parsed.json:
        from gotoolforge import report

        report.print_json(listing_value(listing))
    else:
        rows = []
        for name in listing.in_file:
            uses = [one for one in listing.uses if one.name == name]
            state = "reachable" if any(one.path for one in uses) else "in the file"
            owners = list(dict.fromkeys(one.owner for one in uses))
            more = f" and {len(owners) - 2} more" if len(owners) > 2 else ""
            rows.append((name, state, ", ".join(owners[:2]) + more))
        render_table(("CALL", "STATE", "FROM"), rows)
        show_open_ends(listing, Console())
    return EXIT_FINDINGS if listing.unsure else EXIT_OK


def show_open_ends(listing: "Listing", console: Console) -> None:
    """Counts, warnings, and every place whose number nobody can tell."""
    console.say(
        f"{listing.file}: {listing.arch}, {len(listing.in_file)} calls in the file, "
        f"{len(listing.reachable)} reachable, {listing.sites} places enter the kernel"
    )
    for warning in listing.warnings:
        console.warn(warning)
    for one in listing.unresolved:
        state = "reachable" if one.reachable else "not reachable"
        if one.known:
            console.say(f"  {one.site}: number unknown here, and found elsewhere: {one.known}")
        else:
            console.warn(
                f"{one.site} at {one.address:#x} ({state}): number unknown: {one.reason}"
                + (f", in {one.lost_in}" if one.lost_in != one.site else "")
            )


def listing_value(listing: "Listing") -> dict[str, object]:
    """A listing as plain values."""
    import msgspec

    value: dict[str, object] = msgspec.to_builtins(listing)
    return {**value, "in_file": listing.in_file, "reachable": listing.reachable}


def _why(parsed: argparse.Namespace, listing: "Listing") -> int:
    uses = [one for one in listing.uses if parsed.call in (one.name, str(one.number))]
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json({"call": parsed.call, "uses": msgspec.to_builtins(uses)})
        return EXIT_OK if uses else EXIT_FINDINGS
    if not uses:
        _nothing(parsed.call, listing)
        return EXIT_FINDINGS
    shown = uses if parsed.all else uses[:_SHOWN_PATHS]
    for one in shown:
        _show_path(one)
    if len(shown) < len(uses):
        Console().say(f"{len(uses) - len(shown)} more; --all shows them")
    return EXIT_OK


def _show_path(use: "Use") -> None:
    if not use.path:
        print(f"{use.owner}: in the file, and nothing that starts reaches it")
        return
    print(f"{use.path[0]}  [{use.root}]")
    for name in use.path[1:]:
        print(f"  -> {name}")
    note = f" ({use.note})" if use.note else ""
    print(f"  => {use.name}{note}")


def _nothing(call: str, listing: "Listing") -> None:
    from gotoolforge.seccomp import numbers

    known = numbers.calls_of(listing.arch)
    if call not in known and not (call.isdigit() and int(call) in known.values()):
        import difflib

        near = difflib.get_close_matches(call, known, 3)
        what = f"{listing.arch} has no system call {call!r}"
        raise UsageError(what, hint=f"did you mean {', '.join(near)}?" if near else "")
    console = Console()
    console.line(f"{listing.file} does not make {call}")
    if listing.open_ends:
        count = len(listing.open_ends)
        console.warn(f"{count} reachable places have an unknown number; `seccomp list` names them")
