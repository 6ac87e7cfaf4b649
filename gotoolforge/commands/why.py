"""why: which Go package, C function and symbol needs libc, by what chain of imports."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gotoolforge.commands import add_volume
from gotoolforge.console import Console, printable
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, PlanError

if TYPE_CHECKING:
    from gotoolforge.blame import Blame
    from gotoolforge.chains import Chain
    from gotoolforge.elf import ElfFacts
    from gotoolforge.graph import Edge
    from gotoolforge.prebuilt import Prebuilt

_SHOWN = 8  # names in a line for people

EPILOG = """\
An existing file that is no .go file is read as a binary: cgo's stubs in Go's function table (strip
keeps them), versioned symbols and build info tell; of an object or an archive, names that glibc's
headers alone make. Anything else is a package pattern of the module here: `go list` tells the
imports.

exit codes: 0 nothing needs C; 1 something does; 2 misuse; 3 unreadable file; 11 no Go; 12 go list
"""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """A file or packages, and a form of the answer."""
    parser.epilog = EPILOG
    parser.add_argument("what", nargs="+", metavar="FILE|PACKAGE",
                        help="a binary, or packages of the module here")  # fmt: skip
    parser.add_argument("--target", metavar="TARGET", help="packages: for this target")
    parser.add_argument("--tags", default="", metavar="TAGS", help="packages: build tags")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    form.add_argument("--dot", action="store_true", help="a graph for Graphviz on stdout")
    form.add_argument("--mermaid", action="store_true", help="a graph for Markdown on stdout")
    add_volume(parser)


def run(parsed: argparse.Namespace) -> int:
    """Tell it; 1 if anything needs C."""
    path = Path(parsed.what[0])
    is_file = path.exists() and not path.is_dir() and path.suffix != ".go"
    if len(parsed.what) > 1 or not is_file:
        return _source(parsed)
    if _is_object(path):
        return _object(parsed, path)
    return _binary(parsed, path)


def _is_object(path: Path) -> bool:
    """Whether it is an archive or a relocatable object, by its first bytes."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as handle:
            head = handle.read(20)
    except OSError:
        return False  # the reader of binaries says it
    return head[:8] == b"!<arch>\n" or (head[:4] == b"\x7fELF" and 1 in head[16:18])


def _object(parsed: argparse.Namespace, path: Path) -> int:
    from gotoolforge.graph import Edge
    from gotoolforge.objects import glibc_symbols

    symbols = glibc_symbols(path)
    value = {"path": str(path), "verdict": "not-executable", "needed": (), "packages": (),
             "glibc_only": symbols}  # fmt: skip
    edges = [Edge(begin=path.name, end=name, label="asks for") for name in symbols]
    what = f"was built for glibc: it asks for {', '.join(symbols)}" if symbols else ""
    text = [f"{path}: {what or 'no name in it tells of glibc'}"]
    _tell(parsed, value, edges, text)
    return EXIT_FINDINGS if symbols else EXIT_OK


def _binary(parsed: argparse.Namespace, path: Path) -> int:
    from gotoolforge import blame
    from gotoolforge.graph import Edge
    from gotoolforge.verify import inspect

    facts, verdict = inspect(path)
    found = blame.blame(facts)
    edges = []
    for one in found:
        package = one.package or "not known which"
        edges.append(Edge(begin=path.name, end=package))
        edges += [Edge(begin=package, end=f"C.{name}", label="calls") for name in one.calls]
        for symbol in one.symbols:
            name, _, version = symbol.partition("@")
            begin = f"C.{name}" if name in one.calls else package
            edges.append(Edge(begin=begin, end=version or "no version", label=name))
    value = {"path": str(path), "verdict": verdict, "needed": facts.needed, "packages": found}
    text = _binary_lines(path, facts, verdict, found, every=parsed.verbose)
    _tell(parsed, value, edges, text)
    return EXIT_FINDINGS if found else EXIT_OK


