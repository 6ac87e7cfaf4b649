"""Where Go's function table and its moduledata lie in an image whose pointers are relocated.

`gotoolforge.goelf` finds the same in a file that is not (a static-pie file's pointers may be zero
there), and with less memory. Layout: runtime/symtab.go, Go 1.18 to 1.27.
"""

from collections.abc import Callable
from typing import NamedTuple

MAGICS = (0xFFFFFFF0, 0xFFFFFFF1)
# Words of moduledata behind pcHeader, which is the first: minpc, maxpc, text, etext; and types.
_MINPC, _TYPES = 20, 37

Words = Callable[[int, int], list[tuple[int, int]]]
Read = Callable[[int, int], bytes]


class ModuleData(NamedTuple):
    """Addresses of the function table, of Go's text, and of the descriptions of types."""

    table: int
    text: tuple[int, int]
    types: tuple[int, int]


def locate(
    raw: bytes | bytearray, segments: list[tuple[int, int, int]], words: Words, read: Read,
    size: int, order: str,
) -> ModuleData | None:  # fmt: skip
    """The moduledata of a program, or None if it has none that is plausible.

    `segments` are (place in the file, address, bytes) of loaded data; `size` that of a pointer.
    """

    def word(address: int) -> int:
        return int.from_bytes(read(address, size), "little" if order == "<" else "big")

    for table in _candidates(raw, segments, size, order):
        for place, _ in words(table, table + 1):
            low, high, text, etext = (word(place + (_MINPC + n) * size) for n in range(4))
            if text <= low < high <= etext and read(text, 1):
                begin, end, later = (word(place + (_TYPES + n) * size) for n in range(3))
                # From Go 1.27 a length stands between `types` and `etypes`.
                stop = end if end > begin else later
                types = (begin, stop) if begin < stop and read(stop - 1, 1) else (0, 0)
                return ModuleData(table, (text, etext), types)
    return None


def _candidates(
    raw: bytes | bytearray, segments: list[tuple[int, int, int]], size: int, order: str
) -> list[int]:
    found = []
    for begin, address, length in segments:
        for magic in MAGICS:
            needle = magic.to_bytes(4, "little" if order == "<" else "big") + b"\0\0"
            place = raw.find(needle, begin, begin + length)
            while place >= 0:
                if raw[place + 6] in (1, 2, 4) and raw[place + 7] == size:
                    found.append(address + place - begin)
                place = raw.find(needle, place + 4, begin + length)
    return found
