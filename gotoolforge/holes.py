"""Known holes of components by version, and our patches that close them. Data: holes.toml."""

import re
from collections.abc import Iterable
from typing import Literal

from gotoolforge import paths
from gotoolforge.tables import Row, load_table

Reach = Literal["programs", "tools"]


class Hole(Row, frozen=True):
    """A published weakness. `fixed_in` is the first version without it, empty if there is none.

    `patches` are the names of our own that close it; `source` is where the claim stands. `reach`
    says whom it endangers: the programs that are built, or who feeds hostile files to the tools.
    """

    id: str
    component: str
    what: str
    source: str
    since: str = ""
    fixed_in: str = ""
    patches: tuple[str, ...] = ()
    reach: Reach = "programs"


class _Table(Row, frozen=True):
    hole: tuple[Hole, ...]


def load_holes() -> tuple[Hole, ...]:
    """All known holes. Raises RecipeError."""
    return load_table(paths.recipes_dir() / "holes.toml", _Table).hole


def open_holes(
    components: Iterable[tuple[str, str, tuple[str, ...]]], reach: Reach = "programs"
) -> tuple[Hole, ...]:
    """The holes that stand open in components of (name, version, patches applied)."""
    rows = list(components)
    return tuple(
        hole
        for hole in load_holes()
        for name, version, patches in rows
        if name == hole.component
        and reach == hole.reach
        and _affects(hole, version)
        and not set(hole.patches) & set(patches)
    )


def _affects(hole: Hole, version: str) -> bool:
    number = _numbers(version)
    before_fix = not hole.fixed_in or number < _numbers(hole.fixed_in)
    return before_fix and number >= _numbers(hole.since)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
