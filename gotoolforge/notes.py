"""ELF notes: build ids, ABI tags, properties. By program headers first, then by sections."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gotoolforge.filebytes import FileBytes

_LONGEST_OWNER = 4096
_MOST_NOTES = 1000


class Note(msgspec.Struct, frozen=True):
    """One note: its owner, its type, its content as hex (at most 256 bytes of it).

    `loaded` says that a program header has it; others lie in sections only.
    """

    owner: str
    type: int
    content: str
    loaded: bool = True


def read_notes(
    data: FileBytes, segments: list[dict[str, Any]], sections: Mapping[str, Any], ends: str
) -> tuple[Note, ...]:
    """Every note of a file, a thousand at most. Raises struct.error where the file ends early."""
    return tuple(itertools.islice(_notes(data, segments, sections, ends), _MOST_NOTES))


def _notes(
    data: FileBytes, segments: list[dict[str, Any]], sections: Mapping[str, Any], ends: str
) -> Iterator[Note]:
    places = [one for one in segments if one["p_type"] == "PT_NOTE"]
    for one in places:
        begin, end = one["p_offset"], one["p_offset"] + one["p_filesz"]
        yield from _notes_at(data, begin, end, one["p_align"], ends, loaded=True)
    # Objects have no program headers; and Go's linker leaves its GNU build id out of them on mips.
    for one in sections.values():
        begin, end = one["sh_offset"], one["sh_offset"] + one["sh_size"]
        seen = any(0 <= begin - two["p_offset"] < two["p_filesz"] for two in places)
        if one["sh_type"] == "SHT_NOTE" and not seen:
            yield from _notes_at(data, begin, end, one["sh_addralign"], ends, loaded=False)


def _notes_at(
    data: FileBytes, place: int, end: int, align: int, ends: str, *, loaded: bool
) -> Iterator[Note]:
    step = 8 if align == 8 else 4
    while place + 12 <= min(end, data.size):
        names, size, kind = data.unpack(ends + "III", place)
        begin = place + 12 + -(-names // step) * step if step == 4 else place + 16
        owner = data.read(place + 12, min(names, _LONGEST_OWNER)).rstrip(b"\0")
        content = data.read(begin, min(size, 256))
        yield Note(owner.decode(errors="replace"), kind, content.hex(), loaded)
        place = begin + -(-size // step) * step
