"""ELF files to frozen facts, read by program headers; no opinions.

Sections are looked at only for names that no program header carries. The file is mapped, never
read whole. Structures: the System V gABI, and the GNU version extensions of the LSB.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import goelf
from gotoolforge.goelf import GoFacts

_NO_FLAGS_1_PIE = 0x08000000
_ENTRY_BYTES = 64


class NotElfError(Exception):
    """The file can be read, and is no ELF file; says what it looks like."""


class BrokenElfError(Exception):
    """It begins like an ELF file and cannot be followed; says where."""


class Note(msgspec.Struct, frozen=True):
    """One ELF note: its owner, its type, its content as hex."""

    owner: str
    type: int
    content: str


class ElfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an ELF file says of itself. Sizes are in bytes; `entry_code` is hex, at the entry point.

    `versions` are pairs of a library and a version that is asked of it, `GLIBC_2.34`.
    """

    type: str
    machine: str
    bits: int
    order: str
    flags: int
    entry: int
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    runpath: str | None
    versions: tuple[tuple[str, str], ...]
    notes: tuple[Note, ...]
    has_dynamic: bool
    is_pie: bool
    stack_size: int
    stack_executable: bool
    sections: tuple[str, ...]
    symbols: tuple[str, ...]
    strings: tuple[str, ...]
    entry_code: str
    packed: bool
    go: GoFacts | None


def read_elf(path: Path, *, symbols: tuple[str, ...] = (), strings: tuple[str, ...] = (),
             functions: tuple[str, ...] = ()) -> ElfFacts:  # fmt: skip
    """The facts of an ELF file; of `symbols`, `strings` and Go `functions`, those that it has.

    Raises OSError, NotElfError or BrokenElfError.
    """
    with path.open("rb") as handle:
        start = handle.read(16)
        if start[:4] != b"\x7fELF":
            raise NotElfError(_looks_like(start))
        with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            try:
                return _Reader(mapped).facts(symbols, strings, functions)
            except (NotElfError, BrokenElfError):
                raise
            # pyelftools raises whatever its parser meets in a broken file: construct's errors,
            # AttributeError, OverflowError ... A file is never trusted to be well formed.
            except Exception as error:
                what = f"broken or truncated ELF file ({type(error).__name__}: {error})"
                raise BrokenElfError(what) from error


def _looks_like(start: bytes) -> str:
    kinds = {
        b"!<arch>\n": "an archive of objects",
        b"\xcf\xfa\xed\xfe": "a Mach-O file",
        b"\xca\xfe\xba\xbe": "a Mach-O or Java file",
        b"MZ": "a Windows program",
        b"#!": "a script",
        b"\0asm": "a WebAssembly module",
    }
    for magic, words in kinds.items():
        if start.startswith(magic):
            return words
    return "an empty file" if not start else "not an ELF file"


