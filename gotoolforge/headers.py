"""The rows of an ELF file's program and section headers (System V gABI), and what they cover.

By hand: pyelftools takes a second for as many as a file can claim to have.
"""

import struct
from typing import Any

from gotoolforge.filebytes import FileBytes

Row = dict[str, Any]
_PROGRAM_TYPES = {1: "PT_LOAD", 2: "PT_DYNAMIC", 3: "PT_INTERP", 4: "PT_NOTE",
                  0x6474E551: "PT_GNU_STACK", 0x6474E552: "PT_GNU_RELRO"}  # fmt: skip
_SECTION_TYPES = {7: "SHT_NOTE", 8: "SHT_NOBITS"}
_PROGRAM_WIDE = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
_PROGRAM = ("type", "offset", "vaddr", "paddr", "filesz", "memsz", "flags", "align")
_SECTION = ("name", "type", "flags", "addr", "offset", "size", "link", "info", "addralign",
            "entsize")  # fmt: skip
# What Linux takes of a program (fs/binfmt_elf.c, load_elf_phdrs), in bytes. A core has more.
MOST_PROGRAM_BYTES = 65536


def program_rows(
    data: FileBytes, begin: int, count: int, size: int, *, machine: str, bits: int, ends: str
) -> list[Row]:
    """Program headers. Raises ValueError for what the file does not hold."""
    form, names = ("IIQQQQQQ", _PROGRAM_WIDE) if bits == 64 else ("8I", _PROGRAM)
    rows = _rows(data, begin, count, size, ends + form, [f"p_{name}" for name in names])
    known = _PROGRAM_TYPES | ({0x70000003: "PT_MIPS_ABIFLAGS"} if machine == "EM_MIPS" else {})
    for one in rows:
        one["p_type"] = known.get(one["p_type"], f"PT_{one['p_type']:#x}")
    return rows


def section_rows(
    data: FileBytes, begin: int, count: int, size: int, *, bits: int, ends: str
) -> list[Row]:
    """Section headers; none of a size that nobody knows, since no loader looks at them.

    Raises ValueError for what the file does not hold.
    """
    form = "IIQQQQIIQQ" if bits == 64 else "10I"
    if size != struct.calcsize(ends + form):
        return []
    rows = _rows(data, begin, count, size, ends + form, [f"sh_{name}" for name in _SECTION])
    for one in rows:
        one["sh_type"] = _SECTION_TYPES.get(one["sh_type"], f"SHT_{one['sh_type']:#x}")
    return rows


def _rows(
    data: FileBytes, begin: int, count: int, size: int, form: str, names: list[str]
) -> list[Row]:
    if not count:
        return []
    if size != struct.calcsize(form):
        what = f"headers of {size} bytes where {struct.calcsize(form)} are the rule"
        raise ValueError(what)
    raw = data.read(begin, count * size)
    if len(raw) < count * size:
        what = f"headers at {begin:#x} go beyond the end of the file"
        raise ValueError(what)
    return [dict(zip(names, row, strict=True)) for row in struct.iter_unpack(form, raw)]


def loaded(segments: list[Row]) -> list[Row]:
    """What is loaded of the file."""
    return [one for one in segments if one["p_type"] == "PT_LOAD" and one["p_filesz"]]


def merged(segments: list[Row]) -> list[tuple[int, int]]:
    """The parts of the file that the segments cover, each once: a file's segments may overlap."""
    ranges: list[tuple[int, int]] = []
    for begin, end in sorted((one["p_offset"], one["p_offset"] + one["p_filesz"])
                             for one in segments):  # fmt: skip
        if ranges and begin <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
        else:
            ranges.append((begin, end))
    return ranges


def with_data(segments: list[Row]) -> list[Row]:
    """The loaded segments that may hold data: all but code, where a segment is for data alone.

    A linker that separates them (-z separate-code, --rosegment, Go's own) puts no data into code;
    others put read-only data there.
    """
    loads = loaded(segments)
    apart = any(not one["p_flags"] & 3 for one in loads)
    return [one for one in loads if not (apart and one["p_flags"] & 1)]


def without_code(segments: list[Row], size: int) -> list[tuple[int, int]]:
    """The parts of a file that may hold data, loaded or not."""
    kept = {id(one) for one in with_data(segments)}
    ranges, begin = [], 0
    for first, last in merged([one for one in loaded(segments) if id(one) not in kept]):
        if begin < first:
            ranges.append((begin, first))
        begin = last
    return [*ranges, (begin, size)] if begin < size else ranges


def file_offset(segments: list[Row], address: int) -> int | None:
    """The place in the file of an address of the running program, by PT_LOAD; or None."""
    for one in segments:
        if one["p_type"] == "PT_LOAD":
            inside = address - one["p_vaddr"]
            if 0 <= inside < one["p_filesz"]:
                return int(one["p_offset"] + inside)
    return None


def address_of(segments: list[Row], place: int) -> int | None:
    """The address of a place in the file, by PT_LOAD; or None."""
    for one in segments:
        if one["p_type"] == "PT_LOAD":
            inside = place - one["p_offset"]
            if 0 <= inside < one["p_filesz"]:
                return int(one["p_vaddr"] + inside)
    return None
