"""A process looked at again and again, and the lines that record it. JSON lines, version 1."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gotoolforge import jsontext
from gotoolforge.errors import PprofError, ProcessError, UnreadableError
from gotoolforge.limits.forecast import Forecast, Outlook
from gotoolforge.limits.pprof import Pprof
from gotoolforge.limits.usage import Usage, read_usage

VERSION = 1


class Look(Usage, frozen=True, kw_only=True):
    """A process at one moment and the outlook of each gauge; one line of a record."""

    outlook: tuple[Outlook, ...]
    version: int = VERSION

    @property
    def near(self) -> bool:
        """Whether a limit is near."""
        return any(one.near for one in self.outlook)

    def to_line(self) -> str:
        """One line of JSON."""
        return jsontext.compact(self).decode()


def looks(
    pid: int, *, pprof: Pprof | None = None, every: float = 1.0, count: int | None = None
) -> Iterator[Look]:
    """Look `count` times, or until the process ends; `every` in seconds.

    Raises ProcessError or PprofError if the first look fails. Later, an answer of the Go runtime
    that does not come is told in `unseen`: a program at its limits may have none to give.
    """
    forecast, seen = Forecast(), 0
    while count is None or seen < count:
        if seen:
            time.sleep(every)
        try:
            usage = read_usage(pid)
        except ProcessError:
            if seen:
                return
            raise
        if pprof:
            try:
                usage = usage.told(pprof.read())
            except PprofError as error:
                if not seen:
                    raise
                usage = msgspec.structs.replace(usage, unseen=error.what)
        seen += 1
        yield Look(**msgspec.structs.asdict(usage), outlook=forecast.add(usage))


def load_record(path: Path) -> tuple[tuple[Look, ...], bool]:
    """The looks of a record, and whether its last line was cut off. Raises UnreadableError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        what = f"{path}: cannot be read: {error.strerror}"
        raise UnreadableError(what) from error
    found: list[Look] = []
    for place, line in enumerate(lines, 1):
        try:
            look = msgspec.json.decode(line, type=Look)
        except ValueError as error:
            # The watch may have been killed while it wrote.
            if found and place == len(lines):
                return tuple(found), True
            what = f"{path}, line {place}: this is no record of a watch: {error}"
            raise UnreadableError(
                what, hint="gotoolforge limits watch PID --record FILE"
            ) from error
        if look.version != VERSION:
            what = f"{path}: version {look.version} of the format; this gotoolforge reads {VERSION}"
            raise UnreadableError(what, hint="use the gotoolforge that wrote it")
        found.append(look)
    if not found:
        what = f"{path}: there is no look in it"
        raise UnreadableError(what, hint="gotoolforge limits watch PID --record FILE")
    return tuple(found), False
