"""recipe: looking after the data that decides what is built."""

import argparse

from gotoolforge import paths
from gotoolforge.commands import CommandParser, add_command
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_OK, RecipeError


def add_arguments(parser: CommandParser, _name: str) -> None:
    """One verb so far."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = add_command(verbs, "check", "read every data file, and name all that is wrong")
    verb.add_argument("--json", action="store_true", help="the findings as JSON on stdout")


def run(parsed: argparse.Namespace) -> int:
    """Check; the exit code is RecipeError's if anything is wrong."""
    from gotoolforge.recipe_check import check_recipes

    count, wrong = check_recipes()
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json({"tables": count, "findings": msgspec.to_builtins(wrong)})
    else:
        for one in wrong:
            print(one.message)
        Console().say(f"{paths.recipes_dir()}: {count} tables, {len(wrong)} mistakes")
    return RecipeError.exit_code if wrong else EXIT_OK
