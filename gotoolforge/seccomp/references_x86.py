"""What x86-64 and i386 code refers to, found by the bytes of its opcodes.

That is a superset of the true references, at a hundredth of the time that decoding takes.
"""

import re
from collections.abc import Iterator

Reference = tuple[int, int, str]

_NEAR = rb"[\xe8\xe9]|\x0f[\x80-\x8f]"
_SHORT = rb"\xeb|[\x70-\x7f]"
# lea and mov (a pointer's cell), with and without REX, rip-relative.
_RIP = rb"[\x8b\x8d][\x05\x0d\x15\x1d\x25\x2d\x35\x3d]"
# lea of what lies at a distance from a register that holds the global offset table's place.
_GOT = rb"\x8d[\x80-\x83\x85-\x8b\x8d-\x93\x95-\x9b\x9d-\xbf]"
# Before an address: mov, push, cmp or, on i386, any operand in memory.
_ABSOLUTE = {
    8: rb"[\xb8-\xbf\x68]|\xc7[\xc0-\xc7]|\x81[\xf8-\xff]",
    4: rb"[\x05\x0d\x15\x1d\x25\x2d\x35\x3d\x68\xa1\xa3\xb8-\xbf\x80-\x87\xc0-\xc7\x44\x84\x24]",
}
# A mov into memory: where in memory stands between this and the address, in so many bytes.
_STORE, _BETWEEN = rb"\xc7[\x00-\x07\x40-\x47\x80-\x87]", (0, 1, 2, 4, 5)


def references(
    code: bytes, address: int, got: int, *, width: int, short: bool
) -> Iterator[Reference]:
    """See `machine.Code`; `width` is that of a pointer."""
    for begin, end, away in _numbers(_NEAR, code):
        kind = "call" if code[begin] == 0xE8 else "jump"
        yield address + begin, address + end + away, kind
    for found in re.finditer(_SHORT, code[:-1]) if short else ():
        away = int.from_bytes(code[found.end() : found.end() + 1], signed=True)
        yield address + found.start(), address + found.end() + 1 + away, "jump"
    if width == 8:
        for begin, end, away in _numbers(_RIP, code):
            yield address + begin, address + end + away, "take"
    elif got:
        for begin, _, away in _numbers(_GOT, code):
            yield address + begin, got + away, "take"
    for begin, _, value in _numbers(_ABSOLUTE[width], code):
        yield address + begin, value & 0xFFFFFFFF, "take"
    for between in _BETWEEN:
        for begin, _, value in _numbers(_STORE, code, between):
            yield address + begin, value & 0xFFFFFFFF, "take"


def _numbers(opcode: bytes, code: bytes, between: int = 0) -> Iterator[tuple[int, int, int]]:
    """(where the opcode begins, where the number behind it ends, the number of 32 bits)."""
    for found in re.finditer(opcode, code):
        at = found.end() + between
        if at + 4 <= len(code):
            number = int.from_bytes(code[at : at + 4], "little", signed=True)
            yield found.start(), at + 4, number
