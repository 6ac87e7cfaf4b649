"""Reading machine code by rows (`code_rows`): arm64, riscv64, mips and their kin, whose
instructions do one thing each. Decoding by capstone, or by rows (`decode_rows`).

References are found by the bits of the words, not by decoding the whole file: a superset of the
true ones, at a hundredth of the time.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Literal

from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.code_rows import Bits, CodeRow, Effect, Far, Form, Pair, Sum, load_code
from gotoolforge.seccomp.decode_rows import RowEngine
from gotoolforge.seccomp.machine import SAME, Answer, Flow, Frame, Insn, Place

_LAST = re.compile(r"#?(-?(?:0x[0-9a-f]+|\d+))$")
Order = Literal["little", "big"]


class Lifted:
    """One architecture of `recipes/seccomp/code`."""

    def __init__(self, arch: str) -> None:
        known = numbers.architectures()[arch]
        self.row: CodeRow = load_code(known.code or arch)
        _, bits, order = known.machine
        self.order: Order = "little" if order == "little" else "big"
        self.width, self.return_slot, self.sp = bits // 8, 0, self.row.sp
        self.align = self.row.align
        self._forms = [Form(*one) for one in self.row.forms]
        self._aliases = [(re.compile(one), to) for one, to in self.row.alias]
        self._kept = re.compile(self.row.kept)
        self._flows = [
            (kind, re.compile(text))
            for kind, text in (
                ("jump", self.row.jump), ("branch", self.row.branch), ("call", self.row.call),
                ("ret", self.row.ret), ("stop", self.row.stop),
            )
        ]  # fmt: skip
        self._indirect, self._reads = re.compile(self.row.indirect), re.compile(self.row.reads)
        self._enters = re.compile(self.row.enters)
        self._padding = re.compile(rf"({self.row.padding})( .*)?")
        self._lifted: dict[tuple[str, str], tuple[Effect, ...]] = {}
        self._engine = _engine(self.row, self.order, bits)

    def decode(self, code: bytes, address: int) -> list[Insn]:
        """See `machine.Code`.

        What a delay slot holds is put before the branch it belongs to, and a jump in two steps
        (`far`) is read as one that names its target.
        """
        found = [Insn(*one) for one in self._engine.disasm_lite(code, address)]
        if self.row.far and found:
            far = self.row.far
            found = [found[0], *(self._joined(far, one, two) for one, two in pairwise(found))]
        if self.row.delay:
            place = 0
            while place + 1 < len(found):
                if self._kind(found[place]) in ("jump", "branch", "call", "ret"):
                    found[place : place + 2] = [found[place + 1], found[place]]
                    place += 1
                place += 1
        return found

    def _joined(self, far: Far, first: Insn, second: Insn) -> Insn:
        """The second of two instructions; if they jump together, with its target."""
        upper = re.fullmatch(far.first, f"{first.mnem} {first.ops}")
        lower = upper and re.fullmatch(far.second, f"{second.mnem} {second.ops}")
        if not upper or not lower or upper["R"] != lower["R"]:
            return second
        high = int(upper["H"], 0)
        high -= 1 << 20 if high >= 1 << 19 else 0
        target = first.addr + (high << far.shift) + int(lower["N"] or "0", 0)
        mnem = far.call if self._kind(second) == "call" else far.jump
        return second._replace(mnem=mnem, ops=f"{target - second.addr * self.row.relative:#x}")

    def sites(self, code: bytes, address: int) -> Iterator[int]:
        """See `machine.Code`."""
        for one in self.row.site:
            for at, _ in words(code, one, self.row.align, self.order):
                yield address + at

    def enters_kernel(self, insn: Insn) -> bool:
        """See `machine.Code`."""
        return bool(self._enters.fullmatch(f"{insn.mnem} {insn.ops}".strip()))

    def asked(self, insn: Insn) -> Place:
        """The number's register; on some machines the instruction may hold the number itself."""
        found = re.fullmatch(self.row.number_in, insn.ops) if self.row.number_in else None
        number = int(found[1], 0) if found else 0
        return ("const", number) if number else ("r", self.row.number)

    def _kind(self, insn: Insn) -> str:
        text = f"{insn.mnem} {insn.ops}".strip()
        return next((kind for kind, one in self._flows if one.fullmatch(text)), "next")

    def flow(self, insn: Insn) -> Flow:
        """See `machine.Code`."""
        kind = self._kind(insn)
        if kind in ("next", "ret", "stop") or self._indirect.fullmatch(insn.mnem):
            return Flow(kind)
        found = _LAST.search(insn.ops)
        target = int(found[1], 0) if found else None
        if target is not None and self.row.relative:
            target += insn.addr
        return Flow(kind, target)

    def _name(self, text: str) -> str:
        for one, to in self._aliases:
            if found := one.fullmatch(text):
                return found.expand(to)
        return text

    def _effects(self, insn: Insn) -> tuple[Effect, ...]:
        key = (insn.mnem, insn.ops)
        if key not in self._lifted:
            self._lifted[key] = self._lift(*key)
        return self._lifted[key]

    def _lift(self, mnem: str, ops: str) -> tuple[Effect, ...]:
        if self._enters.fullmatch(f"{mnem} {ops}".strip()):
            return tuple(Effect(one, None) for one in self.row.clobbers)
        for form in self._forms:
            found = form.effects(mnem, ops)
            if found is not None:
                return tuple(self._canonical(one) for one in found)
        if self._reads.fullmatch(mnem):
            return ()
        return (Effect(self._name(ops.partition(",")[0]), None),)

    def _canonical(self, one: Effect) -> Effect:
        target = one.target if isinstance(one.target, Sum) else self._name(one.target)
        if isinstance(target, Sum):
            target = target._replace(register=self._base(target.register))
        source = one.source and one.source._replace(register=self._base(one.source.register))
        return Effect(target, source, one.maybe)

    def _base(self, register: str) -> str:
        return "" if register in self.row.zero else self._name(register)

    def after(self, insn: Insn, frame: Frame) -> Frame:
        """See `machine.Code`."""
        if self._kind(insn) == "call":
            return {k: v for k, v in frame.items() if k == self.sp or self._kept.fullmatch(k)}
        for one in self._effects(insn):
            frame = _moved(frame, one)
        return frame

    def answer(self, insn: Insn, place: Place, frame: Frame) -> Answer:
        """See `machine.Code`. What an instruction does is undone from its end."""
        effects, frames = self._effects(insn), [frame]
        for one in effects:
            frames.append(_moved(frames[-1], one))
        return self._undone(list(zip(effects, frames, strict=False)), place, insn)

    def _undone(self, steps: list[tuple[Effect, Frame]], place: Place, insn: Insn) -> Answer:
        """Where `place` came from, before the first of these steps."""
        asked = place
        while steps:
            *steps, (one, before) = steps
            got = self._through(one, asked, before, insn)
            if got is SAME:
                continue
            taken = got
            if got.kind == "place" and got.value[0] != "const":
                taken = self._undone(steps, got.value, insn)
                taken = got if taken is SAME else taken
            if not one.maybe:
                return taken
            kept = self._undone(steps, asked, insn)
            return Answer("either", (Answer("place", asked) if kept is SAME else kept, taken))
        return SAME if asked == place else Answer("place", asked)

    def _through(self, effect: Effect, place: Place, frame: Frame, insn: Insn) -> Answer:
        kind, what = place
        if kind == "s":
            return self._stored(effect, what, frame, insn)
        if effect.target != (what if kind == "r" else what[0]):
            return SAME
        got = self._value(effect.source, frame, insn)
        if kind == "r" or got.kind == "unknown":
            return got
        if got.kind == "const" and kind == "sum":
            return Answer("const", got.value + what[1])
        if got.kind == "const":
            return Answer("memory", (got.value + what[1], what[2]))
        if got.kind == "place" and got.value[0] == "r":
            return Answer("place", (kind, (got.value[1], *what[1:])))
        if got.kind == "place" and got.value[0] == "sum":
            register, more = got.value[1]
            return Answer("place", (kind, (register, what[1] + more, *what[2:])))
        return Answer("unknown", f"computed from {insn.mnem} {insn.ops}")

    def _stored(self, effect: Effect, slot: int, frame: Frame, insn: Insn) -> Answer:
        target = effect.target
        if not isinstance(target, Sum) or target.register not in frame:
            return SAME
        place = frame[target.register] + target.number
        if not place <= slot < place + target.size:
            return SAME
        if place != slot:
            return Answer("unknown", f"written by {insn.mnem} {insn.ops}")
        return self._value(effect.source, frame, insn)

    def _value(self, source: Sum | None, frame: Frame, insn: Insn) -> Answer:
        if source is None:
            return Answer("unknown", f"computed by {insn.mnem} {insn.ops}")
        register, number, size = source
        if register == "pc":
            register, number = "", number + insn.addr + self.row.pc_ahead
        if not size and not register:
            return Answer("const", number)
        if not size:
            return Answer("place", ("sum", (register, number)) if number else ("r", register))
        if register in frame:
            return Answer("place", ("s", frame[register] + number))
        if not register:
            return Answer("memory", (number, size))
        return Answer("place", ("load", (register, number, size)))

    def told(self, _before: Insn, branch: Insn, *, taken: bool) -> Place | None:
        """See `machine.Code`. Of compilers' ways, a branch on a register that is zero."""
        wanted = self.row.zero_taken if taken else self.row.zero_passed
        found = wanted and re.fullmatch(wanted, f"{branch.mnem} {branch.ops}")
        return ("r", self._name(found[1])) if found else None

    def kept_by_call(self, place: Place, *, go: bool) -> bool:
        """See `machine.Code`."""
        register = place[1] if place[0] == "r" else place[1][0]
        return not go and bool(self._kept.fullmatch(register))

    def references(
        self, code: bytes, address: int, got: int, *, short: bool
    ) -> Iterator[tuple[int, int, str]]:
        """See `machine.Code`."""
        limit = (1 << 8 * self.width) - 1
        for one in self.row.reference:
            for at, word in (
                words(code, one, self.row.align, self.order) if short or not one.short else ()
            ):
                here = address + at + self.row.pc_ahead
                number = one.number(word)
                target = (here + 4 & ~0xFFFFFFF) | number if one.region else here + number
                yield address + at, target & limit, one.kind
        for pair in self.row.pair:
            within = pair.within if short else pair.within_go
            for at, target, kind in self._pairs(code, address, got, pair, within):
                yield at, target & limit, kind

        if self.row.literals:
            form = "<i" if self.order == "little" else ">i"
            base = _base(self.row.literals, 0, got)
            for place, (word,) in enumerate(struct.iter_unpack(form, code[: len(code) & ~3])):
                yield address + 4 * place, base + word & limit, "take"

    def _pairs(
        self, code: bytes, address: int, got: int, pair: Pair, within: int
    ) -> Iterator[tuple[int, int, str]]:
        step, order = self.row.align, self.order
        for at, word in words(code, pair, step, order):
            register = _bits(word, pair.register)
            here = _base(pair.to, address + at, got)
            high = here + pair.number(word)
            for later in range(at + 4, min(at + 4 + 4 * within, len(code) - 3), step):
                second = int.from_bytes(code[later : later + 4], order)
                if second & pair.mask == pair.match and _bits(second, pair.register) == register:
                    break
                for low in pair.low:
                    if second & low.mask == low.match and _bits(second, low.base) == register:
                        where = at if low.kind == "take" else later
                        yield address + where, high + low.number(second), low.kind

    def padding(self, insn: Insn) -> bool:
        """See `machine.Code`."""
        return bool(self._padding.fullmatch(f"{insn.mnem} {insn.ops}".strip()))


