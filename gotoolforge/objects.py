"""Relocatable objects and archives: what their undefined symbols say of the headers used."""

import contextlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gotoolforge.judgement import GLIBC_ONLY, MUSL_HAS

_LARGEST_MEMBER = 64 << 20


def glibc_symbols(path: Path) -> tuple[str, ...]:
    """The undefined symbols of an archive or object that musl does not have. Raises OSError."""
    names: set[str] = set()
    for raw in _members(path):
        # pyelftools raises whatever its parser meets; what is no object tells nothing.
        with contextlib.suppress(Exception):
            names |= _undefined(raw)
    return tuple(sorted(one for one in names if GLIBC_ONLY.fullmatch(one) and one not in MUSL_HAS))


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


def _undefined(raw: bytes) -> set[str]:
    from elftools.elf.elffile import ELFFile

    if raw[:4] != b"\x7fELF":
        return set()
    elf: Any = ELFFile(io.BytesIO(raw))
    table = elf.get_section_by_name(".symtab")
    if table is None:
        return set()
    texts = elf.get_section(table["sh_link"]).data()
    ends = "<" if elf.little_endian else ">"
    form, size, section = ("IBBHQQ", 24, 3) if elf.elfclass == 64 else ("IIIBBH", 16, 5)
    rows = table.data()
    found = set()
    for row in struct.iter_unpack(ends + form, rows[: len(rows) // size * size]):
        if row[section] == 0 and row[0]:
            found.add(texts[row[0] : texts.find(b"\0", row[0])].decode(errors="replace"))
    return found
