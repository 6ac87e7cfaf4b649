"""One module a group of commands: interchangeable siblings with the same two functions.

`add_arguments(parser, name)` says what the command understands and imports nothing heavy, since
`--help` runs it; `run(parsed)` joins the words, calls the story, reports, and gives the exit code.
"""

import argparse


def add_volume(one: argparse.ArgumentParser) -> None:
    """`--quiet` and `--verbose`, which every command that works for long takes."""
    one.add_argument("--quiet", "-q", action="store_true", help="only results and errors")
    one.add_argument("--verbose", action="store_true", help="show commands and decisions")


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str
) -> argparse.ArgumentParser:
    """A sub-parser in the house's manner: its summary is its help and its description."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