def _moved(frame: Frame, effect: Effect) -> Frame:
    """What is known of the stack after one effect."""
    target, source = effect.target, effect.source
    if isinstance(target, Sum):
        return frame
    if source and not source.size and source.register in frame and not effect.maybe:
        return {**frame, target: frame[source.register] + source.number}
    return {k: v for k, v in frame.items() if k != target} if target in frame else frame


def _base(word: str, address: int, got: int) -> int:
    """What a distance is added to; toc by Power's ELFv2 and gp by the MIPS ABI's supplement."""
    bases = {"pc": address, "page": address & ~0xFFF, "toc": got + 0x8000, "gp": got + 0x7FF0}
    return bases.get(word, 0)


def _bits(word: int, place: tuple[int, int]) -> int:
    return word >> place[0] & (1 << place[1]) - 1


def words(code: bytes, bits: Bits, align: int, order: Order) -> Iterator[tuple[int, int]]:
    """(place, word) of every aligned word that has these bits.

    The byte that has the most of them is looked for first, by a search that runs in C.
    """
    masks, matches = (one.to_bytes(bits.size, order) for one in (bits.mask, bits.match))
    best = max(range(bits.size), key=lambda one: masks[one].bit_count())
    fits = (one for one in range(256) if one & masks[best] == matches[best])
    wanted = re.compile(b"[" + b"".join(re.escape(bytes([one])) for one in fits) + b"]")
    for found in wanted.finditer(code[best::align]):
        at = found.start() * align
        word = int.from_bytes(code[at : at + bits.size], order)
        if word & bits.mask == bits.match:
            yield at, word


def _engine(row: CodeRow, order: Order, bits: int) -> Any:
    if row.insns:
        return RowEngine(row)
    import capstone

    arch, *modes = row.engine
    mode = capstone.CS_MODE_BIG_ENDIAN if order == "big" else capstone.CS_MODE_LITTLE_ENDIAN
    for one in modes:
        mode |= getattr(capstone, f"CS_MODE_{one.format(bits=bits)}")
    engine = capstone.Cs(getattr(capstone, f"CS_ARCH_{arch}"), mode)
    engine.skipdata = True
    if row.sizes:
        engine.skipdata_setup = ("other", partial(_size, row.sizes), None)
    return engine


def _size(
    sizes: tuple[int, ...], code: Sequence[bytes], _length: int, offset: int, _data: Any
) -> int:
    """The bytes of an instruction that the library does not know, by its first two bits."""
    return sizes[code[offset][0] >> 6]
