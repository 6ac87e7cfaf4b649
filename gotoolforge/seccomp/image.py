"""An executable as it lies in memory: segments, relocated pointers, and every function.

Go's functions come from its own table (runtime/symtab.go), which stripping leaves in place; C's
from the symbol table, or, without one, from what is called and from how code is laid out
(`machine` does that). Facts only.
"""

import bisect
import struct
import sys
from array import array
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge.errors import UnreadableError
from gotoolforge.seccomp import gotable, layout, numbers

_DT_RELA, _DT_RELASZ, _DT_REL, _DT_RELSZ = 7, 8, 17, 18
# R_*_RELATIVE: the word becomes base + addend; the file is looked at as if its base were 0.
_RELATIVE = {"amd64": 8, "arm64": 1027, "386": 8, "arm": 23, "riscv64": 3, "ppc64le": 22,
             "s390x": 12, "loong64": 3}  # fmt: skip

UNNAMED = "code at "


class Function(msgspec.Struct, frozen=True):
    """A piece of code with a name: `end` is the address after it; `go` says who made it."""

    start: int
    end: int
    name: str
    go: bool


class Image:
    """One executable. Addresses are those of the file (a static-pie file begins at 0)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        elf = layout.open_elf(path)
        self.raw = bytearray(elf.stream.getvalue())
        self.bits: int = elf.elfclass
        self.order = "little" if elf.little_endian else "big"
        self.ends = "<" if elf.little_endian else ">"
        self.arch = numbers.by_machine(elf.header["e_machine"], self.bits, self.order)
        self.thumb: int = elf.header["e_entry"] & (self.arch == "arm")
        self.entry: int = elf.header["e_entry"] & ~(self.arch == "arm")
        self.segments: list[layout.Segment] = [dict(one.header) for one in elf.iter_segments()]
        self._check(elf)
        try:
            self._read(layout.read_sections(elf))
        # Every number of a broken file can lead anywhere.
        except (struct.error, ArithmeticError, LookupError, ValueError) as error:
            raise layout.broken(path, error) from error

    def _read(self, sections: list[Any]) -> None:
        self._relocate()
        self.code_ranges = layout.code_ranges(sections, self.segments, self.entry)
        self.data_ranges = layout.data_ranges(sections, self.segments)
        self.got = layout.find_got(sections)
        found = gotable.locate(
            self.raw, [(one["p_offset"], one["p_vaddr"], one["p_filesz"]) for one in self._loads()],
            self.data_words, self.read, self.bits // 8, self.ends,
        )  # fmt: skip
        self.table = found.table if found else None
        self.go_text = found.text if found else (0, 0)
        self.go_types = found.types if found else (0, 0)
        self.pcsp: dict[int, int] = {}
        self.falls: set[int] = set()
        functions = self._go_functions() if self.table is not None else []
        functions += self._symbols(sections)
        self.set_functions(functions)

    def _loads(self) -> list[dict[str, Any]]:
        return [one for one in self.segments if one["p_type"] == "PT_LOAD"]

    def place_of(self, address: int) -> int | None:
        """The place in the file of an address, or None."""
        for one in self._loads():
            if 0 <= address - one["p_vaddr"] < one["p_filesz"]:
                return int(one["p_offset"] + address - one["p_vaddr"])
        return None

    def _check(self, elf: Any) -> None:
        if b"UPX!" in self.raw[:4096]:
            what = f"{self.path} is packed by UPX: its code is not in the file as it runs"
            raise UnreadableError(what, hint="unpack it first: upx -d FILE")
        if elf.header["e_type"] not in ("ET_EXEC", "ET_DYN"):
            what = f"{self.path} is not a program ({elf.header['e_type']})"
            raise UnreadableError(what, hint="name a linked executable")
        if not any(one["p_type"] == "PT_LOAD" and one["p_flags"] & 1 for one in self.segments):
            what = f"{self.path} has no code"
            raise UnreadableError(what, hint="is it whole?")

    @property
    def is_go(self) -> bool:
        """Whether a Go function table was found."""
        return self.table is not None

    @property
    def interpreter(self) -> bool:
        """Whether it loads libraries of the host, whose calls no listing of this file can hold."""
        return any(one["p_type"] == "PT_INTERP" for one in self.segments)

    def set_functions(self, functions: list[Function]) -> None:
        """Take these functions, in the order of their addresses, one an address."""
        by_start: dict[int, Function] = {}
        for one in functions:
            by_start.setdefault(one.start, one)
        self.functions = [by_start[start] for start in sorted(by_start)]
        self.starts = [one.start for one in self.functions]
        self.by_start = by_start

    def function_at(self, address: int) -> Function | None:
        """The function that an address lies in."""
        place = bisect.bisect_right(self.starts, address) - 1
        if place >= 0 and address < self.functions[place].end:
            return self.functions[place]
        return None

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address; fewer (or none) where the file has no more."""
        for one in self.segments:
            inside = address - one["p_vaddr"]
            if one["p_type"] == "PT_LOAD" and 0 <= inside < one["p_filesz"]:
                begin = one["p_offset"] + inside
                end = begin + min(size, one["p_filesz"] - inside)
                with memoryview(self.raw) as whole:
                    return bytes(whole[begin:end])
        return b""

    def word(self, address: int, size: int = 0) -> int | None:
        """The pointer-sized word (or one of `size` bytes) at an address, or None."""
        size = size or self.bits // 8
        raw = self.read(address, size)
        return int.from_bytes(raw, "little" if self.ends == "<" else "big") if raw else None

    def constant(self, address: int) -> bool:
        """Whether a word lies where the program cannot write."""
        return any(
            one["p_type"] == "PT_LOAD" and not one["p_flags"] & 2
            and 0 <= address - one["p_vaddr"] < one["p_filesz"]
            for one in self.segments
        )  # fmt: skip

    def data_words(self, low: int, high: int) -> list[tuple[int, int]]:
        """(place, value) of every aligned pointer-sized word in the data, low <= value < high.

        `low` and `high` are addresses of the image: words that hold none are read once, and left
        out (most of a large program is data that was put into it).
        """
        return [one for one in self._pointers if low <= one[1] < high]

    @cached_property
    def _pointers(self) -> list[tuple[int, int]]:
        size = self.bits // 8
        low = max(1, min(one["p_vaddr"] for one in self._loads()))
        high = max(one["p_vaddr"] + one["p_memsz"] for one in self._loads()) + 1
        found: list[tuple[int, int]] = []
        for begin, end in self.data_ranges:
            first = begin + -begin % size
            values = self.words_at(first, end - first, size)
            found += [
                (first + place * size, value)
                for place, value in enumerate(values)
                if low <= value < high
            ]
        return found

    def words_at(self, address: int, length: int, size: int) -> "array[int]":
        """The bytes at an address as unsigned numbers of `size` (4 or 8) bytes."""
        raw = self.read(address, length)
        found = array("I" if size == 4 else "Q", raw[: len(raw) // size * size])
        if self.order != sys.byteorder:
            found.byteswap()
        return found

    def _relocate(self) -> None:
        dynamic = next((one for one in self.segments if one["p_type"] == "PT_DYNAMIC"), None)
        if dynamic is None or self.arch not in _RELATIVE:
            return
        word = "Q" if self.bits == 64 else "I"
        raw = self.raw[dynamic["p_offset"] : dynamic["p_offset"] + dynamic["p_filesz"]]
        step = self.bits // 4
        tags = dict(struct.iter_unpack(f"{self.ends}2{word}", raw[: len(raw) // step * step]))
        table = self.read(tags.get(_DT_RELA, 0), tags.get(_DT_RELASZ, 0))
        size = 3 * self.bits // 8
        for place, info, addend in struct.iter_unpack(
            f"{self.ends}3{word}", table[: len(table) // size * size]
        ):
            kind = info & (0xFFFFFFFF if self.bits == 64 else 0xFF)
            where = self.place_of(place)
            if kind == _RELATIVE[self.arch] and where is not None:
                struct.pack_into(f"{self.ends}{word}", self.raw, where, addend)

    def _go_functions(self) -> list[Function]:
        assert self.table is not None
        place = self.place_of(self.table)
        assert place is not None
        word = "Q" if self.bits == 64 else "I"
        # nfunc, nfiles, [textStart,] then five offsets; without textStart before Go 1.18.
        (magic,) = struct.unpack_from(f"{self.ends}I", self.raw, place)
        if magic not in gotable.MAGICS:
            what = f"{self.path} was made by a Go older than 1.18, whose calling convention differs"
            raise UnreadableError(what, hint="build it with a Go that is still kept up")
        head = struct.unpack_from(f"{self.ends}8{word}", self.raw, place + 8)
        count, names, pctab, pcln = head[0], place + head[3], place + head[6], place + head[7]
        pairs = struct.unpack_from(f"{self.ends}{2 * count + 1}I", self.raw, pcln)
        text, found = self.go_text[0], []
        for index in range(count):
            start, inner = text + pairs[2 * index], pcln + pairs[2 * index + 1]
            (name_at,) = struct.unpack_from(f"{self.ends}i", self.raw, inner + 4)
            (sp_at,) = struct.unpack_from(f"{self.ends}I", self.raw, inner + 16)
            stop = self.raw.index(b"\0", names + name_at)
            name = self.raw[names + name_at : stop].decode(errors="replace")
            found.append(Function(start, text + pairs[2 * index + 2], name, go=True))
            if sp_at:
                self.pcsp[start] = pctab + sp_at
        return found

    def _symbols(self, sections: list[Any]) -> list[Function]:
        """C functions that the symbol table names, outside Go's text."""
        table = layout.named(sections, ".symtab") or layout.named(sections, ".dynsym")
        if table is None:
            return []
        form, size = (f"{self.ends}IBBHQQ", 24) if self.bits == 64 else (f"{self.ends}IIIBBH", 16)
        strings = sections[table["sh_link"]]["sh_offset"]
        begin, end = table["sh_offset"], table["sh_offset"] + table["sh_size"]
        low, high = self.go_text
        named: dict[int, tuple[str, int]] = {}
        locals_at: dict[int, int] = {}
        for row in struct.iter_unpack(form, self.raw[begin : end - (end - begin) % size]):
            if self.bits == 64:
                name_at, info, other, section, value, length = row
            else:
                name_at, value, length, info, other, section = row
            # Where the kernel starts it, C's start-up code has a name without a type.
            code = info & 15 in (2, 10) or (info & 15 == 0 and value == self.entry)
            if code and section and not low <= value < high:
                if self.arch == "arm":
                    self.thumb += value & 1
                    value &= ~1
                stop = self.raw.index(b"\0", strings + name_at)
                name = self.raw[strings + name_at : stop].decode(errors="replace")
                if value not in named or length > named[value][1]:
                    named[value] = (name, length)
                if self.arch == "ppc64le":
                    # ELFv2, 3.4.1: who is in the same file enters behind the first instructions.
                    locals_at[value] = value + ((1 << (other >> 5)) & ~3)
        order = sorted(named)
        ranges = self.code_ranges
        found = []
        for index, start in enumerate(order):
            limit = next((stop for begin, stop in ranges if begin <= start < stop), None)
            if limit is None:
                continue
            following = order[index + 1] if index + 1 < len(order) else limit
            name, length = named[start]
            end = min(start + length, limit) if length else min(following, limit)
            inner = locals_at.get(start, start)
            if start < inner < end:
                found.append(Function(start, inner, name, go=False))
                self.falls.add(inner)
            found.append(Function(max(start, inner), end, name, go=False))
        return found
