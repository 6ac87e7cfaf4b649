"""Paths of the machine that a file was built on: in its strings and in its debug information.

A string counts if it lies below a folder where people and build services work, and names a source
file; in debug sections every such folder counts (DW_AT_comp_dir names no file). What Go puts in
place of a path when it trims (`/_/...`, `/tmp/go-build/...`) names no machine.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gotoolforge.filebytes import FileBytes

_FOLDERS = (
    rb"home|root|Users|usr/src|usr/local/go/src|usr/local/src|usr/lib/go[^/\0]*/src|build|builds"
    rb"|tmp|private/tmp|var/tmp|mnt|data|workspace|workspaces|__w|opt/hostedtoolcache|codebuild"
    rb"|nix/store|go/src|go/pkg|src|app|var/lib/(?:jenkins|buildkite-agent)|opt/build|opt/atlassian"
)
# It begins with one literal byte, which `re` looks for with memchr: a tenth of a second for 150 MB;
# and what follows most of them ends at once by the two letters that every folder has.
_PATH = re.compile(rb"/(?=[a-zU_][a-z_s])(?:%b)/[\w.+@~%%,=:-][\w.+@~%%,=:/-]{0,400}" % _FOLDERS)
_SOURCE = re.compile(r"\.(go|c|cc|cpp|cxx|c\+\+|h|hh|hpp|inc|s|S|asm|rs|m|f90|f|syso|swig|y|l)$")
_TRIMMED = ("/tmp/go-build/", "/_/")  # noqa: S108
_DEBUG = (".debug_str", ".debug_line_str", ".debug_line")
_OVERLAP = 512
_MOST_NAMES = 50_000
_MOST_FOLDERS = 20
_MOST_DEBUG = 256 << 20  # bytes unpacked of one section
_SHF_COMPRESSED = 0x800
_ZLIB = 1


class BuildPath(msgspec.Struct, frozen=True, kw_only=True):
    """A folder of the build machine, how many names below it the file holds, and one of them."""

    folder: str
    names: int
    example: str


def find_build_paths(
    data: FileBytes,
    ranges: list[tuple[int, int]],
    sections: Mapping[str, Any],
    *,
    bits: int,
    ends: str,
) -> tuple[BuildPath, ...]:
    """The folders with the most names first.

    `ranges` are where texts may lie; `sections` are headers by name, and there may be none.
    """
    found: set[str] = set()
    for raw in _texts(data, ranges):
        found |= {one for one in raw if _SOURCE.search(one)}
        if len(found) > _MOST_NAMES:
            break
    for name in _DEBUG:
        if name in sections and len(found) <= _MOST_NAMES:
            for raw in _debug(data, sections[name], bits, ends):
                found |= raw
    return _grouped(found)


def _texts(data: FileBytes, ranges: list[tuple[int, int]]) -> Iterator[set[str]]:
    for first, last in ranges:
        for begin, raw in data.pieces(first, last, _OVERLAP):
            # What begins in the overlap is whole in the next piece, and may be cut in this one.
            most = len(raw) - _OVERLAP if begin + len(raw) < last else len(raw)
            yield _names(raw, most)


def _names(raw: bytes, most: int) -> set[str]:
    seen = {
        match[0].decode(errors="replace")
        for match in _PATH.finditer(raw)
        if match.start() < most and not _inside(raw, match.start())
    }
    return {one for one in seen if not one.startswith(_TRIMMED)}


def _inside(raw: bytes, place: int) -> bool:
    # `x/src/y.go` holds `/src/y.go`: a path begins where no name is before it.
    return place > 0 and (raw[place - 1 : place].isalnum() or raw[place - 1] in b"_.-@)}$")


def _debug(data: FileBytes, header: Any, bits: int, ends: str) -> Iterator[set[str]]:
    begin, end = header["sh_offset"], header["sh_offset"] + header["sh_size"]
    if header["sh_type"] == "SHT_NOBITS":
        return
    if not header["sh_flags"] & _SHF_COMPRESSED:
        for _, raw in data.pieces(begin, end, 0):
            yield _names(raw, len(raw))
        return
    form, size = ("IIQQ", 24) if bits == 64 else ("III", 12)
    if data.unpack(ends + form, begin)[0] != _ZLIB:
        return  # zstd, which binutils can write and no distribution's default does
    unpack, total = zlib.decompressobj(), 0
    for _, raw in data.pieces(begin + size, end, 0):
        left = raw
        while left and total < _MOST_DEBUG and not unpack.eof:
            text = unpack.decompress(left, 1 << 20)
            left = unpack.unconsumed_tail
            total += len(text)
            yield _names(text, len(text))


def _source_first(name: str) -> tuple[bool, str]:
    return not _SOURCE.search(name), name


def _grouped(found: set[str]) -> tuple[BuildPath, ...]:
    folders: dict[str, list[str]] = {}
    for one in found:
        folder = "/".join(one.rpartition("/")[0].split("/")[:4])
        folders.setdefault(folder, []).append(one)
    rows = [
        BuildPath(folder=folder, names=len(names), example=min(names, key=_source_first))
        for folder, names in folders.items()
    ]
    return tuple(sorted(rows, key=lambda one: (-one.names, one.folder))[:_MOST_FOLDERS])
