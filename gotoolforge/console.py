"""The one door to the person at the terminal. Everything here goes to stderr.

A terminal gets colour and a spinner (rich); a pipe, a CI log, or NO_COLOR gets plain lines.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.table import Table

_PLAIN_SECONDS = 60.0
_lock = threading.Lock()
_rich: "RichConsole | None" = None


def is_terminal() -> bool:
    """Whether a person watches: stderr is a terminal and no CI has said otherwise."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def printable(text: str) -> str:
    """The text without what would steer a terminal: names in files and of files may hold anything.

    Control characters and bytes that are no UTF-8 are told by their numbers; tabs and line ends
    stay.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\t\n" else one.encode("unicode_escape").decode()
        for one in text
    )


class Console:
    """Says what happens. `label` marks the lines of one target when several are built at once."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False, label: str = "") -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.label = label

    def labelled(self, label: str) -> "Console":
        """The same console, each line marked with `label`."""
        return Console(quiet=self.quiet, verbose=self.verbose, label=label)

    def line(self, text: str, style: str = "") -> None:
        """One line that is shown even when quiet: a result, a warning, a child's own words."""
        text = printable(text)
        if self.label:  # which many a text begins with itself
            text = f"[{self.label}] " + text.removeprefix(f"{self.label}: ")
        with _lock:
            if is_terminal():
                _terminal().print(text, style=style or None, markup=False, highlight=False)
            else:
                print(text, file=sys.stderr, flush=True)

    def say(self, text: str, style: str = "") -> None:
        """One line about progress; silent when quiet."""
        if not self.quiet:
            self.line(text, style)

    def detail(self, text: str) -> None:
        """One line that only `--verbose` shows: a command, an environment, a decision."""
        if self.verbose:
            self.line(text, "dim")

    def warn(self, text: str) -> None:
        """Something that did not stop the work and that a person should know."""
        self.line(f"warning: {text}", "yellow")

    @contextmanager
    def step(self, title: str, *, long: bool = False) -> Iterator[Callable[[str], None]]:
        """A named step; its end is said with the seconds it took.

        The caller may change what is said at the end by calling the value with the new text.
        A `long` step is also announced when it starts, so that nobody thinks it hangs.
        """
        outcome = [title]
        started = time.monotonic()
        if long and not self.quiet:
            if is_terminal() and not self.label:
                with _terminal().status(f"{title} ..."):
                    yield lambda text: outcome.__setitem__(0, text)
            else:
                self.say(f"{title} ...")
                yield lambda text: outcome.__setitem__(0, text)
        else:
            yield lambda text: outcome.__setitem__(0, text)
        self.say(f"{outcome[0]}  ({time.monotonic() - started:.1f}s)")

    @contextmanager
    def progress(self, title: str, *, detail: str = "") -> Iterator[Callable[[str], None]]:
        """A step of many minutes: the caller tells now and then how far it is.

        A terminal shows the last word only; elsewhere a line a minute is enough for a log.
        """
        started = time.monotonic()
        if is_terminal() and not self.label and not self.quiet:
            with _terminal().status(f"{title}  {detail}") as status:
                yield lambda text: status.update(f"{title}  {text}\n  {detail}".rstrip())
        else:
            self.say(f"{title} ...  {detail}".rstrip())
            told = [started]

            def tell(text: str) -> None:
                if time.monotonic() - told[0] >= _PLAIN_SECONDS:
                    told[0] = time.monotonic()
                    self.say(f"{title}  {text}")

            yield tell
        self.say(f"{title}  ({time.monotonic() - started:.1f}s)")


def _terminal() -> "RichConsole":
    # rich is imported for a terminal only: it costs 35 ms that a pipe need not pay.
    global _rich  # noqa: PLW0603
    if _rich is None:
        from rich.console import Console as RichConsole

        _rich = RichConsole(stderr=True, soft_wrap=True)
    return _rich


def render_table(
    headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], title: str = ""
) -> None:
    """A table on stdout: drawn on a terminal, tab-separated without headings' rules in a pipe."""
    rows = [tuple(map(printable, row)) for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console as RichConsole

        RichConsole().print(_drawn(headings, rows, title))
        return
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    for row in [headings, *rows]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


@contextmanager
def live_table(headings: tuple[str, ...]) -> Iterator[Callable[..., None]]:
    """A table on the terminal of stdout that each call with rows and a title draws anew in place.

    A terminal that cannot move its cursor gets the tables one below the other.
    """
    if os.environ.get("TERM") == "dumb":
        yield lambda rows, title="": render_table(headings, rows, title)
        return
    from rich.console import Console as RichConsole
    from rich.live import Live

    with Live(console=RichConsole(), auto_refresh=False) as live:

        def draw(rows: Sequence[tuple[str, ...]], title: str = "") -> None:
            live.update(_drawn(headings, rows, title), refresh=True)

        yield draw


def _drawn(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]], title: str) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, title=Text(title) if title else None, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