class _Reader:
    """One mapped file; `at` turns addresses of the running program into places in the file."""

    def __init__(self, mapped: mmap.mmap) -> None:
        from elftools.elf.elffile import ELFFile

        self.map = mapped
        self.elf: Any = ELFFile(mapped)
        self.bits: int = self.elf.elfclass
        self.order = "little" if self.elf.little_endian else "big"
        self.ends = "<" if self.elf.little_endian else ">"
        self.segments = [dict(segment.header) for segment in self.elf.iter_segments()]
        for one in self.segments:
            if one["p_type"] == "PT_LOAD" and one["p_offset"] + one["p_filesz"] > len(mapped):
                what = "truncated: a segment goes beyond the end of the file"
                raise BrokenElfError(what)

    def facts(
        self, symbols: tuple[str, ...], strings: tuple[str, ...], functions: tuple[str, ...]
    ) -> ElfFacts:
        header = self.elf.header
        dynamic = self._dynamic()
        stack = next((s for s in self.segments if s["p_type"] == "PT_GNU_STACK"), None)
        names = self._section_names()
        return ElfFacts(
            type=str(header["e_type"]).removeprefix("ET_"),
            machine=str(header["e_machine"]),
            bits=self.bits,
            order=self.order,
            flags=header["e_flags"],
            entry=header["e_entry"],
            interpreter=self._interpreter(),
            needed=tuple(self._string(dynamic, value) for value in dynamic.get(1, [])),
            soname=self._first_string(dynamic, 14),
            runpath=self._first_string(dynamic, 29) or self._first_string(dynamic, 15),
            versions=tuple(self._versions(dynamic)),
            notes=tuple(self._notes()),
            has_dynamic=bool(dynamic),
            is_pie=bool(sum(dynamic.get(0x6FFFFFFB, [])) & _NO_FLAGS_1_PIE),
            stack_size=stack["p_memsz"] if stack else 0,
            stack_executable=bool(stack and stack["p_flags"] & 1),
            sections=tuple(names),
            symbols=self._symbols(names, symbols),
            strings=tuple(text for text in strings if self.map.find(text.encode(), 0) >= 0),
            entry_code=self._entry_code(),
            packed=self.map.find(b"UPX!", 0, 4096) >= 0,
            go=goelf.read_go(self.map, self.segments, self.bits, self.order, functions),
        )

    def at(self, address: int) -> int | None:
        """The place in the file of an address, or None."""
        return goelf.file_offset(self.segments, address)

    def _interpreter(self) -> str | None:
        for one in self.segments:
            if one["p_type"] == "PT_INTERP":
                raw = self.map[one["p_offset"] : one["p_offset"] + one["p_filesz"]]
                return raw.split(b"\0")[0].decode(errors="replace")
        return None

    def _dynamic(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        size = self.bits // 4
        form = self.ends + ("qQ" if self.bits == 64 else "iI")
        for one in self.segments:
            if one["p_type"] != "PT_DYNAMIC":
                continue
            raw = self.map[one["p_offset"] : one["p_offset"] + one["p_filesz"]]
            for tag, value in struct.iter_unpack(form, raw[: len(raw) // size * size]):
                if tag == 0:
                    break
                found.setdefault(tag, []).append(value)
        return found

    def _text_at(self, address: int) -> str:
        place = self.at(address)
        if place is None:
            what = f"a string lies at {address:#x}, outside every segment"
            raise BrokenElfError(what)
        end = self.map.find(b"\0", place)
        return self.map[place : end if end >= 0 else place].decode(errors="replace")

    def _string(self, dynamic: dict[int, list[int]], offset: int) -> str:
        return self._text_at(dynamic[5][0] + offset)

    def _first_string(self, dynamic: dict[int, list[int]], tag: int) -> str | None:
        return self._string(dynamic, dynamic[tag][0]) if dynamic.get(tag) else None

    def _versions(self, dynamic: dict[int, list[int]]) -> Iterator[tuple[str, str]]:
        place = self.at(dynamic[0x6FFFFFFE][0]) if 0x6FFFFFFE in dynamic else None
        if place is None:
            return
        for _ in range(dynamic.get(0x6FFFFFFF, [0])[0]):
            _, count, file, aux, following = struct.unpack_from(
                self.ends + "HHIII", self.map, place
            )
            library = self._string(dynamic, file)
            inner = place + aux
            for _ in range(count):
                _, _, _, name, after = struct.unpack_from(self.ends + "IHHII", self.map, inner)
                yield library, self._string(dynamic, name)
                inner += after
            place += following

    def _notes(self) -> Iterator[Note]:
        for one in self.segments:
            if one["p_type"] != "PT_NOTE":
                continue
            place, end = one["p_offset"], one["p_offset"] + one["p_filesz"]
            step = 8 if one["p_align"] == 8 else 4
            while place + 12 <= min(end, len(self.map)):
                names, size, kind = struct.unpack_from(self.ends + "III", self.map, place)
                begin = place + 12 + -(-names // step) * step if step == 4 else place + 16
                owner = self.map[place + 12 : place + 12 + names].rstrip(b"\0")
                content = self.map[begin : begin + min(size, 256)]
                yield Note(owner.decode(errors="replace"), kind, content.hex())
                place = begin + -(-size // step) * step

    def _section_names(self) -> dict[str, Any]:
        if not self.elf.header["e_shoff"] or not self.elf.header["e_shnum"]:
            return {}
        return {section.name: section.header for section in self.elf.iter_sections()}

    def _symbols(self, names: dict[str, Any], wanted: tuple[str, ...]) -> tuple[str, ...]:
        # Names are looked for in the string table: walking 20,000 symbols takes a second.
        table = names.get(".strtab")
        if table is None:
            return ()
        begin, end = table["sh_offset"], table["sh_offset"] + table["sh_size"]
        return tuple(
            name for name in wanted if self.map.find(b"\0" + name.encode() + b"\0", begin, end) >= 0
        )

    def _entry_code(self) -> str:
        # Bit 0 of an ARM entry means Thumb; big-endian ppc64 is not in our table.
        entry = self.elf.header["e_entry"]
        if self.elf.header["e_machine"] == "EM_ARM":
            entry &= ~1
        place = self.at(entry) if entry else None
        return self.map[place : place + _ENTRY_BYTES].hex() if place is not None else ""
