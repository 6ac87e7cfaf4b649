"""Who reaches whom: direct calls and jumps, addresses that are taken, pointers in data.

A call through a pointer may reach every function whose address is taken. Go makes a pointer to a
function by a cell in read-only data that holds its address (a func value); such a cell counts for
those who refer to it. Any other pointer in data (method tables, arrays of C) counts from the start.
"""

import bisect
import itertools
from collections import deque
from collections.abc import Iterator

from gotoolforge.seccomp.image import Image
from gotoolforge.seccomp.machine import Code


class Edge:
    """A reference from one function to another: where, and how (call, jump, fall, take)."""

    __slots__ = ("kind", "source", "target", "where")

    def __init__(self, source: int, target: int, where: int, kind: str) -> None:
        self.source, self.target, self.where, self.kind = source, target, where, kind


class Graph:
    """All references of an image. Functions are named by the address of their first byte."""

    def __init__(self, image: Image, code: Code) -> None:
        self.image = image
        self.out: dict[int, list[Edge]] = {}
        self.into: dict[int, list[Edge]] = {}
        self.roots: dict[int, str] = {}
        self._cells = _cells(image)
        self._referred: set[int] = set()
        low, high = image.go_text
        for begin, end in image.code_ranges:
            cuts = sorted({begin, end, *(one for one in (low, high) if begin < one < end)})
            for left, right in itertools.pairwise(cuts):
                self._from_code(code, left, right, short=not low <= left < high)
        for start in image.falls:
            place = bisect.bisect_left(image.starts, start)
            self._add(Edge(image.starts[place - 1], start, start, "fall"))
        self._find_roots()

    def _from_code(self, code: Code, begin: int, end: int, *, short: bool) -> None:
        image, cells = self.image, self._cells
        starts, known = image.starts, image.by_start
        raw = image.read(begin, end - begin)
        for where, target, kind in code.references(raw, begin, image.got, short=short):
            final = target if target in known else cells.get(target)
            if final is None:
                continue
            place = bisect.bisect_right(starts, where) - 1
            # A reference to a function's own first byte is a loop, and no news.
            if place < 0 or where >= image.functions[place].end or final == starts[place]:
                continue
            if target in known:
                self._add(Edge(starts[place], final, where, kind))
            else:
                self._referred.add(target)
                self._add(Edge(starts[place], final, where, "take"))

    def _add(self, edge: Edge) -> None:
        self.out.setdefault(edge.source, []).append(edge)
        self.into.setdefault(edge.target, []).append(edge)

    def _find_roots(self) -> None:
        image = self.image
        entry = image.function_at(image.entry)
        if entry:
            self.roots[entry.start] = "the kernel starts it"
        cells = self._cells
        words = image.data_words(min(cells), max(cells) + 1) if cells else []
        pointed = {value for _, value in words if value in cells}
        for cell, target in cells.items():
            if cell not in self._referred or cell in pointed:
                self.roots.setdefault(target, f"a pointer to it lies in data, at {cell:#x}")
        for target in _type_methods(image):
            self.roots.setdefault(target, "the description of a type names it as a method")

    def reach(self) -> dict[int, Edge | None]:
        """Every function that can be reached, with the reference that first reached it."""
        found: dict[int, Edge | None] = {}
        # What the kernel starts goes first, so that paths begin there where they can.
        queue: deque[int] = deque()
        for root in sorted(self.roots, key=lambda one: self.roots[one] != "the kernel starts it"):
            if root not in found:
                found[root] = None
                queue.append(root)
                self._spread(queue, found)
        return found

    def _spread(self, queue: deque[int], found: dict[int, Edge | None]) -> None:
        while queue:
            for edge in self.out.get(queue.popleft(), ()):
                if edge.target not in found:
                    found[edge.target] = edge
                    queue.append(edge.target)


def _cells(image: Image) -> dict[int, int]:
    """Every place in the data that holds the address of a function, and that function."""
    mask = ~1 if image.arch == "arm" else ~0
    words = image.data_words(image.starts[0], image.functions[-1].end) if image.starts else []
    return {place: value & mask for place, value in words if value & mask in image.by_start}


def _type_methods(image: Image) -> Iterator[int]:
    """Methods that types' descriptions name by their distance from Go's text (abi.Method).

    The linker has already left out those that no interface call and no reflection can reach.
    """
    begin, end = image.go_types
    text = image.go_text[0]
    distances = {start - text for start in image.starts}
    # What is embedded lies here too: the words are looked through in C.
    for value in sorted(distances.intersection(image.words_at(begin, end - begin, 4)) - {0}):
        function = image.by_start[text + value]
        # pkg.(*T).Method or pkg.T.Method: two dots behind the last slash at least.
        if function.name.rpartition("/")[2].count(".") >= 2:
            yield function.start
