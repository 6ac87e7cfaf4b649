"""verify: judge ELF files."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UnreadableError, UsageError
from gotoolforge.target import find_target

if TYPE_CHECKING:
    from gotoolforge.verify import FileReport

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
    parser.add_argument("--policy", default="no-host-libc", metavar="NAME|FILE")
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
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import verify_file

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    policy = load_policy(parsed.policy)
    target = find_target(parsed.target) if parsed.target else None
    reports = [
        verify_file(Path(name), policy=policy, target=target, given=name)
        for name in _names(parsed.files)
    ]
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
