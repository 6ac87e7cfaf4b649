"""What a Go program's ELF file says of Go: build info, function names, and where Go's text lies.

Sources: debug/buildinfo (the layout of the build info blob), runtime/symtab.go (pcHeader and the
first words of moduledata, the same from Go 1.16 to 1.27), cmd/link.
"""

import mmap
import re
import struct
from typing import Any

import msgspec

_BUILDINFO = b"\xff Go buildinf:"
# Go 1.20+, 1.18, 1.16, 1.2 (debug/gosym).
_PCLNTAB_MAGICS = (0xFFFFFFF1, 0xFFFFFFF0, 0xFFFFFFFA, 0xFFFFFFFB)
_TEXT_WORD = 22


class GoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is Go's own code, first address and the one after the last; None if not found.

    `settings` are the build settings (`-tags`, `CGO_ENABLED`); `functions` those that were asked
    for and are in the function table.
    """

    version: str
    path: str
    module: str
    settings: dict[str, str]
    deps: tuple[tuple[str, str], ...]
    text: tuple[int, int] | None
    functions: tuple[str, ...]


def read_go(
    mapped: mmap.mmap,
    segments: list[dict[str, Any]],
    bits: int,
    order: str,
    functions: tuple[str, ...],
) -> GoFacts | None:
    """The Go facts of a mapped ELF file, or None if it is not a Go program.

    A build info blob alone does not make one: a file that embeds a Go program has one too. It
    counts if it lies at the start of a section or segment page, 16-byte aligned, in loaded data.
    """
    table = _find_pclntab(mapped, segments, bits, order)
    info = _read_buildinfo(mapped, segments, order)
    if info is None and table is None:
        return None
    version, text = info or ("", "")
    fields = _parse_modinfo(text)
    present = tuple(
        name for name in functions if mapped.find(b"\0" + name.encode() + b"\0", 0) >= 0
    )
    return GoFacts(
        version=version,
        path=fields["path"],
        module=fields["mod"],
        settings=fields["build"],
        deps=fields["dep"],
        text=_go_text(mapped, segments, bits, order, table) if table is not None else None,
        functions=present,
    )


def file_offset(segments: list[dict[str, Any]], address: int) -> int | None:
    """The place in the file of an address of the running program, by PT_LOAD; or None."""
    for one in segments:
        if one["p_type"] == "PT_LOAD":
            inside = address - one["p_vaddr"]
            if 0 <= inside < one["p_filesz"]:
                return int(one["p_offset"] + inside)
    return None


def _loaded(
    segments: list[dict[str, Any]], *, writable: bool | None = None
) -> list[dict[str, Any]]:
    loads = [one for one in segments if one["p_type"] == "PT_LOAD" and one["p_filesz"]]
    if writable is None:
        return loads
    return [one for one in loads if bool(one["p_flags"] & 2) == writable]


def _find_pclntab(
    mapped: mmap.mmap, segments: list[dict[str, Any]], bits: int, order: str
) -> list[int] | None:
    """Addresses where a function table may begin, in the file's own byte order and word size."""
    ends = "<" if order == "little" else ">"
    found = []
    for segment in _loaded(segments):
        end = segment["p_offset"] + segment["p_filesz"]
        for magic in _PCLNTAB_MAGICS:
            needle = struct.pack(ends + "I", magic) + b"\0\0"
            place = mapped.find(needle, segment["p_offset"], end)
            while place >= 0:
                header = mapped[place + 6 : place + 8]
                if len(header) == 2 and header[0] in (1, 2, 4) and header[1] == bits // 8:
                    found.append(segment["p_vaddr"] + place - segment["p_offset"])
                place = mapped.find(needle, place + 4, end)
    return found or None


