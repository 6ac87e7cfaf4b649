"""How two builds of one program differ: by section, by symbol, and by what is written there."""

import re
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge.elf import BrokenElfError, NotElfError, read_elf
from gotoolforge.goelf import GoFacts

_PIECE = 1 << 16
_BEFORE, _AFTER = 48, 240
_MOST = 40
# Hashes of the rest of the file: they differ because something else does.
_FOLLOWS = {".note.go.buildid": "Go's build id", ".note.gnu.build-id": "the linker's build id"}
_TIME = re.compile(r"\b[0-2]\d:[0-5]\d:[0-5]\d\b|\b(19|20)\d\d-[01]\d-[0-3]\d|\b1[5-9]\d{8}\b")
_FOLDER = re.compile(r"/elsewhere/|^/|[ =\"]/\w+/")


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place where the files differ.

    `address` is that of the running program, 0 where nothing is loaded; `symbol` the function or
    variable there, where the symbol table tells; `first` and `second` are the text around it;
    `cause` is our guess at why, "" for none. `follows` marks what differs as a hash of the rest.
    """

    section: str
    offset: int
    address: int = 0
    symbol: str = ""
    first: str = ""
    second: str = ""
    cause: str = ""
    follows: bool = False

    def say(self) -> str:
        """One line for people."""
        place = f"{self.section} at {self.offset:#x}" + (f" ({self.symbol})" if self.symbol else "")
        if self.follows:
            return f"{place}: {self.cause}"
        words = f": {self.first!r} against {self.second!r}" if self.first or self.second else ""
        return place + words + (f" -> {self.cause}" if self.cause else "")


def explain(first: Path, second: Path) -> tuple[Difference, ...]:
    """The first difference in each section, what causes others before what follows from them."""
    try:
        one, two = _Sections(first), _Sections(second)
        found = list(_settings(first, second))
        for name in dict.fromkeys([*one.names, *two.names]):
            if name in one.names and name in two.names:
                found += _section(name, one, two)
            else:
                which = "first" if name in one.names else "second"
                found.append(Difference(section=name, offset=0, cause=f"only the {which} has it"))
    # pyelftools raises whatever its parser meets; the linker that wrote it may be any.
    except Exception as error:
        return (Difference(section="", offset=0, cause=f"cannot be compared: {error}"),)
    if not found:
        found = [Difference(section="headers", offset=_first_offset(one.raw, two.raw),
                            cause="only headers or padding differ")]  # fmt: skip
    return tuple(sorted(found, key=lambda each: each.follows)[:_MOST])


class _Sections:
    """A file's bytes, its sections by name, and its symbols by address."""

    def __init__(self, path: Path) -> None:
        import io

        from elftools.elf.elffile import ELFFile

        self.raw = path.read_bytes()
        self.elf: Any = ELFFile(io.BytesIO(self.raw))
        self.names = {
            one.name: one.header
            for one in self.elf.iter_sections()
            if one.name and one["sh_type"] not in {"SHT_NOBITS", "SHT_NULL"}
        }

    def content(self, name: str) -> bytes:
        """A section's bytes, unpacked where debug information is compressed."""
        return bytes(self.elf.get_section_by_name(name).data())

    def symbol(self, address: int) -> str:
        """The function or variable that holds an address, or "" where no symbol table tells."""
        table = self.elf.get_section_by_name(".symtab")
        for one in table.iter_symbols() if table and address else ():
            if one["st_value"] <= address < one["st_value"] + one["st_size"]:
                return str(one.name)
        return ""


def _section(name: str, one: _Sections, two: _Sections) -> list[Difference]:
    first, second = one.content(name), two.content(name)
    if first == second:
        return []
    offset = _first_offset(first, second)
    if name in _FOLLOWS:
        cause = f"{_FOLLOWS[name]}, a hash of the rest: it differs because something else does"
        return [Difference(section=name, offset=offset, cause=cause, follows=True)]
    base = one.names[name]["sh_addr"]
    texts = _around(first, offset), _around(second, offset)
    return [
        Difference(
            section=name,
            offset=offset,
            address=base + offset if base else 0,
            symbol=one.symbol(base + offset) if base else "",
            first=texts[0],
            second=texts[1],
            cause=_cause(name, *texts),
        )
    ]


def _first_offset(first: bytes, second: bytes) -> int:
    most = min(len(first), len(second))
    for begin in range(0, most, _PIECE):
        if first[begin : begin + _PIECE] != second[begin : begin + _PIECE]:
            end = min(begin + _PIECE, most)
            return next((at for at in range(begin, end) if first[at] != second[at]), end)
    return most


def _around(raw: bytes, offset: int) -> str:
    """The text that holds the place, where it is text; else some bytes of it as hex."""
    before = re.search(rb"[\x20-\x7e]*$", raw[max(0, offset - _BEFORE) : offset])
    after = re.match(rb"[\x20-\x7e]*", raw[offset : offset + _AFTER])
    text = (before[0] if before else b"") + (after[0] if after else b"")
    return text.decode() if len(text) >= 4 else raw[offset : offset + 8].hex(" ")


def _cause(name: str, first: str, second: str) -> str:
    if _TIME.search(first) and _TIME.search(second):
        return "a time of the build: look for __TIME__, __DATE__, or a date given by -X or -D"
    if _FOLDER.search(first) and _FOLDER.search(second):
        return (
            "the path of the folder that it was built in: look for __FILE__, ${SRCDIR} in "
            "#cgo lines, and -trimpath=false"
        )
    if name == ".go.buildinfo":
        return "Go's build info: the builds were asked for differently"
    if name.startswith(".debug") or name in {".gopclntab", ".symtab", ".strtab"}:
        return "names and places of code: it follows the code, or holds paths"
    return ""


def _settings(first: Path, second: Path) -> list[Difference]:
    one, two = (_go(path) for path in (first, second))
    return [
        Difference(
            section=".go.buildinfo",
            offset=0,
            symbol=name,
            first=one.get(name, ""),
            second=two.get(name, ""),
            cause=f"the builds differ in {name}, as Go's build info tells",
        )
        for name in sorted({*one, *two})
        if one.get(name) != two.get(name)
    ]


def _go(path: Path) -> dict[str, str]:
    try:
        facts: GoFacts | None = read_elf(path).go
    except (NotElfError, BrokenElfError):
        return {}
    return facts.settings if facts else {}
