"""What a Go program's ELF file says of Go: build info, function names, and where Go's text lies.

Sources: debug/buildinfo (the layout of the build info blob), runtime/symtab.go (pcHeader and the
first words of moduledata, the same from Go 1.16 to 1.27), cmd/link.
"""

import itertools
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gotoolforge.filebytes import FileBytes
from gotoolforge.headers import Row, address_of, file_offset, loaded, merged, with_data

_BUILDINFO = b"\xff Go buildinf:"
# Go 1.20+, 1.18, 1.16, 1.2 (debug/gosym).
_PCLNTAB_MAGICS = (0xFFFFFFF1, 0xFFFFFFF0, 0xFFFFFFFA, 0xFFFFFFFB)
_TABLE_SECTIONS = (".gopclntab", ".data.rel.ro.gopclntab")
_TEXT_WORD = 22
_MOST_TABLES = 64
_LONGEST_TEXT = 1 << 24


class CgoCall(msgspec.Struct, frozen=True, order=True):
    """A C function that a Go package calls: cgo's stub of it stands in Go's function table."""

    package: str
    function: str


class GoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`text` is Go's own code, first address and the one after the last; None if not found.

    `settings` are the build settings (`-tags`, `CGO_ENABLED`); `functions` those that were asked
    for and are in the function table; `cgo_calls` are kept by strip, being runtime data.
    """

    version: str
    path: str
    module: str
    settings: dict[str, str]
    deps: tuple[tuple[str, str], ...]
    text: tuple[int, int] | None
    functions: tuple[str, ...]
    cgo_calls: tuple[CgoCall, ...] = ()


def read_go(data: FileBytes, segments: list[Row], bits: int, order: str,
            functions: tuple[str, ...], sections: Mapping[str, Any]) -> GoFacts | None:  # fmt: skip
    """The Go facts of an ELF file, or None if it is not a Go program.

    A build info blob alone does not make one: a file that embeds a Go program has one too. It
    counts if it lies at the start of a section or segment page, 16-byte aligned, in loaded data.
    Where a section of the right name begins is looked at first, and trusted no more than the rest.
    """
    hints = {name: int(one["sh_offset"]) for name, one in sections.items()}
    table = next((hints[name] for name in _TABLE_SECTIONS if name in hints), None)
    tables, confirmed = _find_table(data, segments, bits, order, table)
    info = _read_buildinfo(data, segments, order, hints.get(".go.buildinfo"))
    if info is None and not tables:
        return None
    version, text = info or ("", "")
    fields = _parse_modinfo(text)
    names = _function_names(data, segments, bits, order, confirmed[0]) if confirmed else None
    present = data.having((b"\0%b\0" % one.encode() for one in functions), *names) if names else ()
    return GoFacts(
        version=version,
        path=fields["path"],
        module=fields["mod"],
        settings=fields["build"],
        deps=fields["dep"],
        text=confirmed[1] if confirmed else None,
        functions=tuple(one for one in functions if b"\0%b\0" % one.encode() in present),
        cgo_calls=_cgo_calls(data, *names) if names else (),
    )


def _function_names(
    data: FileBytes, segments: list[Row], bits: int, order: str, table: int
) -> tuple[int, int] | None:
    """Where the names of the function table lie in the file (runtime/symtab.go, pcHeader)."""
    place = file_offset(segments, table)
    if place is None:
        return None
    ends, letter = ("<" if order == "little" else ">"), "Q" if bits == 64 else "I"
    (magic,) = data.unpack(ends + "I", place)
    first = {0xFFFFFFF1: 3, 0xFFFFFFF0: 3, 0xFFFFFFFA: 2}.get(magic)
    if first is None:
        return None
    words = data.unpack(f"{ends}{first + 2}{letter}", place + 8)
    begin, end = place + words[first], place + words[first + 1]
    return (begin - 1, end) if place < begin < end else None


def _cgo_calls(data: FileBytes, begin: int, end: int) -> tuple[CgoCall, ...]:
    found = set()
    for _, raw in data.pieces(begin, end, 512):
        # Their mark first, which is rare: a pattern that begins at each name takes 5 times as long.
        for match in re.finditer(rb"\._C2?func_(\w{1,200})(?=\0)", raw):
            before = raw.rfind(b"\0", max(0, match.start() - 401), match.start())
            package = raw[before + 1 : match.start()]
            if before >= 0 and package:
                found.add(CgoCall(package.decode(errors="replace").replace("%2e", "."),
                                  match[1].decode()))  # fmt: skip
    return tuple(sorted(found))


def _ranges(segments: list[Row]) -> list[tuple[int, int]]:
    """Where Go's tables may lie: writable data first, which is small."""
    data = with_data(segments)
    writable = [one for one in data if one["p_flags"] & 2]
    return merged(writable) + merged([one for one in data if not one["p_flags"] & 2])


