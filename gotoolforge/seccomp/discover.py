"""C functions of a file without symbols.

Code is cut where calls, pointers and jumps out of a function lead, and behind ends of control;
pieces that jump into each other's middle are one function, and a piece that runs on into the next
is noted as its caller.
"""

import bisect
from collections.abc import Iterable
from typing import NamedTuple

from gotoolforge.seccomp.image import UNNAMED, Function, Image
from gotoolforge.seccomp.machine import Code, Flow, Insn

_LEAST = 64
_OUT_OF_STEP = 256
"""Bytes that are decoded anew at most; x86 code falls in step after a few instructions."""


class _Jump(NamedTuple):
    where: int
    target: int
    kind: str


def add_unnamed(image: Image, code: Code) -> None:
    """Give every stretch of code that no table names functions called `code at 0x...`."""
    # Go's last function may be told to end in the middle of a word.
    holes = [
        (begin + -begin % code.align, end)
        for begin, end in _holes(image, code)
        if any(image.read(begin, end - begin))
    ]
    if not holes:
        return
    taken = _targets(image, code, holes)
    stretches = []
    for begin, end in holes:
        insns = _decoded(image, code, begin, end)
        stretches.append((begin, end, insns, [code.flow(insn) for insn in insns]))
    firm = {image.entry}
    for begin, end, _, flows in stretches:
        firm.update((begin, *_called(flows), *_leaving(begin, end, flows)))
    added: list[Function] = []
    for _, end, insns, flows in stretches:
        starts = _starts(insns, flows, taken, firm, code)
        image.falls.update(_falls(starts, insns, flows, code))
        added += [
            Function(start, stop, f"{UNNAMED}{start:#x}", go=False)
            for start, stop in zip(starts, [*starts[1:], end], strict=True)
        ]
    image.set_functions([*image.functions, *added])


def _decoded(image: Image, code: Code, begin: int, end: int) -> list[Insn]:
    """The instructions of a stretch, in step with what is called.

    What fills the gap between two sections is no code, and may swallow a function's first byte.
    """
    insns = code.decode(image.read(begin, end - begin), begin)
    places = [insn.addr for insn in insns]
    wanted = [image.entry, *_called(map(code.flow, insns))]
    while wanted:
        at = wanted.pop()
        left = bisect.bisect_right(places, at) - 1
        if left < 0 or not begin <= at < end or places[left] == at:
            continue
        swallowing = places[left]
        mended = code.decode(image.read(swallowing, at - swallowing), swallowing)
        for insn in code.decode(image.read(at, min(_OUT_OF_STEP, end - at)), at):
            right = bisect.bisect_left(places, insn.addr, left)
            if right < len(places) and places[right] == insn.addr:
                break
            mended.append(insn)
        if not mended:
            continue  # too few bytes for an instruction
        right = bisect.bisect_left(places, mended[-1].addr + mended[-1].size, left)
        insns[left:right] = mended
        places[left:right] = [insn.addr for insn in mended]
        wanted += _called(map(code.flow, mended))
    return insns


def _starts(
    insns: list[Insn], flows: list[Flow], taken: set[int], firm: set[int], code: Code
) -> list[int]:
    """Where functions begin, in order.

    What is called is a function's start for certain, and so is where a jump leads that passes one:
    it left its function.
    """
    known = {insn.addr for insn in insns}
    firm = known & firm
    jumps = [
        _Jump(insn.addr, flow.target, flow.kind)
        for insn, flow in zip(insns, flows, strict=True)
        if flow.kind in ("jump", "branch") and flow.target in known
    ]
    inner, count = jumps, 0
    while len(firm) != count:
        count, order, staying = len(firm), sorted(firm), []
        for one in inner:
            if _passed(order, one):
                firm.add(one.target)
            else:
                staying.append(one)
        inner = staying
    starts = sorted(firm | (taken & known) | set(_gaps(insns, flows, code)))
    here, dropped = set(starts), set[int]()
    for one in inner:
        # A jump to a start is a tail call, or as good as one.
        if one.kind == "branch" or one.target not in here:
            dropped.update(_passed(starts, one))
    return [one for one in starts if one not in dropped]


def _gaps(insns: list[Insn], flows: list[Flow], code: Code) -> Iterable[int]:
    """Where a function may begin by the way compilers lay out code: behind an end, and padding."""
    ended = False
    for insn, flow in zip(insns, flows, strict=True):
        if code.padding(insn):
            continue
        if ended:
            yield insn.addr
        ended = flow.kind in ("ret", "stop", "jump")


def _passed(starts: list[int], jump: _Jump) -> list[int]:
    """The starts that a jump passes, or leads to."""
    low, high = sorted((jump.where, jump.target))
    return starts[bisect.bisect_right(starts, low) : bisect.bisect_right(starts, high)]


def _falls(starts: list[int], insns: list[Insn], flows: list[Flow], code: Code) -> Iterable[int]:
    """Starts that the instruction before runs on into.

    Padding runs on only where it is itself what a start leads to (arm64's functions begin with it).
    """
    wanted, entered = set(starts), False
    for insn, flow in zip(insns, flows, strict=True):
        after = insn.addr + insn.size
        padding = code.padding(insn) or insn.mnem == ".byte"
        entered = insn.addr in wanted or (entered and padding)
        runs_on = flow.kind in ("next", "branch", "call") and (entered or not padding)
        if after in wanted and runs_on:
            yield after


def _holes(image: Image, code: Code) -> list[tuple[int, int]]:
    """Code that no function covers.

    Padding between named functions is shorter than 64 bytes, and enters no kernel.
    """
    found = []
    for begin, end in image.code_ranges:
        inside = [one for one in image.functions if begin < one.end and one.start < end]
        at = begin
        for start, stop in [*((one.start, one.end) for one in inside), (end, end)]:
            if start - at >= _LEAST or (not inside and start > at) or _asks(image, code, at, start):
                found.append((at, start))
            at = max(at, stop)
    return found


def _asks(image: Image, code: Code, begin: int, end: int) -> bool:
    return begin < end and any(code.sites(image.read(begin, end - begin), begin))


def _called(flows: Iterable[Flow]) -> Iterable[int]:
    return (one.target for one in flows if one.kind == "call" and one.target is not None)


def _leaving(begin: int, end: int, flows: Iterable[Flow]) -> Iterable[int]:
    """Where jumps lead that leave a stretch."""
    jumps = (one.target for one in flows if one.kind in ("jump", "branch"))
    return (target for target in jumps if target is not None and not begin <= target < end)


def _targets(image: Image, code: Code, holes: list[tuple[int, int]]) -> set[int]:
    """Addresses in the holes that data points to, and code: by a pointer, or from a named place."""
    low, high = holes[0][0], holes[-1][1]
    begins = [begin for begin, _ in holes]
    taken = set()
    for begin, end in image.code_ranges:
        raw = image.read(begin, end - begin)
        for where, target, kind in code.references(raw, begin, image.got, short=False):
            if low <= target < high:
                place = bisect.bisect_right(begins, where) - 1
                inside = place >= 0 and where < holes[place][1]
                if kind == "take" or not inside:
                    taken.add(target)
    return taken | {value for _, value in image.data_words(low, high)}
