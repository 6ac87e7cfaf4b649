"""How far a stage is: by the lines of its log, beside those that it wrote the last time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gotoolforge.console import Console
from gotoolforge.forge.recipe import Pace

_TICK = 1.0
# Share of a stage from which its own speed is believed.
_ENOUGH = 0.1


@contextmanager
def watched(console: Console, title: str, log: Path, pace: Pace | None) -> Iterator[None]:
    """Show, while the body runs, how far it is, what time is left, and where the log lies."""
    with console.progress(title, detail=f"log: {log}") as tell:
        ended = threading.Event()
        watcher = threading.Thread(target=_watch, args=(ended, tell, log, pace), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def _watch(
    ended: threading.Event, tell: Callable[[str], None], log: Path, pace: Pace | None
) -> None:
    started, lines, offset = time.monotonic(), 0, 0
    before: int | None = None
    while not ended.wait(_TICK):
        try:
            with log.open("rb") as text:
                text.seek(offset)
                new = text.read()
        except OSError:
            continue
        lines, offset = lines + new.count(b"\n"), offset + len(new)
        # A stage that goes on has a log already.
        before = lines if before is None else before
        tell(describe(lines, time.monotonic() - started, pace, before=before))


def describe(lines: int, elapsed: float, pace: Pace | None, *, before: int = 0) -> str:
    """`43 %, 2:10 gone, about 3:00 left`; without a pace only what is gone.

    `before` are the lines that were there `elapsed` seconds ago. The share is of the known work, so
    it stops at 99 % when a stage writes more than the last time.
    """
    gone = f"{clock(elapsed)} gone"
    if pace is None or not pace.lines:
        return gone
    share = min(lines / pace.lines, 0.99)
    done = share - min(before / pace.lines, share)
    # Early on, what the whole took the last time says more than what was done so far.
    whole = elapsed / done if done > _ENOUGH else pace.seconds
    return f"{share:.0%}, {gone}, about {clock((1 - share) * whole)} left"


def clock(seconds: float) -> str:
    """Minutes and seconds, `12:05`."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
