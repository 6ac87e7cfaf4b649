"""Relocatable objects and archives: what their undefined symbols say of the headers used."""

import contextlib
import struct
from collections.abc import Iterator
from pathlib import Path

from gotoolforge.judgement import GLIBC_ONLY, MUSL_HAS

_LARGEST_MEMBER = 64 << 20
_LONGEST_NAME = 4096
# What comes of following a field that lies, which says no more than that it is no object.
_LIES = (struct.error, IndexError, OverflowError)
_SHT_SYMTAB = 2


def glibc_symbols(path: Path) -> tuple[str, ...]:
    """The symbols of glibc's headers that an archive or object leaves undefined. Raises OSError."""
    asked: set[str] = set()
    offered: set[str] = set()
    for raw in _members(path):
        with contextlib.suppress(*_LIES):
            for name, defined in _symbols(raw):
                (offered if defined else asked).add(name)
    marks = (one for one in asked - offered - MUSL_HAS if GLIBC_ONLY.fullmatch(one))
    return tuple(sorted(marks))


def _members(path: Path) -> Iterator[bytes]:
    """The objects of an ar archive (System V and GNU), or the file itself."""
    with path.open("rb") as handle:
        if handle.read(8) != b"!<arch>\n":
            handle.seek(0)
            yield handle.read(_LARGEST_MEMBER)
            return
        while len(head := handle.read(60)) == 60 and head[58:] == b"`\n":
            digits = head[48:58].strip()
            if not digits.isdigit():
                return
            size = int(digits)
            after = handle.tell() + size + size % 2
            if size <= _LARGEST_MEMBER and head[:2] not in (b"/ ", b"//"):
                yield handle.read(size)
            handle.seek(after)


def _symbols(raw: bytes) -> Iterator[tuple[str, bool]]:
    """The names in an object's symbol table, and whether it defines them; see the System V gABI.

    By hand: a reader of whole ELF files takes twenty times as long, and archives have thousands.
    Raises one of `_LIES` where the object does.
    """
    if raw[:4] != b"\x7fELF":
        return
    wide, ends = raw[4] == 2, "<" if raw[5] == 1 else ">"
    (start,) = struct.unpack_from(ends + ("Q" if wide else "I"), raw, 40 if wide else 32)
    size, count = struct.unpack_from(ends + "HH", raw, 58 if wide else 46)
    form = ends + ("4xI16xQQI" if wide else "4xI8xIII")  # type, offset, size, link
    if size < struct.calcsize(form):
        return
    headers = [struct.unpack_from(form, raw, start + size * one) for one in range(count)]
    row, section, width = ("IBBH16x", 3, 24) if wide else ("I8xBBH", 3, 16)
    for _, offset, length, link in [one for one in headers if one[0] == _SHT_SYMTAB][:1]:
        _, texts, most, _ = headers[link]
        names, table = raw[texts : texts + most], raw[offset : offset + length]
        for one in struct.iter_unpack(ends + row, table[: len(table) // width * width]):
            if one[0]:
                name = names[one[0] : one[0] + _LONGEST_NAME].partition(b"\0")[0]
                yield name.decode(errors="replace"), one[section] != 0
