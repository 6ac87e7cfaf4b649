"""A disassembler from rows, for an architecture that capstone does not know.

It tells what the listing needs and no more: of an instruction that no row names, the register that
it may write.
"""

import re
from collections.abc import Callable, Iterator

from gotoolforge.seccomp.code_rows import Bits, CodeRow

_NUMBER = re.compile(r"([su])(\d+)\.(\d+)(?::(\d+))?")
# How the distances of LoongArch's branches are put together.
_TARGETS = {
    "t16": Bits(mask=0, match=0, fields=((10, 16, 2),), sign=18),
    "t21": Bits(mask=0, match=0, fields=((10, 16, 2), (0, 5, 18)), sign=23),
    "t26": Bits(mask=0, match=0, fields=((10, 16, 2), (0, 10, 18)), sign=28),
}
Show = Callable[[int, int], str]


class RowEngine:
    """Reads words of four bytes, little endian, by the rows `insns`."""

    def __init__(self, row: CodeRow) -> None:
        self._rows = [
            (mask, match, name, [_operand(one) for one in ops.split(", ") if one])
            for name, mask, match, ops in row.insns
        ]

    def disasm_lite(self, code: bytes, address: int) -> Iterator[tuple[int, int, str, str]]:
        """(address, size, name, operands), as capstone gives them."""
        for at in range(0, len(code) - 3, 4):
            word, here = int.from_bytes(code[at : at + 4], "little"), address + at
            for mask, match, name, operands in self._rows:
                if word & mask == match:
                    yield here, 4, name, ", ".join(one(word, here) for one in operands)
                    break
            else:
                yield here, 4, "other", f"$r{word & 31}"


def _operand(text: str) -> Show:
    if text[0] == "r":
        low = int(text[1:])
        return lambda word, _: f"$r{word >> low & 31}"
    if text in _TARGETS:
        target = _TARGETS[text]
        return lambda word, here: f"{here + target.number(word):#x}"
    found = _NUMBER.fullmatch(text)
    assert found, f"{text!r} is no operand"
    low, count, up = int(found[2]), int(found[3]), int(found[4] or 0)
    sign = count + up if found[1] == "s" else 0
    bits = Bits(mask=0, match=0, fields=((low, count, up),), sign=sign)
    return lambda word, _: f"{bits.number(word):#x}"
