"""A file's bytes, read where they are asked for: never mapped, and never more than a piece at once.

A mapped file that somebody makes shorter kills its reader by SIGBUS; a short read is only short.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from typing import Any

_PIECE = 1 << 20
LARGEST = 64 << 20
ARCHIVE = "an archive of objects"
_KINDS = {b"!<arch>\n": ARCHIVE, b"\xcf\xfa\xed\xfe": "a Mach-O file", b"MZ": "a Windows program",
          b"\xca\xfe\xba\xbe": "a Mach-O or Java file", b"#!": "a script",
          b"\0asm": "a WebAssembly module"}  # fmt: skip


class FileBytes:
    """The bytes behind a descriptor; `size` is the file's when it was opened."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.descriptor)

    def read(self, begin: int, length: int) -> bytes:
        """What there is of that many bytes; raises ValueError for more than a sane piece."""
        wanted = min(length, self.size - begin)
        if begin < 0 or wanted <= 0:
            return b""
        if wanted > LARGEST:
            what = f"{wanted} bytes at {begin:#x} are more than a table can have"
            raise ValueError(what)
        return os.pread(self.descriptor, wanted, begin)

    def unpack(self, form: str, begin: int) -> tuple[Any, ...]:
        """A structure at a place; raises struct.error if the file ends before it does."""
        return struct.unpack(form, self.read(begin, struct.calcsize(form)))

    def text(self, begin: int, most: int = 1 << 16) -> str:
        """A string that ends with a zero byte, at most `most` bytes of it."""
        raw = self.read(begin, 256)
        if b"\0" not in raw and len(raw) == 256:
            raw = self.read(begin, most)
        return raw.partition(b"\0")[0].decode(errors="replace")

    def pieces(self, begin: int, end: int, overlap: int) -> Iterator[tuple[int, bytes]]:
        """Pieces of a range and where each begins; neighbours share `overlap` bytes."""
        end = min(end, self.size)
        while 0 <= begin < end:
            raw = os.pread(self.descriptor, min(_PIECE + overlap, end - begin), begin)
            if not raw:
                return
            yield begin, raw
            begin += _PIECE

    def find_each(self, needle: bytes, begin: int, end: int) -> Iterator[int]:
        """Every place of `needle` in a range, in order."""
        for start, raw in self.pieces(begin, end, len(needle) - 1):
            place = raw.find(needle)
            while place >= 0:
                yield start + place
                place = raw.find(needle, place + 1)

    def having(self, needles: Iterable[bytes], begin: int, end: int) -> set[bytes]:
        """Those of the needles that occur in a range, in one pass over it."""
        left = {one for one in needles if one}
        found: set[bytes] = set()
        for _, raw in self.pieces(begin, end, max(map(len, left), default=1) - 1):
            seen = {one for one in left if one in raw}
            found |= seen
            left -= seen
            if not left:
                break
        return found


def looks_like(start: bytes) -> str:
    """What a file that is no ELF file is, by its first bytes."""
    for magic, words in _KINDS.items():
        if start.startswith(magic):
            return words
    return "an empty file" if not start else "not an ELF file"
