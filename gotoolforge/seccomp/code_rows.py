"""The machine code of one architecture as data: `recipes/seccomp/code`.

`code_lifted` reads every architecture by these rows. A form says what an instruction does, in a
small language that this module parses: `D=S+N` (a register and a number), `D=[B+N]8` (eight bytes
from memory), `[B+N]8=S`, `D=?` (nobody can tell), `D|=T` (perhaps), one after another behind `;`.
Capital letters stand for operands, other words for registers by name, `...` for anything.
"""

import re
from functools import cache
from typing import NamedTuple

from gotoolforge import paths
from gotoolforge.tables import Row, load_table

_OPERANDS = {**dict.fromkeys("DESTBC", r"[$%]?[a-z][\w.]*"), **dict.fromkeys("NM", r"-?\w+"),
             "L": r"\{.*\}"}  # fmt: skip
_EFFECT = re.compile(r"^(\[(?P<to>[^]]+)\](?P<to_size>\d+)|(?P<register>[\w$%]+))(?P<maybe>\|?)="
                     r"(\[(?P<of>[^]]+)\](?P<of_size>\d+)|(?P<sum>[^[]+))$")  # fmt: skip
_TERM = re.compile(r"([+-]?)([\w$%]+)(?:<<(\d+))?")


class Bits(Row, frozen=True, kw_only=True):
    """Machine words that are told by some of their bits.

    `fields` are [lowest bit, how many, where they stand in the number]; `sign` the width of a
    number that may be negative (0: never).
    """

    mask: int
    match: int
    fields: tuple[tuple[int, int, int], ...] = ()
    sign: int = 0
    size: int = 4

    def number(self, word: int) -> int:
        """The number that a word's fields hold."""
        value = 0
        for low, count, up in self.fields:
            value |= (word >> low & (1 << count) - 1) << up
        return value - (1 << self.sign) if self.sign and value >> self.sign - 1 else value


class Reference(Bits, frozen=True, kw_only=True):
    """A word that holds the distance to what it refers to; `short` ones leave no Go function.

    `region`: the number replaces the lower 28 bits of the address instead.
    """

    kind: str
    short: bool = False
    region: bool = False


class Low(Bits, frozen=True, kw_only=True):
    """The second word of a pair: `base` are the bits [lowest, count] that name its register.

    It forms an address, or goes there (`kind`).
    """

    base: tuple[int, int]
    kind: str = "take"


class Pair(Bits, frozen=True, kw_only=True):
    """Two words that form an address: the first sets the register named by the bits `register`.

    `to` is what its number is added to: page (the address without its low 12 bits), pc, toc
    (Power's place in the global offset table), zero. The second is looked for `within` so many
    words in C, `within_go` in Go's code.
    """

    register: tuple[int, int]
    to: str
    low: tuple[Low, ...]
    within: int = 12
    within_go: int = 1


class Far(Row, frozen=True, kw_only=True):
    """Two instructions that jump together: the upper part H of a distance (20 bits, `shift` from
    the lowest) goes into a register R, the lower one N is added by the jump. `jump` and `call` are
    what one instruction would be named.
    """

    first: str
    second: str
    shift: int
    jump: str
    call: str


class CodeRow(Row, frozen=True, kw_only=True):
    """One architecture; see the comments in the files."""

    engine: tuple[str, ...] = ()
    insns: tuple[tuple[str, int, int, str], ...] = ()
    align: int = 4
    sp: str
    zero: tuple[str, ...] = ()
    number: str
    number_in: str = ""
    clobbers: tuple[str, ...]
    kept: str
    alias: tuple[tuple[str, str], ...] = ()
    pc_ahead: int = 0
    far: Far | None = None
    sizes: tuple[int, ...] = ()
    literals: str = ""
    relative: bool = False
    delay: bool = False
    enters: str
    jump: str
    branch: str
    zero_taken: str = ""
    zero_passed: str = ""
    call: str
    ret: str
    stop: str
    indirect: str
    padding: str = "nop"
    reads: str
    forms: tuple[tuple[str, str, str], ...]
    site: tuple[Bits, ...]
    reference: tuple[Reference, ...]
    pair: tuple[Pair, ...] = ()