def _go_text(
    mapped: mmap.mmap, segments: list[dict[str, Any]], bits: int, order: str, tables: list[int]
) -> tuple[int, int] | None:
    """Go's text from moduledata: it begins with the table's address, and lies in writable data.

    Every candidate must be plausible: `text` in executable memory, and at or below `minpc`.
    """
    ends, word = ("<" if order == "little" else ">"), bits // 8
    letter = "Q" if bits == 64 else "I"
    for table in tables:
        needle = struct.pack(ends + letter, table)
        for segment in _loaded(segments):
            end = segment["p_offset"] + segment["p_filesz"]
            place = mapped.find(needle, segment["p_offset"], end)
            while place >= 0:
                words = place + (_TEXT_WORD - 2) * word
                if words + 4 * word <= end:
                    low, high, text, etext = struct.unpack_from(f"{ends}4{letter}", mapped, words)
                    if text <= low < high <= etext and _is_code(segments, text, etext):
                        return text, etext
                place = mapped.find(needle, place + 1, end)
    return None


def _is_code(segments: list[dict[str, Any]], begin: int, end: int) -> bool:
    return any(
        one["p_flags"] & 1 and one["p_vaddr"] <= begin < end <= one["p_vaddr"] + one["p_memsz"]
        for one in _loaded(segments)
    )


def _read_buildinfo(
    mapped: mmap.mmap, segments: list[dict[str, Any]], order: str
) -> tuple[str, str] | None:
    for segment in _loaded(segments, writable=True) + _loaded(segments, writable=False):
        end = segment["p_offset"] + segment["p_filesz"]
        place = mapped.find(_BUILDINFO, segment["p_offset"], end)
        while place >= 0:
            if (place - segment["p_offset"] + segment["p_vaddr"]) % 16 == 0:
                found = _buildinfo_at(mapped, segments, place, order)
                if found and found[0].startswith(("go", "devel")):
                    return found
            place = mapped.find(_BUILDINFO, place + 1, end)
    return None


def _buildinfo_at(
    mapped: mmap.mmap, segments: list[dict[str, Any]], place: int, order: str
) -> tuple[str, str] | None:
    size, flags = mapped[place + 14], mapped[place + 15]
    if flags & 2:  # Go 1.18 and later: both strings follow, each with its length as a varint
        version, after = _varint_string(mapped, place + 32)
        text, _ = _varint_string(mapped, after)
    else:
        letter = ("<" if order == "little" else ">") + ("Q" if size == 8 else "I")
        version = _pointed_string(mapped, segments, place + 16, letter, size)
        text = _pointed_string(mapped, segments, place + 16 + size, letter, size)
    # The module text is framed by 16 bytes on either side (cmd/go modload.ModInfoData).
    return version, text[16:-16] if len(text) >= 33 else ""


def _varint_string(mapped: mmap.mmap, place: int) -> tuple[str, int]:
    length = shift = 0
    while True:
        byte = mapped[place]
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80 or shift > 63:
            break
    return mapped[place : place + length].decode("utf-8", errors="replace"), place + length


def _pointed_string(
    mapped: mmap.mmap, segments: list[dict[str, Any]], place: int, letter: str, size: int
) -> str:
    (header,) = struct.unpack_from(letter, mapped, place)
    inner = file_offset(segments, header)
    if inner is None:
        return ""
    address, length = struct.unpack_from(letter + letter[1], mapped, inner)
    begin = file_offset(segments, address)
    if begin is None or length > 1 << 24 or size not in (4, 8):
        return ""
    return mapped[begin : begin + length].decode("utf-8", errors="replace")


def _parse_modinfo(text: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"path": "", "mod": "", "build": {}, "dep": ()}
    deps: list[tuple[str, str]] = []
    for line in text.split("\n"):
        kind, *rest = line.split("\t")
        if kind in {"path", "mod"} and rest:
            fields[kind] = rest[0]
        elif kind == "dep" and len(rest) >= 2:
            deps.append((rest[0], rest[1]))
        elif kind == "=>" and rest and deps:
            deps[-1] = (rest[0], rest[1] if len(rest) > 1 else "")
        elif kind == "build" and rest:
            name, _, value = rest[0].partition("=")
            fields["build"][name] = re.sub(r'^"(.*)"$', r"\1", value)
    fields["dep"] = tuple(deps)
    return fields
