"""Who is to blame: from a binary's symbols to the Go packages that asked for them.

A linked file does not say which object asked for a symbol. What it says is put together: cgo's
stubs in Go's function table (kept by strip), and a table of what the standard library asks for.
"""

import functools

import msgspec

from gotoolforge import paths
from gotoolforge.elf import ElfFacts
from gotoolforge.tables import Row, load_table


class Owner(Row, frozen=True):
    """One row of `recipes/blame.toml`: the package that asks for these symbols."""

    package: str
    proof: str
    symbols: tuple[str, ...]
    remedy: str


class Instead(Row, frozen=True):
    """What takes the place of a package that needs C."""

    package: str
    use: str


class Table(Row, frozen=True):
    """The whole of `recipes/blame.toml`."""

    owner: tuple[Owner, ...]
    instead: tuple[Instead, ...]


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """A package and what it brings; `symbols` are as asked of libraries: `name@VERSION`.

    `calls` are the C functions that it calls by cgo; `certain` says that the file itself names
    the package, in its function table.
    """

    package: str
    calls: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    remedy: str = ""
    certain: bool = False


@functools.cache
def load_blame() -> Table:
    """The table."""
    return load_table(paths.recipes_dir() / "blame.toml", Table)


def proofs() -> tuple[str, ...]:
    """The Go functions that a reader should look for."""
    return tuple(one.proof for one in load_blame().owner if one.proof)


def blame(facts: ElfFacts) -> tuple[Blame, ...]:
    """The packages behind each dynamic symbol, the certain ones first; "" for what nobody owns."""
    table = load_blame()
    remedies = {one.package: one.use for one in table.instead}
    remedies |= {one.package: one.remedy for one in table.owner}
    calls: dict[str, list[str]] = {}
    for call in facts.go.cgo_calls if facts.go else ():
        calls.setdefault(call.package, []).append(call.function)
    symbols: dict[str, list[str]] = {package: [] for package in calls}
    for one in facts.dynamic_symbols:
        if not one.defined:
            version = f"@{one.version}" if one.version else ""
            owner = owner_of(one.name, facts, table)
            symbols.setdefault(owner, []).append(one.name + version)
    found = [
        Blame(
            package=package,
            calls=tuple(sorted(calls.get(package, []))),
            symbols=tuple(sorted(names)),
            remedy=remedies.get(package, ""),
            certain=package in calls,
        )
        for package, names in symbols.items()
    ]
    return tuple(sorted(found, key=lambda one: (not one.certain, not one.package, one.package)))


def owner_of(symbol: str, facts: ElfFacts, table: Table) -> str:
    """The package that asks for a symbol: by its own cgo call, else by the table; or ""."""
    calls = facts.go.cgo_calls if facts.go else ()
    for call in calls:
        if call.function == symbol:
            return call.package
    # A package that calls C of its own is there too; the linker may have left its proof out.
    have = {*facts.go.functions, *(call.package for call in calls)} if facts.go else set()
    for row in table.owner:
        if symbol in row.symbols and (not row.proof or {row.proof, row.package} & have):
            return row.package
    return ""
