"""`seccomp audit`, `diff` and `embed`: a profile's holes, differences, and a filter in Go."""

import argparse
import sys
from pathlib import Path

from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UsageError


def add_arguments(parser: argparse.ArgumentParser, verb: str) -> None:
    """The words of each of the three."""
    if verb == "diff":
        for name in ("before", "after"):
            parser.add_argument(name, metavar=name.upper(), help="a program, a profile or a trace")
        parser.epilog = "exit codes: 0 the same calls; 1 they differ"
    else:
        parser.add_argument(
            "profile", metavar="PROFILE", help="a file, or an engine's default (docker, podman ...)"
        )
        parser.add_argument("--arch", metavar="GOARCH", help="default: this machine's")
    if verb == "embed":
        parser.add_argument("-o", dest="output", metavar="FILE.go", help="default: stdout")
        parser.add_argument("--package", default="main", metavar="NAME",
                            help="the package clause of the file (default: main)")  # fmt: skip
        return
    if verb == "audit":
        parser.epilog = "exit codes: 0 no hole of severity error; 1 some"
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")


def run(parsed: argparse.Namespace) -> int:
    """Carry out one of the three."""
    return {"audit": _audit, "diff": _diff, "embed": _embed}[parsed.verb](parsed)


def _arch(parsed: argparse.Namespace) -> str:
    from gotoolforge.seccomp import numbers

    arch: str = parsed.arch or numbers.host_arch()
    if arch not in numbers.architectures():
        what = f"{arch!r} is no architecture of Go's that is known here"
        raise UsageError(what, hint=", ".join(numbers.architectures()))
    return arch


def _audit(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.seccomp.auditing import audit
    from gotoolforge.seccomp.defaults import find_profiles

    arch = _arch(parsed)
    found = {name: audit(one, arch) for name, one in find_profiles(parsed.profile, arch).items()}
    if parsed.json:
        report.print_json({"profiles": msgspec.to_builtins(found)})
    else:
        rows = [
            (name, one.severity, one.arch, one.call, one.answer, one.why)
            for name, holes in found.items()
            for one in holes
        ]
        if rows:
            render_table(("PROFILE", "SEVERITY", "ARCH", "CALL", "ANSWER", "WHY"), rows)
        for name, holes in found.items():
            errors = sum(one.severity == "error" for one in holes)
            Console().say(f"{name}: {errors} holes, {len(holes) - errors} warnings "
                          "(computed by running the filter in a simulator)")  # fmt: skip
    grave = any(one.severity == "error" for holes in found.values() for one in holes)
    return EXIT_FINDINGS if grave else EXIT_OK


def _diff(parsed: argparse.Namespace) -> int:
    import msgspec

    from gotoolforge import report
    from gotoolforge.seccomp.differing import differences, load_side

    before, after = load_side(Path(parsed.before)), load_side(Path(parsed.after))
    changes = differences(before, after)
    if parsed.json:
        report.print_json({"before": before.label, "after": after.label,
                           "changes": msgspec.to_builtins(changes)})  # fmt: skip
    else:
        Console().say(f"from {before.label} to {after.label}")
        for one in changes:
            print(f"{one.kind} {one.name} {one.words}".rstrip())
    return EXIT_FINDINGS if changes else EXIT_OK


def _embed(parsed: argparse.Namespace) -> int:
    from gotoolforge import store
    from gotoolforge.seccomp.defaults import find_profiles
    from gotoolforge.seccomp.embedding import embed

    arch = _arch(parsed)
    found = find_profiles(parsed.profile, arch)
    if len(found) != 1:
        what = f"{parsed.profile} means {', '.join(found)}"
        raise UsageError(what, hint="name one of them")
    text = embed(next(iter(found.values())), arch, parsed.package)
    if parsed.output:
        store.write_atomically(Path(parsed.output), text)
    else:
        sys.stdout.write(text)
    return EXIT_OK
