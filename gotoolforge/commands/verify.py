"""verify: judge ELF files."""

import argparse
from pathlib import Path

from gotoolforge.commands import add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UnreadableError
from gotoolforge.target import find_target


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Files, a policy, a form of the answer."""
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--policy", default="no-host-libc", metavar="NAME|FILE")
    parser.add_argument("--target", metavar="TARGET", help="also check machine and float ABI")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    add_volume(parser)


def run(parsed: argparse.Namespace) -> int:
    """Judge every file; the exit code is that of the worst."""
    from gotoolforge import report
    from gotoolforge.policy import load_policy
    from gotoolforge.verify import verify_file

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    policy = load_policy(parsed.policy)
    target = find_target(parsed.target) if parsed.target else None
    reports = [
        verify_file(Path(name), policy=policy, target=target, given=name) for name in parsed.files
    ]
    if parsed.json:
        report.print_json({"files": [report.report_value(one) for one in reports]})
    else:
        for one in reports:
            report.show_report(one, console)
    if any(one.error for one in reports):
        return UnreadableError.exit_code
    return EXIT_OK if all(one.passed for one in reports) else EXIT_FINDINGS
