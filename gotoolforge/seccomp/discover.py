"""C functions of a file without symbols.

Code is cut where calls and pointers lead and behind ends of control; pieces that jump into each
other's middle are one function, and a piece that runs on into the next is noted as its caller.
"""

import bisect
from collections.abc import Iterable

from gotoolforge.seccomp.image import UNNAMED, Function, Image
from gotoolforge.seccomp.machine import Code, Insn

_LEAST = 64


def add_unnamed(image: Image, code: Code) -> None:
    """Give every stretch of code that no table names functions called `code at 0x...`."""
    # Go's last function may be told to end in the middle of a word.
    holes = [
        (begin + -begin % code.align, end)
        for begin, end in _holes(image)
        if any(image.read(begin, end - begin))
    ]
    if not holes:
        return
    taken = _targets(image, code, holes)
    added: list[Function] = []
    for begin, end in holes:
        insns = code.decode(image.read(begin, end - begin), begin)
        known = {insn.addr for insn in insns}
        firm = {begin, image.entry, *_called(insns, code)} & known
        starts = _joined(sorted(firm | (taken & known) | set(code.gaps(insns))), firm, insns, code)
        image.falls.update(_falls(starts, insns, code))
        added += [
            Function(start, stop, f"{UNNAMED}{start:#x}", go=False)
            for start, stop in zip(starts, [*starts[1:], end], strict=True)
        ]
    image.set_functions([*image.functions, *added])


def _joined(starts: list[int], firm: set[int], insns: list[Insn], code: Code) -> list[int]:
    """The starts that remain when pieces that jump into one another's middle are one.

    What is called is a function's start for certain, and stays.
    """
    dropped: set[int] = set()
    here = set(starts)
    for insn in insns:
        flow = code.flow(insn)
        target = flow.target
        if flow.kind not in ("jump", "branch") or target is None:
            continue
        if flow.kind == "jump" and target in here:
            continue  # a tail call, or as good as one
        low, high = sorted((insn.addr, target))
        between = starts[bisect.bisect_right(starts, low) : bisect.bisect_right(starts, high)]
        if not firm.intersection(between):
            dropped.update(between)
    return [one for one in starts if one not in dropped]


def _falls(starts: list[int], insns: list[Insn], code: Code) -> Iterable[int]:
    """Starts that the instruction before runs on into."""
    wanted = set(starts)
    for insn in insns:
        after = insn.addr + insn.size
        padding = insn.mnem in ("nop", "int3", ".byte")
        runs_on = code.flow(insn).kind in ("next", "branch", "call") and not padding
        if after in wanted and runs_on:
            yield after


def _holes(image: Image) -> list[tuple[int, int]]:
    """Code that no function covers. Padding between named functions is shorter than 64 bytes."""
    found = []
    for begin, end in image.code_ranges():
        at = begin
        for one in image.functions:
            if one.end <= begin or one.start >= end:
                continue
            if one.start - at >= _LEAST:
                found.append((at, one.start))
            at = max(at, one.end)
        if end - at >= _LEAST:
            found.append((at, end))
    return found


def _called(insns: list[Insn], code: Code) -> Iterable[int]:
    flows = (code.flow(insn) for insn in insns)
    return (one.target for one in flows if one.kind == "call" and one.target is not None)


def _targets(image: Image, code: Code, holes: list[tuple[int, int]]) -> set[int]:
    """Addresses about the holes that code or data points to."""
    low, high = holes[0][0], holes[-1][1]
    taken = set()
    for begin, end in image.code_ranges():
        raw = image.read(begin, end - begin)
        for _, target, kind in code.references(raw, begin, short=False):
            if kind == "take" and low <= target < high:
                taken.add(target)
    return taken | {value for _, value in image.data_words(low, high)}