def _binary_lines(
    path: Path, facts: "ElfFacts", verdict: str, found: tuple["Blame", ...], *, every: bool
) -> list[str]:
    lines = [f"{path}: {verdict}"]
    if facts.needed:
        lines.append(f"  needs {', '.join(facts.needed)}")
    if facts.go and facts.go.settings:
        told = ("CGO_ENABLED", "-tags", "-buildmode", "-ldflags")
        words = [f"{name}={facts.go.settings[name]}" for name in told if name in facts.go.settings]
        lines.append(f"  built by {facts.go.version} {' '.join(words)}".rstrip())
    for one in found:
        lines.append(f"  {one.package or 'not known which package'}")
        if one.calls:
            lines.append(f"    calls {_some(one.calls, every=every)}")
        if one.symbols:
            newest = sorted(one.symbols, key=_version, reverse=True)
            lines.append(f"    asks for {_some(newest, every=every)}")
        if one.remedy:
            lines.append(f"    to be rid of it: {one.remedy}")
    if not found:
        lines.append("  nothing in it asks for C")
    return lines


def _some(names: Sequence[str], *, every: bool) -> str:
    shown = names if every else names[:_SHOWN]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more (--verbose names them)" if more else "")


def _version(symbol: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", symbol.partition("@")[2]))


def _source(parsed: argparse.Namespace) -> int:
    from gotoolforge import cgo, gosdk
    from gotoolforge.chains import find_chains
    from gotoolforge.graph import Edge
    from gotoolforge.prebuilt import find_beside, find_linked
    from gotoolforge.run import Command
    from gotoolforge.target import default_target, find_target

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    target = find_target(parsed.target) if parsed.target else default_target()
    sdk = gosdk.find_go(Path.cwd(), console)
    words = cgo.list_command(sdk, tuple(parsed.what), (f"-tags={parsed.tags}",))
    env: dict[str, str | None] = {**target.environment, "CGO_ENABLED": "1"}
    command = Command(argv=words, env=env)
    try:
        packages, chains = find_chains(words, command)
    except PlanError as error:
        lost = [one for one in parsed.what if "/" in one and not Path(one).exists()]
        hint = f"there is no file {lost[0]}, so it was taken for a package" if lost else error.hint
        raise PlanError(error.what, hint=hint) from error
    prebuilt = (*find_linked(packages), *find_beside(packages))
    edges = [
        Edge(begin=begin, end=end)
        for one in chains
        for begin, end in zip(one.imports, one.imports[1:], strict=False)
    ]
    edges += [
        Edge(begin=one.package, end=reason, label="has") for one in chains for reason in one.reasons
    ]
    edges += [Edge(begin=one.package, end=Path(one.path).name, label="has") for one in prebuilt]
    value = {"packages": parsed.what, "target": target.name, "chains": chains, "prebuilt": prebuilt}
    _tell(parsed, value, edges, _source_lines(chains, prebuilt))
    return EXIT_FINDINGS if chains or any(one.linked for one in prebuilt) else EXIT_OK


def _source_lines(chains: tuple["Chain", ...], prebuilt: tuple["Prebuilt", ...]) -> list[str]:
    lines = []
    for one in chains:
        lines.append(" -> ".join(one.imports))
        where = f" [{one.module}]" if one.module else ""
        lines.append(f"    {one.package}{where}: {'; '.join(one.reasons)}")
        lines.append(f"    to be rid of it: {one.remedy}")
    lines += [one.say() for one in prebuilt]
    return lines or ["no package needs C"]


def _tell(
    parsed: argparse.Namespace, value: dict[str, Any], edges: list["Edge"], text: list[str]
) -> None:
    import msgspec

    from gotoolforge import graph, report

    if parsed.json:
        report.print_json(msgspec.to_builtins(value))
    elif parsed.dot:
        print(printable(graph.render_dot(edges)))
    elif parsed.mermaid:
        print(printable(graph.render_mermaid(edges)))
    else:
        print(printable("\n".join(text)))
