"""Names for addresses of a running program, and Go stacks by the frame sizes of its own table.

The table (runtime/symtab.go, pcvalue) gives the size of a function's frame at every instruction,
so a stopped thread's stack is walked exactly, without frame pointers and without ptrace.
"""

import struct
import time
from pathlib import Path

from gotoolforge.errors import GotoolforgeError
from gotoolforge.seccomp.image import Function, Image

_DEEPEST = 24
_PATIENCE = 30.0


class Symbols:
    """Function names of one program; without names where the file cannot be read."""

    def __init__(self, program: Path) -> None:
        self.image: Image | None = None
        try:
            self.image = Image(program)
        except GotoolforgeError:
            return

    def name(self, address: int) -> tuple[str, ...]:
        """The function at an address, as a stack of one; empty if nobody knows."""
        found = self.image.function_at(address) if self.image else None
        return (found.name,) if found else ()

    def stack(self, thread: int, pointer: int) -> tuple[str, ...]:
        """The stack of a thread that waits in a call made at `pointer`, the innermost first."""
        if self.image is None or self.image.arch != "amd64":
            return self.name(pointer)
        try:
            if Path(f"/proc/{thread}/exe").readlink() != self.image.path.resolve():
                return ()  # a child that has become another program
            sp = int(_asleep(thread)[-2], 16)
            with Path(f"/proc/{thread}/mem").open("rb", buffering=0) as memory:
                base = _base(thread, self.image)
                return self._walk(pointer - base, sp, memory.fileno(), base)
        except (OSError, ValueError, IndexError, struct.error):
            return self.name(pointer)

    def _walk(self, pc: int, sp: int, memory: int, base: int) -> tuple[str, ...]:
        import os

        assert self.image is not None
        names: list[str] = []
        while len(names) < _DEEPEST:
            # A return address may lie just behind the function that made the call.
            function = self.image.function_at(pc - bool(names))
            if function is None:
                break
            names.append(function.name)
            size = frame_size(self.image, function, pc)
            if size is None:
                break
            sp += size
            (pc,) = struct.unpack("<Q", os.pread(memory, 8, sp))
            pc, sp = pc - base, sp + 8
        return tuple(names)


def _asleep(thread: int) -> list[str]:
    """The words of /proc/ID/syscall of a thread that waits for an answer.

    Whoever is to answer is woken first: on a busy machine the thread itself may be on its way to
    sleep for some time yet, and until then the kernel says no more than "running".
    """
    limit = time.monotonic() + _PATIENCE
    while True:
        words = Path(f"/proc/{thread}/syscall").read_text().split()
        if words != ["running"] or time.monotonic() > limit:
            return words
        time.sleep(0.0005)


def frame_size(image: Image, function: Function, pc: int) -> int | None:
    """Bytes of stack that a Go function has taken when it is at `pc`; None if not Go's."""
    place = image.pcsp.get(function.start)
    if place is None:
        return None if not function.go else 0
    value, at = -1, function.start
    while True:
        delta, place = _varint(image.raw, place)
        if delta == 0 and at != function.start:
            return None
        value += (delta >> 1) ^ -(delta & 1)
        step, place = _varint(image.raw, place)
        at += step * (1 if image.arch in ("amd64", "386") else 4)
        if pc < at:
            return value


def _varint(raw: bytearray, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
        shift += 7


def _base(thread: int, image: Image) -> int:
    """Where a position-independent program was put; 0 for any other."""
    if min(one["p_vaddr"] for one in image.segments if one["p_type"] == "PT_LOAD"):
        return 0
    exe = str(Path(f"/proc/{thread}/exe").readlink())
    for line in Path(f"/proc/{thread}/maps").read_text().splitlines():
        if line.endswith(exe):
            return int(line.split("-")[0], 16)
    return 0
