"""`seccomp map`: which standard packages bring which system calls."""

import argparse
from pathlib import Path

from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_OK


def add_arguments(parser: argparse.ArgumentParser, _verb: str) -> None:
    """Packages, an architecture, and the form of the answer."""
    parser.add_argument("packages", nargs="*", metavar="PACKAGE",
                        help="standard packages (default: the usual ones)")  # fmt: skip
    parser.add_argument("--arch", metavar="GOARCH", help="default: this machine's")
    parser.add_argument("--go", default="", metavar="FILE", help="the go command to ask")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    form.add_argument("--dot", action="store_true", help="a graph for Graphviz on stdout")
    form.add_argument("--mermaid", action="store_true", help="a graph for Markdown on stdout")
    parser.epilog = "exit codes: 0 made; 2 no such package or architecture"


def run(parsed: argparse.Namespace) -> int:
    """Compute the map and print it."""
    import msgspec

    from gotoolforge import graph, report
    from gotoolforge.errors import UsageError
    from gotoolforge.gosdk import find_go
    from gotoolforge.seccomp import mapping, numbers

    console = Console()
    arch = parsed.arch or numbers.host_arch()
    if arch not in numbers.architectures():
        what = f"no architecture is called {arch!r}"
        raise UsageError(what, hint=f"one of {', '.join(numbers.architectures())}")
    sdk = find_go(Path.cwd(), console, explicit=parsed.go)
    packages = tuple(dict.fromkeys(parsed.packages or mapping.DEFAULT))
    console.say(f"{sdk.version}: building and reading a program for each of {len(packages)} ...")
    made = mapping.make_map(sdk, packages, arch)
    edges = [
        graph.Edge(begin=package, end=call)
        for package, one in made.packages.items()
        for call in one.calls
    ]
    if parsed.json:
        report.print_json(msgspec.to_builtins(made))
    elif parsed.dot:
        print(graph.render_dot(edges))
    elif parsed.mermaid:
        print(graph.render_mermaid(edges))
    else:
        rows = [(name, _words(one)) for name, one in made.packages.items()]
        render_table(("PACKAGE", "BRINGS"), rows)
        console.say(f"every program can make: {' '.join(made.always)}")
    return EXIT_OK


def _words(one: "object") -> str:
    from gotoolforge.seccomp.mapping import Brought

    assert isinstance(one, Brought)
    text = " ".join(one.calls) or "nothing"
    return f"{text}  (and {one.unknown} places with any number)" if one.unknown else text
