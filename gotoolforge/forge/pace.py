"""What each stage took on this machine, for telling how far the next forging is."""

from pathlib import Path

import msgspec

from gotoolforge import jsontext, store
from gotoolforge.errors import StoreError
from gotoolforge.forge.recipe import Pace, load_recipe
from gotoolforge.forge.work import Timing


def expected_minutes() -> int:
    """How long a first forging takes here, by what this machine or the recipe's took."""
    pace = {**load_recipe().pace, **remembered_pace()}
    return max(1, round(sum(one.seconds for one in pace.values()) / 60))


def _pace_file() -> Path:
    return store.place("forge", "pace.json")


def remembered_pace() -> dict[str, Pace]:
    """How long each stage took here the last time, by its name."""
    try:
        return msgspec.json.decode(_pace_file().read_bytes(), type=dict[str, Pace])
    except (OSError, msgspec.DecodeError):
        return {}


def remember_pace(timings: dict[str, Timing]) -> None:
    """Keep what these stages took, but for those that were stopped. Raises StoreError."""
    known = remembered_pace()
    known |= {
        name: Pace(seconds=one.seconds, lines=one.lines, marks=one.marks)
        for name, one in timings.items()
        if one.whole
    }
    try:
        store.write_atomically(_pace_file(), jsontext.compact(known))
    except OSError as error:
        what = f"cannot write {_pace_file()}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
