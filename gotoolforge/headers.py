"""The headers of an ELF file, its segments and its sections (System V gABI), and what they cover.

By hand: pyelftools takes a second for as many as a file can claim to have, and loading it takes
longer than a warm `go build`. Its table of machines is asked for those that no target of ours has.
"""

import struct
from typing import Any

import msgspec

from gotoolforge.filebytes import FileBytes

Row = dict[str, Any]
_PROGRAM_TYPES = {1: "PT_LOAD", 2: "PT_DYNAMIC", 3: "PT_INTERP", 4: "PT_NOTE",
                  0x6474E551: "PT_GNU_STACK", 0x6474E552: "PT_GNU_RELRO"}  # fmt: skip
_SECTION_TYPES = {7: "SHT_NOTE", 8: "SHT_NOBITS"}
_PROGRAM_WIDE = ("type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")
_PROGRAM = ("type", "offset", "vaddr", "paddr", "filesz", "memsz", "flags", "align")
_SECTION = ("name", "type", "flags", "addr", "offset", "size", "link", "info", "addralign",
            "entsize")  # fmt: skip
_TYPES = ("NONE", "REL", "EXEC", "DYN", "CORE")
_MACHINES = {3: "EM_386", 8: "EM_MIPS", 21: "EM_PPC64", 22: "EM_S390", 40: "EM_ARM",
             62: "EM_X86_64", 183: "EM_AARCH64", 243: "EM_RISCV", 258: "EM_LOONGARCH"}  # fmt: skip
_SYSTEMS = {2: "netbsd", 6: "solaris", 9: "freebsd", 12: "openbsd"}
# A number that the file header has no room for stands in the first section header.
_ELSEWHERE = 0xFFFF
# What Linux takes of a program (fs/binfmt_elf.c, load_elf_phdrs), in bytes. A core has more.
MOST_PROGRAM_BYTES = 65536


class FileHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at the beginning of the file; `ends` is the byte order as `struct` has it.

    `type` is a word of the gABI's without ET_, `system` an OSABI where it names one. `programs` and
    `sections` are where those headers are, how many, and the bytes of each; `names` is the section
    that has the names of the others.
    """

    bits: int
    ends: str
    type: str
    machine: str
    system: str
    entry: int
    flags: int
    programs: tuple[int, int, int]
    sections: tuple[int, int, int]
    names: int

    @property
    def order(self) -> str:
        """The byte order in words."""
        return "little" if self.ends == "<" else "big"


def file_header(data: FileBytes) -> FileHeader:
    """The header of a file that begins like ELF.

    Raises ValueError for a class or byte order that there is not, struct.error for a short file.
    """
    ident = data.read(0, 16)
    if len(ident) < 16 or ident[4] not in {1, 2} or ident[5] not in {1, 2}:
        what = "it has neither 32 nor 64 bits, or no byte order"
        raise ValueError(what)
    bits, ends = 32 * ident[4], "<" if ident[5] == 1 else ">"
    row = data.unpack(ends + ("HHI3IIHHHHHH" if bits == 32 else "HHI3QIHHHHHH"), 16)
    kind, machine, _, entry, programs, sections, flags, _, size, count, wide, many, names = row
    if sections and (count == _ELSEWHERE or names == _ELSEWHERE or not many):
        for first in section_rows(data, sections, 1, wide, bits=bits, ends=ends):
            count = first["sh_info"] if count == _ELSEWHERE else count
            names = first["sh_link"] if names == _ELSEWHERE else names
            many = many or first["sh_size"]
    return FileHeader(
        bits=bits,
        ends=ends,
        type=_TYPES[kind] if kind < len(_TYPES) else str(kind),
        machine=_MACHINES.get(machine) or _rare_machine(machine),
        system=_SYSTEMS.get(ident[7], ""),
        entry=entry,
        flags=flags,
        programs=(programs, count, size),
        sections=(sections, many if sections else 0, wide),
        names=names,
    )


def _rare_machine(number: int) -> str:
    from elftools.elf.enums import ENUM_E_MACHINE

    return next((name for name, value in ENUM_E_MACHINE.items() if value == number), str(number))


def program_rows(data: FileBytes, header: FileHeader) -> list[Row]:
    """Program headers. Raises ValueError for what the file does not hold."""
    form, names = ("IIQQQQQQ", _PROGRAM_WIDE) if header.bits == 64 else ("8I", _PROGRAM)
    rows = _rows(data, *header.programs, header.ends + form, [f"p_{name}" for name in names])
    mips = {0x70000003: "PT_MIPS_ABIFLAGS"} if header.machine == "EM_MIPS" else {}
    known = _PROGRAM_TYPES | mips
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
