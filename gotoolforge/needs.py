"""What static is not enough for: files that a Go program opens and that an image may lack."""

import functools

from gotoolforge import paths
from gotoolforge.elf import ElfFacts
from gotoolforge.tables import Row, load_table


class Need(Row, frozen=True):
    """One row of `recipes/runtime_needs.toml`, where the fields are explained."""

    id: str
    functions: tuple[str, ...]
    sentence: str
    unless_functions: tuple[str, ...] = ()
    unless_tags: tuple[str, ...] = ()


class _Needs(Row, frozen=True):
    need: tuple[Need, ...]


@functools.cache
def load_needs() -> tuple[Need, ...]:
    """The table."""
    return load_table(paths.recipes_dir() / "runtime_needs.toml", _Needs).need


def functions() -> tuple[str, ...]:
    """The Go functions that a reader should look for."""
    return tuple(one for need in load_needs() for one in need.functions + need.unless_functions)


def needs_of(facts: ElfFacts) -> tuple[str, ...]:
    """A sentence for each need of the program."""
    if facts.go is None:
        return ()
    have = set(facts.go.functions)
    tags = set(facts.go.settings.get("-tags", "").replace(",", " ").split())
    return tuple(
        row.sentence
        for row in load_needs()
        if have & set(row.functions)
        and not have & set(row.unless_functions)
        and not tags & set(row.unless_tags)
    )
