"""One module a group of commands: interchangeable siblings with the same two functions.

`add_arguments(parser, name)` says what the command understands and imports nothing heavy, since
`--help` runs it; `run(parsed)` joins the words, calls the story, reports, and gives the exit code.
"""

import argparse
import os

# `typing` is a tenth of `--help`; type checkers take a name like this for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, asked without `shutil`, whose import is a tenth of `--help`."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS", "")) or os.get_terminal_size().columns
        except (ValueError, OSError):
            width = 80
        super().__init__(prog, width=width - 2)


class CommandParser(argparse.ArgumentParser):
    """A parser, or the empty place of one.

    Eighteen of them cost as much as importing argparse, and a command line asks one; the others are
    names in a list.
    """

    def __init__(self, *, made: bool = True, **words: "Any") -> None:
        if made:
            super().__init__(**words)


def add_volume(one: argparse.ArgumentParser) -> None:
    """`--quiet` and `--verbose`, which every command that works for long takes."""
    one.add_argument("--quiet", "-q", action="store_true", help="only results and errors")
    one.add_argument("--verbose", action="store_true", help="show commands and decisions")


def add_command(
    commands: "argparse._SubParsersAction[CommandParser]",
    name: str,
    summary: str,
    made: bool = True,
) -> CommandParser:
    """A sub-parser in the house's manner: its summary is its help and its description."""
    return commands.add_parser(
        name,
        made=made,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        allow_abbrev=False,
        formatter_class=HelpFormatter,
    )
