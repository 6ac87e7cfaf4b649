"""What the listing asks of an architecture: where code enters the kernel, and what one
instruction does to one place. The readers (`code_x86`, `code_lifted`) are interchangeable.

A place is a register ("r", "rax") or a slot of the stack ("s", n), n bytes from where the stack
pointer stood when the function was entered. Of a register may be asked more than its value:
("low", ("rax", n)) is the register with its lowest byte replaced by n, ("sum", ("x0", n)) the
register and n together, ("load", ("x0", n, size)) what lies n bytes from where it points, and
("const", n) is n itself. An answer says where the value of a place, after an instruction, came
from.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

Place = tuple[str, Any]


class Insn(NamedTuple):
    """One decoded instruction, as capstone writes it."""

    addr: int
    size: int
    mnem: str
    ops: str


class Flow(NamedTuple):
    """Where control goes: kind is next, jump, branch, call, ret or stop; target None: unknown."""

    kind: str
    target: int | None = None


class Answer(NamedTuple):
    """Where a value came from.

    kind: same (untouched), const (value), place (copied from there), either (one of the answers in
    `value`), memory (`value` is the address it is loaded from, and its size in bytes), unknown
    (`value` says why).
    """

    kind: str
    value: Any = None


SAME = Answer("same")


Frame = dict[str, int]
"""Registers that are known to hold an address of the stack, by its distance from where the stack
pointer stood when the function was entered: the stack pointer itself, where it is known."""


class Code(Protocol):
    """A reader of one architecture's machine code."""

    sp: str
    """The stack pointer."""
    return_slot: int
    """Bytes that a call pushes, so the callee's slots lie this much lower."""
    width: int
    """Size of a pointer in bytes."""
    align: int
    """Instructions begin at multiples of it."""

    def decode(self, code: bytes, address: int) -> list[Insn]:
        """All instructions of a function; what cannot be decoded has the mnemonic `.byte`."""
        ...

    def sites(self, code: bytes, address: int) -> Iterator[int]:
        """Addresses where these bytes may enter the kernel (a superset; decoding decides)."""
        ...

    def enters_kernel(self, insn: Insn) -> bool:
        """Whether the instruction enters the kernel."""
        ...

    def asked(self, _insn: Insn, /) -> Place:
        """Where the number of the call is that an instruction makes."""
        ...

    def flow(self, insn: Insn) -> Flow:
        """Where control goes after it."""
        ...

    def after(self, insn: Insn, frame: Frame) -> Frame:
        """What is known of the stack after an instruction, given what was known before."""
        ...

    def answer(self, insn: Insn, place: Place, frame: Frame) -> Answer:
        """Where the value of a place, after this instruction, came from."""
        ...

    def told(self, before: Insn, branch: Insn, *, taken: bool) -> Place | None:
        """The place that is known to hold zero because a branch was taken, or was not.

        `before` is the instruction before the branch.
        """
        ...

    def kept_by_call(self, place: Place, *, go: bool) -> bool:
        """Whether a callee leaves this register as it was (Go's convention keeps none)."""
        ...

    def references(
        self, code: bytes, address: int, got: int, /, *, short: bool
    ) -> Iterator[tuple[int, int, str]]:
        """(where, target, kind) of every possible reference from code.

        `got` is where the global offset table lies (i386's code counts from it), or 0.
        `short` says that jumps of short reach may leave a function (C does that, Go never).
        kind: call, jump, or take (an address is formed). A superset: bytes that only look like a
        reference are named too, and count if they hit a function's first byte exactly.
        """
        ...

    def padding(self, insn: Insn) -> bool:
        """Whether an instruction does nothing, or stands where nothing comes."""
        ...
