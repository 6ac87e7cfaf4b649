"""verify: judge ELF files."""

import argparse
import itertools
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UnreadableError, UsageError
from gotoolforge.target import find_target

if TYPE_CHECKING:
    from gotoolforge.verify import FileReport

_MANY = 50  # files that take more than a second

EPILOG = """\
policies: no-host-libc (the default), no-libc, musl-static, glibc-2.28 (or any version: may need the
host's glibc, of at most that version), or a TOML file of yours (see recipes/policies).

exit codes: 0 all files pass; 1 findings; 2 misuse; 3 a file could not be read
"""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Files, a policy, a form of the answer."""
    parser.epilog = EPILOG
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="ELF files; - reads a list (lines, or find -print0)",
    )
    parser.add_argument("--policy", default="no-host-libc", metavar="NAME|FILE",
                        help="what it is held to; listed below")  # fmt: skip
    parser.add_argument("--target", metavar="TARGET", help="also check machine and float ABI")
    parser.add_argument("--sbom", metavar="BILL", help="is FILE what this CycloneDX bill says?")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    form.add_argument("--sarif", action="store_true", help="the findings as SARIF 2.1.0 on stdout")
    form.add_argument("--schema", action="store_true", help="the JSON's schema on stdout")
    form.add_argument(
        "--explain",
        nargs="?",
        const="",
        metavar="ID",
        help="what a check asks, and why",
    )
    add_volume(parser)


def run(parsed: argparse.Namespace) -> int:
    """Judge every file; the exit code is that of the worst."""
    if parsed.schema:
        return _schema()
    if parsed.explain is not None:
        return _explain(parsed.explain)
    return _judge(parsed)


def _judge(parsed: argparse.Namespace) -> int:
    from gotoolforge import report

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    reports = _reports(parsed, console)
    if parsed.sbom:
        reports = [_held_against(Path(parsed.sbom), reports)]
    if parsed.json:
        report.print_json({"files": [report.report_value(one) for one in reports]})
    elif parsed.sarif:
        from gotoolforge.sarif import to_sarif

        report.print_document(to_sarif(reports))
    else:
        for one in reports:
            report.show_report(one, console)
    if any(one.error for one in reports):
        return UnreadableError.exit_code
    return EXIT_OK if all(one.passed for one in reports) else EXIT_FINDINGS


def _reports(parsed: argparse.Namespace, console: Console) -> "list[FileReport]":
    from gotoolforge.beside import side_by_side
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import load_tables, verify_file

    policy = load_policy(parsed.policy)
    target = find_target(parsed.target) if parsed.target else None
    names = tuple(_names(parsed.files))
    load_tables()
    done = itertools.count(1)
    many = console.progress(f"verify {len(names)} files") if len(names) > _MANY else nullcontext()
    with many as tell:

        def one(name: str) -> "FileReport":
            report = verify_file(Path(name), policy=policy, target=target, given=name)
            if tell:
                tell(f"{next(done)} done")
            return report

        return list(side_by_side(names, one))


def _held_against(bill: Path, reports: "list[FileReport]") -> "FileReport":
    import msgspec

    from gotoolforge.finding import in_order
    from gotoolforge.sbom import compare_bill

    if len(reports) != 1:
        what = "--sbom is about one file"
        raise UsageError(what)
    (one,) = reports
    if one.error:
        return one
    found = [*one.findings, *compare_bill(bill, Path(one.path), one)]
    return msgspec.structs.replace(one, findings=in_order(found))


def _names(words: list[str]) -> list[str]:
    names = [
        name
        for word in words
        for name in (_listed(sys.stdin.read()) if word == "-" else [word])
        if name
    ]
    if not names:
        what = "no file was named"
        raise UsageError(what, hint="gotoolforge verify FILE..., or - for a list on stdin")
    return names


def _listed(text: str) -> list[str]:
    # `find -print0` is for names that hold the ends of lines.
    return text.split("\0" if "\0" in text else "\n")


def _schema() -> int:
    from gotoolforge import paths

    sys.stdout.write((paths.recipes_dir() / "schemas" / "verify-1.json").read_text())
    return EXIT_OK


def _explain(wanted: str) -> int:
    from gotoolforge.policy import load_checks

    table = load_checks()
    if not wanted:
        for check in table.values():
            print(f"{check.id:24} {check.severity:8} {check.asks}")
        return EXIT_OK
    if wanted not in table:
        what = f"no such check: {wanted!r}"
        raise UsageError(what, hint="`gotoolforge verify --explain` lists them")
    check = table[wanted]
    print(
        f"{check.id} ({check.severity})\nasks  {check.asks}\nwhy   {check.why}\nfix   {check.fix}"
    )
    return EXIT_OK
