"""Two things at once: work for a thread while a child runs, and many items two at a time.

Threads of our own, since `concurrent.futures` imports `logging`: 30 ms that a warm build would pay.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gotoolforge.run import stop_all

T = TypeVar("T")
Item = TypeVar("Item")


def ahead(work: Callable[[], T]) -> Callable[[], T]:
    """Start `work` in a thread now; the value given waits for it, and returns or raises as it did.

    For what can go on while a child runs: Python's imports, or another question to the go command.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def carry_out() -> None:
        try:
            done.append(work())
        except BaseException as error:  # handed on to whoever waits
            failed.append(error)

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()

    def wait() -> T:
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    return wait


@contextmanager
def meanwhile(work: Callable[[], T]) -> Iterator[Callable[[], T]]:
    """`ahead` for the time of the body: when that ends, or raises, `work` has ended too."""
    wait = ahead(work)
    try:
        yield wait
    except BaseException as error:
        if not isinstance(error, Exception):
            stop_all()
        with contextlib.suppress(BaseException):
            wait()
        raise
    wait()


def side_by_side(items: tuple[Item, ...], work: Callable[[Item], T]) -> tuple[T, ...]:
    """`work` on every item, two at a time, the results in order; the first error ends it.

    Two keep the cores busy while one links; each `go build` is parallel in itself.
    """
    waiting = deque(enumerate(items))
    done: dict[int, T] = {}

    def take() -> None:
        while waiting:
            try:
                place, item = waiting.popleft()
            except IndexError:
                return
            try:
                done[place] = work(item)
            except BaseException:
                waiting.clear()
                raise

    other = ahead(take) if len(items) > 1 else None
    try:
        take()
    except BaseException as error:
        if not isinstance(error, Exception):
            stop_all()
        if other:
            with contextlib.suppress(BaseException):
                other()
        raise
    if other:
        other()
    return tuple(done[place] for place in range(len(items)))
