"""ELF files to frozen facts, read by program headers; no opinions.

Sections are looked at only for names that no program header carries. Nothing is read whole.
Structures: the System V gABI, and the GNU version extensions of the LSB.
"""

import contextlib
import functools
import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from gotoolforge import goelf, headers
from gotoolforge.buildpaths import BuildPath, find_build_paths
from gotoolforge.dynsym import DynamicTables, Symbol
from gotoolforge.filebytes import ARCHIVE, FileBytes, looks_like
from gotoolforge.goelf import GoFacts
from gotoolforge.notes import Note, read_notes

_DT_TEXTREL, _DT_FLAGS, _DT_FLAGS_1 = 22, 30, 0x6FFFFFFB
_DF_1_PIE = 0x08000000
_ENTRY_BYTES = 64
_LONGEST_NAME = 4096
_LONGEST_TABLE = 1 << 20
_MOST_NEEDED = 4096


class NotElfError(Exception):
    """The file can be read, and is no ELF file; says what it looks like."""

    @property
    def is_archive(self) -> bool:
        """Whether it is an archive (ar), which may hold ELF objects."""
        return str(self) == ARCHIVE


class BrokenElfError(Exception):
    """It begins like an ELF file and cannot be followed; says where."""


class ElfFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What an ELF file says of itself. Sizes are in bytes; `entry_code` is hex, at the entry point.

    `versions` are pairs of a library and a version that is asked of it, `GLIBC_2.34`; `offers` are
    versions that it defines itself. `system` is the OSABI where it names one: `freebsd`.
    """

    type: str
    machine: str
    system: str
    bits: int
    order: str
    flags: int
    entry: int
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    rpath: str | None
    runpath: str | None
    versions: tuple[tuple[str, str], ...]
    dynamic_symbols: tuple[Symbol, ...]
    offers: tuple[str, ...]
    notes: tuple[Note, ...]
    has_dynamic: bool
    is_pie: bool
    relro: Literal["none", "partial", "full"]
    text_relocations: bool
    stack_size: int
    stack_executable: bool
    debug_only: bool
    sections: tuple[str, ...]
    symbols: tuple[str, ...]
    strings: tuple[str, ...]
    entry_code: str
    packed: bool
    go: GoFacts | None
    mips_float: int | None = None


def read_elf(path: Path, *, symbols: tuple[str, ...] = (), strings: tuple[str, ...] = (),
             functions: tuple[str, ...] = (), exports: bool = False) -> ElfFacts:  # fmt: skip
    """The facts of an ELF file; of `symbols`, `strings` and Go `functions`, those that it has.

    `symbols` are looked for in files without NEEDED, `strings` in those of them that do not start
    in Go's code: nothing else turns on them. Of the dynamic symbols, those that it defines are told
    if `exports` does, which may be tens of thousands. Build paths are `read_build_paths`'s.
    Raises OSError, NotElfError or BrokenElfError.
    """
    with _opened(path, exports=exports) as reader:
        return reader.facts(symbols, strings, functions)


def read_build_paths(path: Path) -> tuple[BuildPath, ...]:
    """Paths of the machine that built an ELF file; raises what `read_elf` does."""
    with _opened(path, exports=False) as reader:
        return reader.build_paths()


@contextlib.contextmanager
def _opened(path: Path, *, exports: bool) -> Iterator["_Reader"]:
    # A FIFO or a device would block or never end, and opening may already wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.closing(FileBytes(descriptor)) as data:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            what = "it is no regular file"
            raise ValueError(what)
        start = data.read(0, 16)
        if start[:4] != b"\x7fELF":
            raise NotElfError(looks_like(start))
        try:
            yield _Reader(data, exports=exports)
        except (NotElfError, BrokenElfError):
            raise
        # Every field can lie, and who follows one meets whatever comes of it: struct.error,
        # IndexError, OverflowError ...
        except Exception as error:
            what = f"broken or truncated ELF file ({type(error).__name__}: {error})"
            raise BrokenElfError(what) from error


class _Reader:
    """One file; `at` turns addresses of the running program into places in the file."""

    def __init__(self, data: FileBytes, *, exports: bool) -> None:
        self.data, self.exports = data, exports
        self.header = headers.file_header(data)
        self.bits, self.ends = self.header.bits, self.header.ends
        _, count, size = self.header.programs
        kernels = self.header.type in {"EXEC", "DYN"}
        if kernels and count * size > headers.MOST_PROGRAM_BYTES:
            what = f"{count} program headers are more than any kernel takes"
            raise BrokenElfError(what)
        self.segments = headers.program_rows(data, self.header)
        for one in self.segments:
            if one["p_type"] == "PT_LOAD" and one["p_offset"] + one["p_filesz"] > data.size:
                what = "truncated: a segment goes beyond the end of the file"
                raise BrokenElfError(what)
        self.dynamic = self._dynamic()
        wide = self.header.machine == "EM_S390" and self.bits == 64
        self.tables = DynamicTables(
            data, self.dynamic, self.at, bits=self.bits, ends=self.ends, wide_hash=wide
        )

    def facts(
        self, symbols: tuple[str, ...], strings: tuple[str, ...], functions: tuple[str, ...]
    ) -> ElfFacts:
        header, dynamic = self.header, self.dynamic
        stack = next((s for s in self.segments if s["p_type"] == "PT_GNU_STACK"), None)
        names = self._section_names
        # A core has the memory of a process: gigabytes, of which nobody asks for Go's tables.
        go = None
        if not self.is_core:
            place = self.bits, header.order
            go = goelf.read_go(self.data, self.segments, *place, functions, names)
        starts_in_go = bool(go and go.text and go.text[0] <= header.entry < go.text[1])
        flags = sum(dynamic.get(_DT_FLAGS, [])), sum(dynamic.get(_DT_FLAGS_1, []))
        return ElfFacts(
            type=header.type,
            machine=header.machine,
            system=header.system,
            bits=self.bits,
            order=header.order,
            flags=header.flags,
            entry=header.entry,
            interpreter=self._interpreter(),
            needed=tuple(self.tables.string(value) for value in dynamic.get(1, [])[:_MOST_NEEDED]),
            soname=self._first_string(14),
            rpath=self._first_string(15),
            runpath=self._first_string(29),
            versions=tuple((library, version) for library, version, _ in self.tables.needs()),
            dynamic_symbols=tuple(self.tables.symbols(exports=self.exports)),
            offers=tuple(version for version, _ in self.tables.offers()),
            notes=read_notes(self.data, self.segments, names, self.ends),
            has_dynamic=bool(dynamic),
            is_pie=bool(flags[1] & _DF_1_PIE),
            relro=self._relro(flags),
            text_relocations=_DT_TEXTREL in dynamic or bool(flags[0] & 4),
            stack_size=stack["p_memsz"] if stack else 0,
            stack_executable=bool(stack and stack["p_flags"] & 1),
            debug_only=self._debug_only(names),
            sections=tuple(names),
            symbols=() if dynamic.get(1) else self._symbols(names, symbols),
            strings=() if dynamic.get(1) or starts_in_go or self.is_core else self._having(strings),
            entry_code=self._entry_code(),
            packed=b"UPX!" in self.data.read(0, 4096),
            mips_float=self._mips_float(),
            go=go,
        )

    @property
    def is_core(self) -> bool:
        return self.header.type == "CORE"

    def build_paths(self) -> tuple[BuildPath, ...]:
        if self.is_core:
            return ()
        places = headers.without_code(self.segments, self.data.size), self._section_names
        return find_build_paths(self.data, *places, bits=self.bits, ends=self.ends)

    def _mips_float(self) -> int | None:
        """The field fp_abi of Elf_Internal_ABIFlags_v0 (the MIPS psABI supplement), or None."""
        for one in self.segments:
            if one["p_type"] == "PT_MIPS_ABIFLAGS":
                raw = self.data.read(one["p_offset"], 24)
                return raw[7] if len(raw) == 24 else None
        return None

    def _relro(self, flags: tuple[int, int]) -> Literal["none", "partial", "full"]:
        if not any(one["p_type"] == "PT_GNU_RELRO" for one in self.segments):
            return "none"
        now = 24 in self.dynamic or flags[0] & 8 or flags[1] & 1
        return "full" if now else "partial"

    def _debug_only(self, names: dict[str, Any]) -> bool:
        # objcopy --only-keep-debug leaves headers whose code has become SHT_NOBITS.
        text = names.get(".text")
        return text is not None and text["sh_type"] == "SHT_NOBITS"

    def at(self, address: int) -> int | None:
        """The place in the file of an address, or None."""
        return headers.file_offset(self.segments, address)

    def _interpreter(self) -> str | None:
        for one in self.segments:
            if one["p_type"] == "PT_INTERP":
                raw = self.data.read(one["p_offset"], min(one["p_filesz"], _LONGEST_NAME))
                return raw.split(b"\0")[0].decode(errors="replace") or None
        return None

    def _dynamic(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        size = self.bits // 4
        form = self.ends + ("qQ" if self.bits == 64 else "iI")
        for one in self.segments:
            if one["p_type"] != "PT_DYNAMIC":
                continue
            raw = self.data.read(one["p_offset"], min(one["p_filesz"], _LONGEST_TABLE))
            for tag, value in struct.iter_unpack(form, raw[: len(raw) // size * size]):
                if tag == 0:
                    break
                found.setdefault(tag, []).append(value)
            break  # there is one, and a file may claim thousands
        return found

    def _first_string(self, tag: int) -> str | None:
        return self.tables.string(self.dynamic[tag][0]) if self.dynamic.get(tag) else None

    @functools.cached_property
    def _section_names(self) -> dict[str, Any]:
        """Section headers by name."""
        header = self.header
        rows = headers.section_rows(self.data, *header.sections, bits=self.bits, ends=self.ends)
        if header.names >= len(rows):  # sections without names; the kernel does not mind
            return {}
        names = rows[header.names]["sh_offset"]
        return {self.data.text(names + one["sh_name"]): one for one in rows}

    def _symbols(self, names: dict[str, Any], wanted: tuple[str, ...]) -> tuple[str, ...]:
        # Names are looked for in the string table: walking 20,000 symbols takes a second.
        table = names.get(".strtab")
        if table is None:
            return ()
        begin, end = table["sh_offset"], table["sh_offset"] + table["sh_size"]
        seen = self.data.having((b"\0%b\0" % name.encode() for name in wanted), begin, end)
        return tuple(name for name in wanted if b"\0%b\0" % name.encode() in seen)

    def _having(self, strings: tuple[str, ...]) -> tuple[str, ...]:
        # What is loaded; debug information, half of many a file, speaks of strings of others too.
        seen: set[bytes] = set()
        for begin, end in headers.merged(headers.loaded(self.segments)):
            seen |= self.data.having({text.encode() for text in strings} - seen, begin, end)
        return tuple(text for text in strings if text.encode() in seen)

    def _entry_code(self) -> str:
        # Bit 0 of an ARM entry means Thumb; big-endian ppc64 is not in our table.
        entry = self.header.entry
        if self.header.machine == "EM_ARM":
            entry &= ~1
        place = self.at(entry) if entry else None
        return self.data.read(place, _ENTRY_BYTES).hex() if place is not None else ""
