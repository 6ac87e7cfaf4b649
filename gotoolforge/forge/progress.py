"""How far a stage is: by the lines of its log, beside when it wrote as many the last time."""

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
# In how many equal parts of its lines a stage is remembered.
_PARTS = 40


@contextmanager
def watched(
    console: Console, title: str, log: Path, pace: Pace | None
) -> Iterator[list[tuple[float, int]]]:
    """Show, while the body runs, how far it is, what time is left, and where the log lies.

    What is given grows: the seconds gone and the lines written, once a second.
    """
    seen: list[tuple[float, int]] = []
    with console.progress(title, detail=f"log: {log}") as tell:
        ended = threading.Event()
        words = (ended, tell, log, pace, seen)
        watcher = threading.Thread(target=_watch, args=words, daemon=True)
        watcher.start()
        try:
            yield seen
        finally:
            ended.set()
            watcher.join()


def _watch(
    ended: threading.Event,
    tell: Callable[[str], None],
    log: Path,
    pace: Pace | None,
    seen: list[tuple[float, int]],
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
        elapsed = time.monotonic() - started
        seen.append((elapsed, lines))
        tell(describe(lines, elapsed, pace, before=before))


def describe(lines: int, elapsed: float, pace: Pace | None, *, before: int = 0) -> str:
    """`43 %, 2:10 gone, about 3:00 left`; without a pace only what is gone.

    `before` are the lines that were there `elapsed` seconds ago. The share is of the known work, so
    it stops at 99 % when a stage writes more than the last time.
    """
    gone = f"{clock(elapsed)} gone"
    if pace is None or not pace.lines:
        return gone
    share = min(_time_share(lines, pace), 0.99)
    done = share - min(_time_share(before, pace), share)
    # Early on, what the whole took the last time says more than what was done so far.
    whole = elapsed / done if done > _ENOUGH else pace.seconds
    return f"{share:.0%}, {gone}, about {clock((1 - share) * whole)} left"


def _time_share(lines: int, pace: Pace) -> float:
    """The share of its time that the stage had needed for as many lines.

    They say little by themselves: configure writes as many in a second as compilers in a minute.
    """
    points = (0.0, *pace.marks, 1.0)
    place = min(lines / pace.lines, 1) * (len(points) - 1)
    part = min(int(place), len(points) - 2)
    return points[part] + (points[part + 1] - points[part]) * (place - part)


def marks_of(seen: list[tuple[float, int]], seconds: float, lines: int) -> tuple[float, ...]:
    """A stage's `Pace.marks`, from what was seen each second; none for one of a few seconds."""
    if len(seen) < _PARTS:
        return ()
    wanted = (part * lines / _PARTS for part in range(1, _PARTS))
    times = (next((gone for gone, written in seen if written >= one), seconds) for one in wanted)
    return tuple(round(min(one / seconds, 1), 3) for one in times)


def clock(seconds: float) -> str:
    """Minutes and seconds, `12:05`."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"