class Sum(NamedTuple):
    """A register (or none) and a number; with a size, what lies in memory there."""

    register: str
    number: int
    size: int = 0


class Effect(NamedTuple):
    """`target` (a register's name, or memory) gets `source`; None: nobody can tell what.

    `maybe` says that the target may also stay as it was.
    """

    target: str | Sum
    source: Sum | None
    maybe: bool = False


class Form:
    """One row of `forms`: which instructions it is about, and what they do."""

    def __init__(self, mnem: str, ops: str, effects: str) -> None:
        self.mnem = re.compile(mnem)
        text = re.sub(r"([\[\]().{}^$|*?])", r"\\\1", ops)
        text = text.replace(r"\.\.\.", ".*")
        text = re.sub(r"\b([A-Z])\b", lambda one: f"(?P<{one[1]}>{_OPERANDS[one[1]]})", text)
        self.ops = re.compile(text)
        self._stack = effects if effects.startswith(("push", "pop")) else ""
        if self._stack:
            effects = ""
        found = [_EFFECT.match(one.strip()) for one in effects.split(";") if one.strip()]
        assert all(found), f"{effects!r} is no effect"
        self._effects = [one.groupdict() for one in found if one]

    def effects(self, mnem: str, ops: str) -> tuple[Effect, ...] | None:
        """What one instruction does, if this form is about it."""
        if not self.mnem.fullmatch(mnem) or not (found := self.ops.fullmatch(ops)):
            return None
        said = found.groupdict()
        if self._stack:
            verb, size = self._stack.split()
            return _pushed(verb, said["L"].strip("{}").split(", "), int(size))
        return tuple(self._effect(one, said) for one in self._effects)

    def _effect(self, one: dict[str, str | None], said: dict[str, str]) -> Effect:
        if one["register"]:
            target: str | Sum | None = said.get(one["register"], one["register"])
        else:
            target = _sum(one["to"] or "", said, int(one["to_size"] or 0)) or "?"
        source = _sum(one["of"] or one["sum"] or "", said, int(one["of_size"] or 0))
        assert target
        return Effect(target, source, bool(one["maybe"]))


def _pushed(verb: str, registers: list[str], size: int) -> tuple[Effect, ...]:
    """Arm's push and pop of a list of registers."""
    room = size * len(registers)
    cells = [Sum("sp", place * size, 4) for place in range(len(registers))]
    if verb == "pop":
        loads = [Effect(one, cell) for one, cell in zip(registers, cells, strict=True)]
        return (*loads, Effect("sp", Sum("sp", room)))
    stores = [Effect(cell, Sum(one, 0)) for one, cell in zip(registers, cells, strict=True)]
    return (Effect("sp", Sum("sp", -room)), *stores)


def _sum(text: str, said: dict[str, str], size: int) -> Sum | None:
    """A sum of at most one register and numbers; None for anything else."""
    register, number = "", 0
    for sign, word, shift in _TERM.findall(text):
        value = said.get(word, word)
        try:
            part = int(value, 0)
            # The upper bits of a word of 32, which may be negative (lui, auipc, lis).
            part -= 1 << 20 if shift == "12" and part >= 1 << 19 else 0
            part -= 1 << 16 if shift == "16" and part >= 1 << 15 else 0
            number += (part << int(shift or 0)) * (-1 if sign == "-" else 1)
        except ValueError:
            if register or sign == "-" or shift:
                return None
            register = value
    return None if "?" in text else Sum(register, number, size)


@cache
def load_code(name: str) -> CodeRow:
    """The rows of one kind of machine code."""
    return load_table(paths.recipes_dir() / "seccomp" / "code" / f"{name}.toml", CodeRow)