def _find_table(
    data: FileBytes, segments: list[Row], bits: int, order: str, hint: int | None
) -> tuple[int, tuple[int, tuple[int, int]] | None]:
    """How many function tables there may be, and the first that is one, with Go's text."""
    seen = 0
    for table in _find_pclntabs(data, segments, bits, order, hint):
        seen += 1
        if confirmed := _confirm(data, segments, bits, order, table):
            return seen, confirmed
        if seen >= _MOST_TABLES:
            break
    return seen, None


def _find_pclntabs(
    data: FileBytes, segments: list[Row], bits: int, order: str, hint: int | None
) -> Iterator[int]:
    """Addresses where a function table may begin, in the file's own byte order and word size.

    It begins with a magic, two zeros, the machine's smallest step of code (which changes: Go 1.27
    made it 2 on riscv64), and its word size.
    """
    little = order == "little"
    # One pass for all magics, by what they have in common.
    needle, before = (b"\xff\xff\xff\0\0", 1) if little else (b"\xff\xff\xff", 0)
    for first, last in _ranges(segments):
        hinted = (hint + before,) if hint is not None and first <= hint < last else ()
        for place in itertools.chain(hinted, data.find_each(needle, first, last)):
            start = place - before
            head = data.read(start, 8)
            if len(head) < 8 or head[4:6] != b"\0\0" or head[6] not in (1, 2, 4):
                continue
            magic = int.from_bytes(head[:4], "little" if little else "big")
            address = address_of(segments, start)
            if magic in _PCLNTAB_MAGICS and head[7] == bits // 8 and address is not None:
                yield address


def _confirm(
    data: FileBytes, segments: list[Row], bits: int, order: str, table: int
) -> tuple[int, tuple[int, int]] | None:
    """The table, if a moduledata names it, and Go's text: it begins with the table's address.

    Every candidate must be plausible: `text` in executable memory, and at or below `minpc`. The
    runtime writes to moduledata.
    """
    ends, word = ("<" if order == "little" else ">"), bits // 8
    letter = "Q" if bits == 64 else "I"
    needle = struct.pack(ends + letter, table)
    for begin, end in merged([one for one in loaded(segments) if one["p_flags"] & 2]):
        for place in data.find_each(needle, begin, end):
            words = place + (_TEXT_WORD - 2) * word
            if words + 4 * word <= min(end, data.size):
                low, high, text, etext = data.unpack(f"{ends}4{letter}", words)
                if text <= low < high <= etext and _is_code(segments, text, etext):
                    return table, (text, etext)
    return None


def _is_code(segments: list[Row], begin: int, end: int) -> bool:
    return any(
        one["p_flags"] & 1 and one["p_vaddr"] <= begin < end <= one["p_vaddr"] + one["p_memsz"]
        for one in loaded(segments)
    )


def _read_buildinfo(
    data: FileBytes, segments: list[Row], order: str, hint: int | None
) -> tuple[str, str] | None:
    for begin, end in _ranges(segments):
        at_hint = hint is not None and data.read(hint, len(_BUILDINFO)) == _BUILDINFO
        hinted = (hint,) if hint is not None and at_hint and begin <= hint < end else ()
        for place in itertools.chain(hinted, data.find_each(_BUILDINFO, begin, end)):
            if (address_of(segments, place) or 0) % 16 == 0:
                found = _buildinfo_at(data, segments, place, order)
                if found and found[0].startswith(("go", "devel")):
                    return found
    return None


def _buildinfo_at(
    data: FileBytes, segments: list[Row], place: int, order: str
) -> tuple[str, str] | None:
    head = data.read(place, 32)
    if len(head) < 32:
        return None
    size, flags = head[14], head[15]
    if flags & 2:  # Go 1.18 and later: both strings follow, each with its length as a varint
        version, after = _varint_string(data, place + 32)
        text, _ = _varint_string(data, after)
    elif size in (4, 8):
        letter = ("<" if order == "little" else ">") + ("Q" if size == 8 else "I")
        version = _pointed_string(data, segments, place + 16, letter)
        text = _pointed_string(data, segments, place + 16 + size, letter)
    else:
        return None
    # The module text is framed by 16 bytes on either side (cmd/go modload.ModInfoData).
    return version, text[16:-16] if len(text) >= 33 else ""


def _varint_string(data: FileBytes, place: int) -> tuple[str, int]:
    length = shift = 0
    for byte in data.read(place, 10):
        place += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    if length > _LONGEST_TEXT:
        return "", place
    return data.read(place, length).decode("utf-8", errors="replace"), place + length


def _pointed_string(data: FileBytes, segments: list[Row], place: int, letter: str) -> str:
    (header,) = data.unpack(letter, place)
    inner = file_offset(segments, header)
    if inner is None:
        return ""
    address, length = data.unpack(letter + letter[1], inner)
    begin = file_offset(segments, address)
    if begin is None or length > _LONGEST_TEXT:
        return ""
    return data.read(begin, length).decode("utf-8", errors="replace")


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
            fields["build"][name] = _unquoted(value)
    fields["dep"] = tuple(deps)
    return fields


def _unquoted(value: str) -> str:
    """A setting's value as it was given: the go command quotes those with blanks (strconv)."""
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r"\\([\"\\])", r"\1", value[1:-1])
