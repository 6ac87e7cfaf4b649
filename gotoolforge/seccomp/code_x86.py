"""Reading x86-64 and i386 machine code. Decoding by capstone; the System V ABIs and Go's
(internal/abi, cmd/compile/abi-internal.md) for what a call keeps.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from gotoolforge.seccomp.machine import SAME, Answer, Flow, Frame, Insn, Place
from gotoolforge.seccomp.references_x86 import references

_WIDE = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
_SIZES = {"byte": 1, "word": 2, "dword": 4, "qword": 8, "xmmword": 16}
_MEMORY = re.compile(r"^(?:(\w+) ptr )?(?:(\w\w):)?\[(.*)\]$")
_KEPT_64 = {"rbx", "rbp", "rsp", "r12", "r13", "r14", "r15"}
_KEPT_32 = {"ebx", "ebp", "esp", "esi", "edi"}
_END = {"ret", "ud2", "hlt", "int3", "retf", "iretq"}
# Instructions that write no general register but what they name, and nothing in this group does.
_READS = re.compile(
    r"^(cmp|test|push|nop|jmp|j\w+|ret|bt$|prefetch|mfence|lfence|sfence|pause|endbr|int3|ud2|"
    r"hlt|f\w+|v?movs[sd]$|v?mov[au]p[sd]$|v?movdq|v?p[a-z]+q?$|v?xorp|leave|syscall|int$|"
    r"v?cvtsi2|v?[a-z]+[sp][sd]$|cld|std|clc|stc|\.byte)"
)


@cache
def _canonical(name: str, width: int) -> str | None:
    """The whole register that a part belongs to; None for what is no general register."""
    letter = "r" if width == 8 else "e"
    if width == 8 and (found := re.match(r"^(r\d+)[bwd]?$", name)):
        return found[1]
    for wide in _WIDE:
        core = wide[1:]
        parts = {wide, "e" + core, core, core[0] + "l", core[0] + "h"}
        if core in ("si", "di", "bp", "sp"):
            parts = {wide, "e" + core, core, core + "l"}
        if name in parts:
            return letter + core
    return None


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _with_low(answer: Answer, low: int) -> Answer:
    """The same answer, for a register whose lowest byte is replaced later on."""
    if answer.kind == "const":
        return Answer("const", answer.value & ~0xFF | low)
    if answer.kind == "place" and answer.value[0] == "r":
        return Answer("place", ("low", (answer.value[1], low)))
    if answer.kind == "place" and answer.value[0] == "low":
        return Answer("place", ("low", (answer.value[1][0], low)))
    # Who writes but this byte of a number relies on the others being zero (musl's clone on i386,
    # where they come from the descriptor of a segment).
    return SAME if answer.kind == "same" else Answer("const", low)


def _with_sum(answer: Answer, more: int) -> Answer:
    """The same answer, for a register to which a number is added later on."""
    if answer.kind == "const":
        return Answer("const", answer.value + more)
    if answer.kind == "place" and answer.value[0] == "r":
        return Answer("place", ("sum", (answer.value[1], more)))
    if answer.kind == "place" and answer.value[0] == "sum":
        register, before = answer.value[1]
        return Answer("place", ("sum", (register, before + more)))
    return answer if answer.kind in ("same", "unknown") else Answer("unknown", "put together")


class X86:
    """x86-64 (width 8) or i386 (width 4)."""

    align = 1

    def __init__(self, width: int) -> None:
        import capstone

        self.width = self.return_slot = width
        mode = capstone.CS_MODE_64 if width == 8 else capstone.CS_MODE_32
        self._engine: Any = capstone.Cs(capstone.CS_ARCH_X86, mode)
        self._engine.skipdata = True
        letter = "r" if width == 8 else "e"
        self.number: Place = ("r", letter + "ax")
        self.sp, self._fp, self._ip = letter + "sp", letter + "bp", letter + "ip"

    def decode(self, code: bytes, address: int) -> list[Insn]:
        """See `machine.Code`."""
        return [Insn(*one) for one in self._engine.disasm_lite(code, address)]

    def sites(self, code: bytes, address: int) -> Iterator[int]:
        """`syscall`; on i386 `int 0x80`, `sysenter` and the vDSO's `call *%gs:16`."""
        what = rb"\x0f\x05|\xcd\x80|\x0f\x34"
        if self.width == 4:
            what = rb"\xcd\x80|\x0f\x34|\x65\xff\x15\x10\0\0\0"
        for found in re.finditer(what, code, re.DOTALL):
            yield address + found.start()

    def enters_kernel(self, insn: Insn) -> bool:
        """See `machine.Code`."""
        if insn.mnem in ("syscall", "sysenter"):
            return True
        if insn.mnem == "int":
            return insn.ops == "0x80"
        return self.width == 4 and insn.mnem == "call" and "gs:[0x10]" in insn.ops

    def asked(self, _insn: Insn) -> Place:
        """See `machine.Code`."""
        return self.number

    def flow(self, insn: Insn) -> Flow:
        """See `machine.Code`."""
        mnem = insn.mnem.removeprefix("bnd ").removeprefix("notrack ")
        if mnem == "jmp":
            return Flow("jump", _number(insn.ops))
        if mnem == "call":
            if self.enters_kernel(insn):
                return Flow("next")
            return Flow("call", _number(insn.ops))
        if mnem.startswith("j") or mnem.startswith("loop"):
            return Flow("branch", _number(insn.ops))
        if mnem.split()[-1] in ("ret", "retf"):
            return Flow("ret")
        return Flow("stop") if mnem in ("ud2", "hlt", "int3") else Flow("next")

    def after(self, insn: Insn, frame: Frame) -> Frame:
        """See `machine.Code`."""
        sp, known = frame.get(self.sp), dict(frame)
        added, moved = self._sets_fp(insn), self._moves_sp(insn)
        if insn.mnem == "leave" and self._fp in frame:
            return {self.sp: frame[self._fp] + self.width}
        if added is not None and sp is not None:
            known[self._fp] = sp + added
        elif insn.mnem == "pop" and insn.ops == self._fp:
            known.pop(self._fp, None)
        if moved is None or sp is None:
            known.pop(self.sp, None)
        else:
            known[self.sp] = sp + moved
        return known

    def _moves_sp(self, insn: Insn) -> int | None:
        mnem, ops = insn.mnem, insn.ops
        if mnem in ("push", "pushf", "pushfq", "pushal"):
            return -self.width * (8 if mnem == "pushal" else 1)
        if mnem in ("pop", "popf", "popfq", "popal"):
            return None if ops == self.sp else self.width * (8 if mnem == "popal" else 1)
        first, _, rest = ops.partition(", ")
        if first != self.sp or mnem in ("cmp", "test"):
            return None if mnem == "leave" else 0
        amount = _number(rest)
        if mnem in ("add", "sub") and amount is not None:
            return amount if mnem == "add" else -amount
        if mnem == "lea" and (found := re.fullmatch(rf"\[{self.sp} ([+-]) (\w+)\]", rest)):
            return int(found[1] + str(int(found[2], 0)))
        return None

    def _sets_fp(self, insn: Insn) -> int | None:
        if insn.mnem == "mov" and insn.ops == f"{self._fp}, {self.sp}":
            return 0
        if insn.mnem == "lea" and insn.ops.startswith(f"{self._fp}, [{self.sp}"):
            found = re.search(r"\+ (\w+)\]", insn.ops)
            return int(found[1], 0) if found else 0
        return None

    def _slot(self, inner: str, frame: Frame) -> int | None:
        """The stack slot that the inside of a memory operand names, if it is one."""
        found = re.fullmatch(r"(\w+)(?: ([+-]) (\w+))?", inner)
        base = frame.get(found[1]) if found else None
        if found is None or base is None:
            return None
        away = _number(found[3]) if found[3] else 0
        return None if away is None else base + (-away if found[2] == "-" else away)

    def _source(self, text: str, insn: Insn, frame: Frame) -> Answer:
        """What an operand that is read means."""
        value = _number(text)
        if value is not None:
            return Answer("const", value)
        register = _canonical(text, self.width)
        if register:
            return Answer("place", ("r", register))
        if found := _MEMORY.match(text):
            if found[2]:
                return Answer("unknown", f"loaded from {text}")
            slot = self._slot(found[3], frame)
            if slot is not None:
                return Answer("place", ("s", slot))
            address = self._address(found[3], insn)
            if address is not None:
                return Answer("memory", (address, _SIZES.get(found[1] or "", self.width)))
        return Answer("unknown", f"loaded from {text}")

    def _address(self, inner: str, insn: Insn) -> int | None:
        if found := re.fullmatch(rf"{self._ip} ([+-]) (\w+)", inner):
            away = int(found[2], 0)
            return insn.addr + insn.size + (away if found[1] == "+" else -away)
        if self.width == 8 and inner == self._ip:
            return insn.addr + insn.size
        return _number(inner)

    def answer(self, insn: Insn, place: Place, frame: Frame) -> Answer:
        """See `machine.Code`."""
        if place[0] in ("low", "sum"):
            name, number = place[1]
            change = _with_low if place[0] == "low" else _with_sum
            return change(self._register(insn, name, frame), number)
        return (self._register if place[0] == "r" else self._stack)(insn, place[1], frame)

    def _register(self, insn: Insn, name: str, frame: Frame) -> Answer:
        mnem = insn.mnem.split()[-1]
        first, _, rest = insn.ops.partition(", ")
        if mnem == "pop":
            return self._popped(name, first, frame)
        if self.enters_kernel(insn):
            hit = name in (self.number[1], "rcx", "r11") if self.width == 8 else name == "eax"
            return Answer("unknown", "the result of a system call") if hit else SAME
        if mnem in ("xchg", "xadd"):
            for mine, other in ((first, rest), (rest, first)):
                if _canonical(mine, self.width) == name:
                    return self._source(other, insn, frame)
            return SAME
        if implied := self._implied(mnem, insn, name):
            return implied
        if _READS.match(mnem) or _canonical(first, self.width) != name:
            return SAME
        return self._written(mnem, name, first, rest, insn, frame)

    def _popped(self, name: str, first: str, frame: Frame) -> Answer:
        if _canonical(first, self.width) != name:
            return SAME
        unknown = Answer("unknown", "popped from an unknown place")
        return Answer("place", ("s", frame[self.sp])) if self.sp in frame else unknown

    def _implied(self, mnem: str, insn: Insn, name: str) -> Answer | None:
        """Registers that an instruction writes without naming them first."""
        ax, dx = self.number[1], self.number[1].replace("a", "d")
        lone = "," not in insn.ops
        hit = {
            "cdq": (dx,), "cqo": (dx,), "rdtsc": (ax, dx), "rdtscp": (ax, dx, "rcx", "ecx"),
            "cpuid": (ax, dx, "rcx", "ecx", "rbx", "ebx"), "mul": (ax, dx), "div": (ax, dx),
            "idiv": (ax, dx), "imul": (ax, dx) if lone else (), "cmpxchg": (ax,),
        }.get(mnem, ())  # fmt: skip
        if name in hit:
            return Answer("unknown", f"computed by {mnem}")
        if mnem in ("cdqe", "cwde", "cbw") and name == ax:
            return Answer("place", ("r", ax))
        return None

    def _written(
        self, mnem: str, name: str, first: str, rest: str, insn: Insn, frame: Frame
    ) -> Answer:
        part = (len(first) == 2 and first[1] in "lh") or first.endswith(("b", "w"))
        if mnem in ("mov", "movabs", "movsxd", "movzx", "movsx") and not (part and mnem == "mov"):
            return self._source(rest, insn, frame)
        value = _number(rest)
        if mnem == "mov" and part and value is not None and first[-1] in "lb":
            return Answer("place", ("low", (name, value & 0xFF)))
        if mnem in ("xor", "sub") and first == rest:
            return Answer("const", 0)
        if mnem in ("inc", "dec") and not part:
            return Answer("place", ("sum", (name, 1 if mnem == "inc" else -1)))
        if mnem == "or" and rest in ("-1", "0xffffffff", "0xffffffffffffffff"):
            return Answer("const", -1)
        if mnem.startswith("cmov"):
            return Answer("either", (SAME, self._source(rest, insn, frame)))
        if mnem == "lea" and (found := re.fullmatch(r"\[(\w+)\]", rest)):
            return self._source(found[1], insn, frame)
        if mnem == "and" and rest in ("0xffffffff", "-1"):
            return Answer("place", ("r", name))
        return Answer("unknown", f"computed by {mnem} {insn.ops}")

    def _stack(self, insn: Insn, slot: int, frame: Frame) -> Answer:
        mnem = insn.mnem
        if mnem == "push":
            if frame.get(self.sp, slot) - self.width == slot:
                return self._source(insn.ops, insn, frame)
            return SAME
        first, _, rest = insn.ops.partition(", ")
        found = _MEMORY.match(first)
        if not found or not rest or mnem in ("cmp", "test"):
            return SAME
        target = self._slot(found[3], frame)
        size = _SIZES.get(found[1] or "", self.width)
        if target is None or not target <= slot < target + size:
            return SAME
        if mnem.startswith("mov") and target == slot and not mnem.startswith("movs"):
            return self._source(rest, insn, frame)
        return Answer("unknown", f"written by {mnem} {insn.ops}")

    def told(self, before: Insn, branch: Insn, *, taken: bool) -> Place | None:
        """See `machine.Code`. Of compilers' ways, `test` of a whole register by itself."""
        first, _, rest = before.ops.partition(", ")
        if before.mnem != "test" or first != rest or branch.mnem != ("je" if taken else "jne"):
            return None
        register = _canonical(first, self.width)
        return ("r", register) if register and first[-1] not in "lhbw" else None

    def kept_by_call(self, place: Place, *, go: bool) -> bool:
        """See `machine.Code`."""
        register = place[1] if place[0] == "r" else place[1][0]
        return not go and register in (_KEPT_64 if self.width == 8 else _KEPT_32)

    def references(
        self, code: bytes, address: int, got: int, *, short: bool
    ) -> Iterator[tuple[int, int, str]]:
        """See `machine.Code`."""
        return references(code, address, got, width=self.width, short=short)

    def padding(self, insn: Insn) -> bool:
        """See `machine.Code`."""
        return insn.mnem in ("nop", "int3") or insn.mnem.endswith(" nop")
