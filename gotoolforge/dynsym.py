"""The dynamic symbols of an ELF file and the versions that they ask for, found without sections.

Sources: System V gABI (symbol and hash tables), LSB core (symbol versions), binutils'
`elf_gnu_hash` layout. The number of symbols is nowhere written down; it is worked out.
"""

import struct
from collections.abc import Callable, Iterator

import msgspec

from gotoolforge.filebytes import FileBytes

_HASH, _STRTAB, _SYMTAB, _STRSZ = 4, 5, 6, 10
_GNU_HASH, _VERSYM, _VERDEF, _VERDEFNUM = 0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
_VERNEED, _VERNEEDNUM, _MIPS_SYMTABNO = 0x6FFFFFFE, 0x6FFFFFFF, 0x70000011
_POINTERS = (_HASH, _STRTAB, 7, 17, 23, _GNU_HASH, _VERSYM, _VERDEF, _VERNEED, 12, 13, 25, 26)
_MOST_SYMBOLS = 200_000
_MOST_VERSIONS = 4096
_LARGEST_TEXTS = 32 << 20
_LONGEST_NAME = 4096


class Symbol(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A dynamic symbol. `library` is the one that its version is asked of; both may be "".

    `defined` ones are offered, the others asked for; a weak one may stay missing.
    """

    name: str
    version: str = ""
    library: str = ""
    defined: bool = False
    weak: bool = False


class DynamicTables:
    """The dynamic segment's tables; `at` turns an address into a place in the file."""

    def __init__(
        self,
        data: FileBytes,
        dynamic: dict[int, list[int]],
        at: Callable[[int], int | None],
        *,
        bits: int,
        ends: str,
        wide_hash: bool,
    ) -> None:
        self.data, self.dynamic, self.at = data, dynamic, at
        self.bits, self.ends, self.wide_hash = bits, ends, wide_hash
        self.strings = self._place(_STRTAB)

    def _first(self, tag: int) -> int:
        return self.dynamic.get(tag, [0])[0]

    def _place(self, tag: int) -> int | None:
        return self.at(self._first(tag)) if tag in self.dynamic else None

    def string(self, offset: int) -> str:
        """A string of the dynamic string table; raises ValueError if there is no such table."""
        if self.strings is None:
            what = "the dynamic string table lies outside every segment"
            raise ValueError(what)
        return self.data.text(self.strings + offset, _LONGEST_NAME)

    def needs(self) -> Iterator[tuple[str, str, int]]:
        """Library, version and the version's number in this file, for each that is asked for."""
        place = self._place(_VERNEED)
        seen = 0
        for _ in range(self._first(_VERNEEDNUM) if place is not None else 0):
            assert place is not None
            _, count, file, aux, following = self.data.unpack(self.ends + "HHIII", place)
            library = self.string(file)
            inner = place + aux
            for _ in range(count):
                _, _, number, name, after = self.data.unpack(self.ends + "IHHII", inner)
                yield library, self.string(name), number & 0x7FFF
                seen += 1
                inner += after
                if not after or seen > _MOST_VERSIONS:
                    break
            place += following
            if not following or seen > _MOST_VERSIONS:
                return

    def offers(self) -> Iterator[tuple[str, int]]:
        """Each version that this library defines, and its number in this file."""
        place = self._place(_VERDEF)
        for _ in range(min(self._first(_VERDEFNUM), _MOST_VERSIONS) if place is not None else 0):
            assert place is not None
            _, _, number, _, _, aux, following = self.data.unpack(self.ends + "HHHHIII", place)
            (name,) = self.data.unpack(self.ends + "I", place + aux)
            yield self.string(name), number & 0x7FFF
            place += following
            if not following:
                return

    def symbols(self, *, exports: bool) -> Iterator[Symbol]:
        """The dynamic symbols that have a name and are asked for; with `exports` the others too."""
        table = self._place(_SYMTAB)
        if table is None:
            return
        versions = {number: (version, library) for library, version, number in self.needs()}
        versions |= {number: (version, "") for version, number in self.offers() if number > 1}
        form, size = ("IBBHQQ", 24) if self.bits == 64 else ("IIIBBH", 16)
        count, most = min(self._count(size), _MOST_SYMBOLS), self._first(_STRSZ)
        # Read whole: a call for each of 20,000 symbols takes ten times as long.
        rows = self.data.read(table + size, (count - 1) * size) if count > 1 else b""
        numbers = self._version_numbers(len(rows) // size)
        texts = self._texts(most)
        for row, number in zip(
            struct.iter_unpack(self.ends + form, rows[: len(rows) // size * size]),
            numbers,
            strict=False,
        ):
            info, section = (row[1], row[3]) if self.bits == 64 else (row[3], row[5])
            if (section and not exports) or not 0 < row[0] < most or info >> 4 == 0:
                continue
            version, library = versions.get(number & 0x7FFF, ("", ""))
            yield Symbol(
                name=self._text(texts, row[0]),
                version=version,
                library=library,
                defined=section != 0,
                weak=info >> 4 == 2,
            )

    def _version_numbers(self, count: int) -> tuple[int, ...]:
        """The version's number of each symbol from the first on; 0 where there is no table."""
        place = self._place(_VERSYM)
        raw = self.data.read(place + 2, 2 * count) if place is not None else b""
        there = struct.unpack(f"{self.ends}{len(raw) // 2}H", raw[: len(raw) // 2 * 2])
        return there + (0,) * (count - len(there))

    def _texts(self, size: int) -> bytes:
        if self.strings is None:
            what = "the dynamic string table lies outside every segment"
            raise ValueError(what)
        return self.data.read(self.strings, min(size, _LARGEST_TEXTS))

    def _text(self, texts: bytes, offset: int) -> str:
        end = texts.find(b"\0", offset, offset + _LONGEST_NAME)
        if end < 0:
            return self.string(offset)
        return texts[offset:end].decode(errors="replace")

    def _count(self, size: int) -> int:
        if _MIPS_SYMTABNO in self.dynamic:
            return self._first(_MIPS_SYMTABNO)
        place = self._place(_HASH)
        if place is not None:  # s390x alone has a hash table of 64-bit words
            form, skip = ("Q", 8) if self.wide_hash else ("I", 4)
            return int(self.data.unpack(self.ends + form, place + skip)[0])
        hashed = self._count_gnu()
        if hashed:
            return hashed
        # An empty GNU hash table counts nothing: the symbols end where the next table begins.
        start = self._first(_SYMTAB)
        after = [self._first(tag) for tag in _POINTERS if self._first(tag) > start]
        return (min(after) - start) // size if after else 0

    def _count_gnu(self) -> int:
        place = self._place(_GNU_HASH)
        if place is None:
            return 0
        buckets, first, bloom, _ = self.data.unpack(self.ends + "4I", place)
        at = place + 16 + bloom * self.bits // 8
        raw = self.data.read(at, 4 * min(buckets, _MOST_SYMBOLS))
        if not raw:
            return 0
        words = struct.unpack(f"{self.ends}{len(raw) // 4}I", raw[: len(raw) // 4 * 4])
        last = max(words, default=0)
        if last < first:
            return 0
        chains = at + 4 * buckets
        while last < _MOST_SYMBOLS:
            (word,) = self.data.unpack(self.ends + "I", chains + 4 * (last - first))
            last += 1
            if word & 1:
                break
        return int(last)
