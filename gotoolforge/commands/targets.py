"""targets: the table of what can be built for."""

import argparse

from gotoolforge.console import render_table
from gotoolforge.errors import EXIT_OK
from gotoolforge.target import load_targets


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Only the form of the answer."""
    parser.add_argument("--json", action="store_true", help="the table as JSON on stdout")


def run(parsed: argparse.Namespace) -> int:
    """Print the table."""
    rows = load_targets()
    if parsed.json:
        import msgspec

        from gotoolforge import report

        values = [{**msgspec.to_builtins(row), "platform": row.platform} for row in rows]
        report.print_json({"targets": values})
        return EXIT_OK
    table = [
        (row.name, row.platform, row.triple, "yes" if row.zig else "no", row.distro_gcc or "-")
        for row in rows
    ]
    render_table(("TARGET", "GO", "TRIPLE", "ZIG", "DISTRIBUTION GCC"), table)
    return EXIT_OK
