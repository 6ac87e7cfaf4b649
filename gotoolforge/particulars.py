"""What is told of a file beside its verdict: facts in words, by tables in `recipes/`. Pure."""

import functools
import struct

import msgspec

from gotoolforge import paths
from gotoolforge.blame import load_blame, owner_of
from gotoolforge.dynsym import Symbol
from gotoolforge.elf import ElfFacts
from gotoolforge.judgement import GLIBC_ONLY, MUSL_HAS
from gotoolforge.notes import Note
from gotoolforge.tables import Row, load_table


class ToldNote(msgspec.Struct, frozen=True, kw_only=True):
    """An ELF note; `content` is hex (its first 256 bytes), `words` what it means, where known."""

    owner: str
    type: int
    words: str
    content: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the file, or the libc in it, loads once it runs; `evidence` says how we know.

    `kind` is dlopen, nss, iconv or locale.
    """

    kind: str
    says: str
    evidence: tuple[str, ...]


class _Flag(Row, frozen=True):
    machine: str
    mask: int
    value: int
    words: str
    bits: int = 0


class _MipsFloat(Row, frozen=True):
    value: int
    words: str


class _Flags(Row, frozen=True):
    flag: tuple[_Flag, ...]
    mips_float: tuple[_MipsFloat, ...]


class _Load(Row, frozen=True):
    kind: str
    verdict: str
    says: str
    symbols: tuple[str, ...]
    strings: tuple[str, ...] = ()


class _Loads(Row, frozen=True):
    load: tuple[_Load, ...]


@functools.cache
def _load_flags() -> _Flags:
    return load_table(paths.recipes_dir() / "elf_flags.toml", _Flags)


@functools.cache
def _load_loads() -> tuple[_Load, ...]:
    return load_table(paths.recipes_dir() / "runtime_loads.toml", _Loads).load


def load_all() -> None:
    """Read both tables ahead of the first file."""
    _load_flags()
    _load_loads()


def wanted_symbols() -> tuple[str, ...]:
    """The names in a static file's symbol table that a reader should look for."""
    rows = (one for one in _load_loads() if one.verdict.endswith("-static"))
    return tuple(dict.fromkeys(name for row in rows for name in row.symbols))


def wanted_strings() -> tuple[str, ...]:
    """The strings that a reader should look for."""
    return tuple(text for row in _load_loads() for text in row.strings)


def abi_words(facts: ElfFacts) -> tuple[str, ...]:
    """What the header's flags say of the ABI; empty for machines without any (x86, arm64)."""
    table = _load_flags()
    words = [
        row.words
        for row in table.flag
        if row.machine == facts.machine
        and row.bits in (0, facts.bits)
        and facts.flags & row.mask == row.value
    ]
    words += [one.words for one in table.mips_float if one.value == facts.mips_float]
    return tuple(words)


def told_notes(facts: ElfFacts) -> tuple[ToldNote, ...]:
    """Every note, the known ones in words."""
    return tuple(
        ToldNote(owner=one.owner, type=one.type, content=one.content, words=_note_words(one, facts))
        for one in facts.notes
    )


def build_id(facts: ElfFacts) -> str | None:
    """The note GNU/NT_GNU_BUILD_ID as hex, or None."""
    return next((one.content for one in facts.notes if (one.owner, one.type) == ("GNU", 3)), None)


def go_build_id(facts: ElfFacts) -> str | None:
    """Go's own build id (note Go/4): hashes of the build's inputs and of its output; or None."""
    raw = next((one.content for one in facts.notes if (one.owner, one.type) == ("Go", 4)), None)
    return bytes.fromhex(raw).decode(errors="replace").rstrip("\0") if raw else None


def _note_words(note: Note, facts: ElfFacts) -> str:
    known = {
        ("GNU", 1): "ABI tag: " + _abi_tag(note, facts.order),
        ("GNU", 3): "build id",
        ("GNU", 5): "properties of the processor (CET, BTI and their like)",
        ("Go", 4): "Go's build id",
        ("stapsdt", 3): "a SystemTap probe",
        ("Xen", 18): "an entry for Xen",
    }
    return known.get((note.owner, note.type), "")


def _abi_tag(note: Note, order: str) -> str:
    raw = bytes.fromhex(note.content)
    ends = "<" if order == "little" else ">"
    words = [one for (one,) in struct.iter_unpack(f"{ends}I", raw[: len(raw) // 4 * 4])]
    if len(words) < 4:
        return "cut short"
    system = {0: "Linux", 1: "Hurd", 2: "Solaris", 3: "FreeBSD"}.get(words[0], "unknown system")
    return f"for {system} {words[1]}.{words[2]}.{words[3]} or newer"


def symbols_by_version(facts: ElfFacts) -> dict[str, tuple[str, ...]]:
    """The undefined symbols that ask for each version."""
    asks: dict[str, list[str]] = {version: [] for _, version in facts.versions}
    for one in facts.dynamic_symbols:
        if not one.defined and one.version in asks:
            asks[one.version].append(one.name)
    return {version: tuple(sorted(names)) for version, names in sorted(asks.items())}


def glibc_only(facts: ElfFacts) -> tuple[str, ...]:
    """Symbols left undefined that glibc's headers alone name."""
    asked = (one for one in facts.dynamic_symbols if not one.defined)
    names = {one.name for one in asked if GLIBC_ONLY.fullmatch(one.name)}
    return tuple(sorted(names - MUSL_HAS))


def loads(facts: ElfFacts, verdict: str) -> tuple[Load, ...]:
    """What is loaded at run time beyond NEEDED, each with its evidence."""
    found = []
    for row in _load_loads():
        if row.verdict != verdict:
            continue
        if verdict.endswith("-dynamic"):
            evidence = [_asked(one, facts) for one in facts.dynamic_symbols
                        if not one.defined and one.name in row.symbols]  # fmt: skip
        else:
            named = [name for name in row.symbols if name in facts.symbols]
            evidence = [f"it has the symbol {name}" for name in named]
            evidence += [
                f"it has the string {one!r}" for one in row.strings if one in facts.strings
            ]
        if evidence:
            found.append(Load(kind=row.kind, says=row.says, evidence=tuple(evidence)))
    return tuple(found)


def _asked(symbol: Symbol, facts: ElfFacts) -> str:
    owner = owner_of(symbol.name, facts, load_blame())
    version = f"@{symbol.version}" if symbol.version else ""
    return f"it asks for {symbol.name}{version}" + (f", from package {owner}" if owner else "")
