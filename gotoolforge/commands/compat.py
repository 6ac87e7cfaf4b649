"""compat: the floor of a binary, and which distributions run it."""

import argparse
import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import add_volume
from gotoolforge.console import Console, printable, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK

if TYPE_CHECKING:
    from gotoolforge.compat import Place
    from gotoolforge.elf import ElfFacts

EPILOG = """\
Without --root, --image and --libc every distribution of recipes/distributions.toml is judged by the
libc that it ships. With them the libraries there are asked for the very symbols. One row is always
this machine, judged by its own files.

exit codes: 0 it runs at every place that was named by --root, --image or --libc (or, where none
was, anywhere at all); 1 it does not, or that is not known; 2 misuse; 3 a file could not be read
"""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """A file, and places."""
    parser.epilog = EPILOG
    parser.add_argument("file", metavar="FILE", help="an ELF program or library")
    parser.add_argument(
        "--root", action="append", default=[], metavar="DIR", help="a root folder; repeatable"
    )
    parser.add_argument(
        "--image", action="append", default=[], metavar="FILE.tar|NAME",
        help="an image (docker save), the tarball of a root, or a name for a container engine",
    )  # fmt: skip
    parser.add_argument(
        "--libc", action="append", default=[], metavar="libc.so.6",
        help="a distribution's own libc file; repeatable",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    add_volume(parser)


def run(parsed: argparse.Namespace) -> int:
    """Judge every place; a table on stdout."""
    from gotoolforge import compat, report
    from gotoolforge.verify import glibc_floor, inspect

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    facts, verdict = inspect(Path(parsed.file))
    named = (
        *(_in_root(facts, verdict, name) for name in parsed.root),
        *(_in_image(facts, verdict, name) for name in parsed.image),
        *(compat.by_libc(facts, verdict, Path(name)) for name in parsed.libc),
    )
    here = compat.this_machine(facts, verdict)
    table = () if named else compat.by_table(facts, verdict, datetime.date.today())
    places = (*named, here, *table)
    floor = glibc_floor(facts)
    advice = _advice(facts)
    if parsed.json:
        value = {"path": parsed.file, "verdict": verdict, "floor": floor, "advice": advice}
        report.print_json({**value, "places": [_plain(one) for one in places]})
    else:
        _show(places, parsed.file, verdict, floor)
        for line in advice:
            console.say(line)
    good = [one.answer == "runs" for one in named or places]
    return EXIT_OK if (all(good) if named else any(good)) else EXIT_FINDINGS


def _in_root(facts: "ElfFacts", verdict: str, name: str) -> "Place":
    from gotoolforge import compat, rootfs

    with rootfs.opened(Path(name)) as root:
        return compat.by_root(facts, verdict, root, name)


def _in_image(facts: "ElfFacts", verdict: str, name: str) -> "Place":
    from gotoolforge import compat
    from gotoolforge.prove.engine import exported_root, find_engine, is_name, made_container
    from gotoolforge.prove.trial import Wanted

    if not is_name(name):
        return _in_root(facts, verdict, name)
    nothing = Wanted(file=Path(os.devnull))
    with made_container(find_engine(), name, nothing) as made, exported_root(made) as root:
        return compat.by_root(facts, verdict, root, name)


def _plain(place: "Place") -> dict[str, object]:
    import msgspec

    value: dict[str, object] = msgspec.to_builtins(place)
    return value


def _show(places: tuple["Place", ...], path: str, verdict: str, floor: str | None) -> None:
    print(f"{printable(path)}: {verdict}" + (f", needs glibc {floor} or newer" if floor else ""))
    rows = [
        (
            one.name,
            one.libc,
            one.answer,
            "; ".join(one.because),
            one.eol + (" (past)" if one.past_eol else ""),
        )
        for one in places
    ]
    render_table(("place", "libc", "answer", "because", "end of life"), rows)


def _advice(facts: "ElfFacts") -> list[str]:
    """What patchelf could mend in a dynamic file; never done here."""
    if not facts.interpreter:
        return []
    return [
        "to ship its libraries beside it: patchelf --set-rpath '$ORIGIN/lib' FILE",
        "to start it by another loader: patchelf --set-interpreter /path/to/ld.so FILE",
        "to need neither: gotoolforge build links it statically against musl",
    ]
