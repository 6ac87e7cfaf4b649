"""The value of a register at a system call, found by walking back.

Inside a function the walk follows every way control may have come; at the function's first byte
it goes on in each caller (so a wrapper's number is what its callers give). What is not a constant
is named, never dropped.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gotoolforge.seccomp.graph import Edge, Graph
from gotoolforge.seccomp.image import UNNAMED, Function, Image
from gotoolforge.seccomp.machine import Answer, Code, Flow, Frame, Insn, Place

_MAX_STEPS = 20_000
_MAX_ROUNDS = 32
# Functions that are asked what they give, for one place that enters the kernel: some ten in
# programs as compilers make them, without end where code is taken for what it is not.
_MAX_ASKED = 500
_MAX_DEPTH = 64
_FEW = 4
_ENTRY = -1


class Value(NamedTuple):
    """One possible value: a number, or the reason why there is none.

    `chain` are the functions from the one that enters the kernel out to the one that knows the
    number (or where the walk was lost), by the address of their first byte.
    """

    number: int | None
    reason: str
    chain: tuple[int, ...]


class Body:
    """A function's instructions, with the ways into each and the stack pointer at each.

    `ends` tells of a function that is called whether it never comes back.
    """

    def __init__(
        self, function: Function, code: Code, raw: bytes, ends: Callable[[int], bool]
    ) -> None:
        self.function = function
        self.insns = code.decode(raw, function.start)
        self.index = {insn.addr: place for place, insn in enumerate(self.insns)}
        self.flows = [code.flow(insn) for insn in self.insns]
        self.whole = all(insn.mnem != ".byte" for insn in self.insns)
        self._link(code, ends)
        self._frames(code)

    def undecoded(self, address: int) -> bool:
        """Whether an address lies in bytes that are no code, and not within an instruction."""
        covering = (one for one in self.insns if one.addr <= address < one.addr + one.size)
        return any(one.mnem == ".byte" for one in covering)

    def _link(self, code: Code, ends: Callable[[int], bool]) -> None:
        count = len(self.insns)
        self.before: list[list[int]] = [[] for _ in range(count)]
        self.after: list[list[int]] = [[] for _ in range(count)]
        wild = []
        for place, flow in enumerate(self.flows):
            nexts = []
            back = flow.kind == "call" and not (flow.target and ends(flow.target))
            if (back or flow.kind in ("next", "branch")) and place + 1 < count:
                nexts.append(place + 1)
            if flow.kind in ("jump", "branch") and flow.target in self.index:
                nexts.append(self.index[flow.target])
            if flow.kind == "jump" and flow.target is None:
                wild.append(place)
            for one in nexts:
                self.after[place].append(one)
                self.before[one].append(place)
        if count:
            self.before[0].append(_ENTRY)
        # A block that nothing leads to is a case of a jump table, if there is one; padding is none.
        for place in range(1, count):
            if self.before[place]:
                continue
            if code.padding(self.insns[place]):
                for later in self.after[place]:
                    self.before[later].remove(place)
                self.after[place] = []
            else:
                for source in wild:
                    self.before[place].append(source)
                    self.after[source].append(place)

    def _frames(self, code: Code) -> None:
        self.frames: list[Frame] = [{} for _ in self.insns]
        queue: list[tuple[int, Frame]] = [(0, {code.sp: 0})] if self.insns else []
        seen = set()
        while queue:
            place, frame = queue.pop()
            if place not in seen:
                seen.add(place)
                self.frames[place] = frame
                later = code.after(self.insns[place], frame)
                queue += [(one, later) for one in self.after[place]]


class Walker:
    """Answers what a place holds, over all functions of an image; remembers what it found."""

    def __init__(self, image: Image, code: Code, graph: Graph) -> None:
        self.image, self.code, self.graph = image, code, graph
        self._bodies: dict[int, Body] = {}
        self._ending: dict[int, bool] = {}
        self._memory: dict[tuple[int, Place], tuple[Value, ...]] = {}
        self._open: set[tuple[int, Place]] = set()
        self._asked = 0

    def body(self, start: int) -> Body:
        """The decoded function that begins at an address."""
        if start not in self._bodies:
            one = self.image.by_start[start]
            raw = self.image.read(one.start, one.end - one.start)
            self._bodies[start] = Body(one, self.code, raw, self._ends)
        return self._bodies[start]

    def _ends(self, start: int) -> bool:
        """Whether a function of C never comes back: it has no return, and no way out of it.

        What follows a call of it is not its continuation, but whatever the compiler put there.
        """
        if start not in self._ending:
            self._ending[start] = False  # until it is known, if it leads to itself
            one = self.image.by_start.get(start)
            self._ending[start] = bool(one and not one.go and self._has_no_way_out(one))
        return self._ending[start]

    def _has_no_way_out(self, one: Function) -> bool:
        insns = self.code.decode(self.image.read(one.start, one.end - one.start), one.start)
        inside = {insn.addr for insn in insns}
        last, out = Flow("next"), set[int | None]()
        for insn in insns:
            flow = self.code.flow(insn)
            if flow.kind == "ret":
                return False
            if flow.kind in ("jump", "branch") and flow.target not in inside:
                out.add(flow.target)
            if not self.code.padding(insn):
                last = flow
        if last.kind == "call":
            out.add(last.target)
        over = last.kind in ("jump", "stop", "call") and one.end not in self.image.falls
        return over and all(target is not None and self._ends(target) for target in out)

    def _untouched(self, start: int | None, what: Place) -> bool:
        """Whether a few instructions without a branch, which are all of a function, leave a place.

        i386's code asks such a one where it is (`__x86.get_pc_thunk.ax`), and keeps its registers.
        """
        one = self.image.by_start.get(start) if start else None
        if one is None or one.go:
            return False
        insns = self.body(one.start).insns[:_FEW]
        flows = self.body(one.start).flows[:_FEW]
        end = next((place for place, flow in enumerate(flows) if flow.kind != "next"), None)
        if end is None or flows[end].kind != "ret":
            return False
        return all(self.code.answer(insn, what, {}).kind == "same" for insn in insns[:end])

    def values(self, start: int, place: int, wanted: Place) -> tuple[Value, ...]:
        """What `wanted` may hold just before instruction `place` of the function at `start`."""
        if wanted[0] == "const":
            return (Value(wanted[1], "", (start,)),)
        body = self.body(start)
        found: dict[Value, None] = {}
        queue, seen = [(place, wanted)], {(place, wanted)}
        rounds: dict[tuple[int, str], int] = {}
        while queue and len(seen) < _MAX_STEPS:
            here, what = queue.pop()
            for source in body.before[here]:
                if source == _ENTRY:
                    found |= dict.fromkeys(self._given(start, what))
                    continue
                for step in self._back(body, source, here, what):
                    if isinstance(step, Value):
                        found[step] = None
                    elif (source, step) not in seen:
                        # A sum that grows with each round of a loop would never end.
                        turn = rounds[source, step[0]] = rounds.get((source, step[0]), 0) + 1
                        if step[0] == "sum" and turn > _MAX_ROUNDS:
                            found[Value(None, "counted in a loop", (start,))] = None
                            continue
                        seen.add((source, step))
                        queue.append((source, step))
        if queue:
            found[Value(None, "too many ways lead here", (start,))] = None
        return tuple(found)

    def _back(self, body: Body, source: int, here: int, what: Place) -> Iterator[Place | Value]:
        start, insn = body.function.start, body.insns[source]
        if body.flows[source].kind == "branch" and body.before[source] == [source - 1]:
            taken = body.flows[source].target == body.insns[here].addr
            if self.code.told(body.insns[source - 1], insn, taken=taken) == what:
                yield Value(0, "", (start,))
                return
        if body.flows[source].kind == "call":
            kept = what[0] == "s" or self.code.kept_by_call(what, go=body.function.go)
            if kept or self._untouched(body.flows[source].target, what):
                yield what
            else:
                yield Value(None, f"the result of a call ({insn.mnem} {insn.ops})", (start,))
            return
        answer = self.code.answer(insn, what, body.frames[source])
        for one in answer.value if answer.kind == "either" else (answer,):
            yield self._read(one, what, start, insn)

    def _read(self, answer: Answer, what: Place, start: int, insn: Insn) -> Place | Value:
        if answer.kind == "same":
            return what
        if answer.kind == "place":
            place: Place = answer.value
            if place[0] != "const":
                return place
            answer = Answer("const", place[1])
        if answer.kind == "const":
            return Value(answer.value & 0xFFFFFFFF, "", (start,))
        if answer.kind == "memory":
            address, size = answer.value
            return self._loaded(address, size, start)
        return Value(None, f"{answer.value} at {insn.addr:#x}", (start,))

    def _loaded(self, address: int, size: int, start: int) -> Value:
        value = self.image.word(address, size)
        if value is not None and self.image.constant(address):
            return Value(value & 0xFFFFFFFF, "", (start,))
        if value:
            # Go's only such variable is syscall.fcntl64Syscall; it is set before main.
            why = f"the variable at {address:#x} begins with it"
            return Value(value & 0xFFFFFFFF, why, (start,))
        return Value(None, f"loaded from memory at {address:#x}", (start,))

    def _given(self, start: int, what: Place) -> tuple[Value, ...]:
        """What callers give in a place when they call the function at `start`."""
        named = not self.image.by_start[start].name.startswith(UNNAMED)
        if what[0] == "s" and what[1] < self.code.return_slot and named:
            # A slot of the function's own frame that nothing was seen to write.
            return (Value(None, "written through a pointer", (start,)),)
        key = (start, what)
        if key in self._memory:
            return self._memory[key]
        if key in self._open:
            return ()
        self._asked = self._asked + 1 if self._open else 1
        if self._asked > _MAX_ASKED or len(self._open) >= _MAX_DEPTH:
            return (Value(None, "given by callers too many or too far away", (start,)),)
        self._open.add(key)
        found: dict[Value, None] = {}
        pointers, callers = start in self.graph.roots, 0
        for edge in self.graph.into.get(start, ()):
            pointers |= edge.kind == "take"
            given = None if edge.kind == "take" else self._from_caller(edge, what)
            for one in given or ():
                found[one._replace(chain=(start, *one.chain))] = None
            callers += given is not None
        if pointers or not callers:
            why = "given by whoever calls it through a pointer"
            found[Value(None, why, (start,))] = None
        self._open.discard(key)
        if self._asked <= _MAX_ASKED:
            self._memory[key] = tuple(found)
        return tuple(found)

    def _from_caller(self, edge: Edge, what: Place) -> tuple[Value, ...] | None:
        """What one caller gives; None if the bytes there are no such call after all."""
        body = self.body(edge.source)
        if edge.kind == "fall":
            place, pushed = len(body.insns) - 1, 0
        elif edge.where in body.index:
            place = body.index[edge.where]
            pushed = self.code.return_slot if body.flows[place].kind == "call" else 0
        else:
            return None
        if edge.kind != "fall" and body.flows[place].target != edge.target:
            return None
        if what[0] == "s":
            sp = body.frames[place].get(self.code.sp)
            if sp is None:
                return (Value(None, "given on a stack of unknown depth", (edge.source,)),)
            what = ("s", sp - pushed + what[1])
        return self.values(edge.source, place, what)
