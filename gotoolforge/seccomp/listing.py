"""The static listing: every place of an executable that enters the kernel, and with what number.

Facts only. Two sets come of it: what is in the file, and what can be reached from where the kernel
starts the program. A number that cannot be found is listed with its function.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gotoolforge import paths
from gotoolforge.seccomp import discover, numbers
from gotoolforge.seccomp.flow import Value, Walker
from gotoolforge.seccomp.graph import Graph
from gotoolforge.seccomp.image import Image
from gotoolforge.seccomp.machine import Code, Insn
from gotoolforge.tables import Row, load_table

_WRAPPERS = ("syscall.", "golang.org/x/sys/unix.")


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One way to one system call.

    `path` leads from the start to the function that knows the number and on to the one that enters
    the kernel (empty: it cannot be reached); `owner` is the function that knows the number.
    """

    number: int
    name: str
    owner: str
    site: str
    address: int
    path: tuple[str, ...]
    root: str
    note: str


class Unresolved(msgspec.Struct, frozen=True, kw_only=True):
    """A place that enters the kernel with a number that nobody can tell by reading.

    `known` names the data row that explains it (then the number is listed elsewhere).
    """

    site: str
    address: int
    lost_in: str
    reason: str
    reachable: bool
    known: str


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What a program can ask of the kernel. Numbers that no table names are `syscall_N`."""

    file: str
    arch: str
    go: bool
    uses: tuple[Use, ...]
    unresolved: tuple[Unresolved, ...]
    functions: int
    sites: int
    warnings: tuple[str, ...]
    partial: tuple[str, ...] = ()
    """Those of the warnings that say why calls may be missing here."""
    socket_askers: tuple[str, ...] = ()
    """Functions outside the thin wrappers of `syscall` and x/sys that ask for a socket."""

    @property
    def in_file(self) -> tuple[str, ...]:
        """Names of all calls whose number stands in the file."""
        return tuple(sorted({one.name for one in self.uses}))

    @property
    def reachable(self) -> tuple[str, ...]:
        """Names of the calls that can be reached."""
        return tuple(sorted({one.name for one in self.uses if one.path}))

    @property
    def open_ends(self) -> tuple[Unresolved, ...]:
        """Reachable places whose number is not known, and which no data row explains."""
        return tuple(one for one in self.unresolved if one.reachable and not one.known)

    @property
    def unsure(self) -> tuple[str, ...]:
        """Why calls may be missing here, in sentences."""
        ends = len(self.open_ends)
        lost = f"{ends} reachable places have a number that nobody can tell: what they call is "
        lost += "missing here (`seccomp list` names them; a trace can show it)"
        return (*self.partial, *((lost,) if ends else ()))


class Forward(Row, frozen=True):
    """A site that makes a number that another function was given; see forwards.toml."""

    reason: str
    site: str = ""
    code: str = ""


def code_for(arch: str) -> Code:
    """The reader of an architecture's code."""
    if arch in ("amd64", "386"):
        from gotoolforge.seccomp.code_x86 import X86

        return X86(8 if arch == "amd64" else 4)
    from gotoolforge.seccomp.code_lifted import Lifted

    return Lifted(arch)


def list_calls(path: Path) -> Listing:
    """Read a program and list its system calls.

    Raises UnreadableError for what is no readable program, TargetError for an architecture that is
    not in the table.
    """
    image = Image(path)
    code = code_for(image.arch)
    return Reader(image, code).listing()


class Reader:
    """One image on its way to a listing; keeps the graph for questions of `why`."""

    def __init__(self, image: Image, code: Code) -> None:
        self.image, self.code = image, code
        self.partial: list[str] = []
        discover.add_unnamed(image, code)
        self.graph = Graph(image, code)
        self.walker = Walker(image, code, self.graph)
        self.reached = self.graph.reach()
        table = paths.recipes_dir() / "seccomp" / "forwards.toml"
        self._forwards = load_table(table, dict[str, tuple[Forward, ...]])["forward"]

    def listing(self) -> Listing:
        """Everything."""
        uses: dict[tuple[int, int, int], Use] = {}
        unresolved = []
        socket_number = numbers.calls_of(self.image.arch)["socket"]
        sockets: list[Value] = []
        sites = list(self.sites())
        for start, place in sites:
            insn = self.walker.body(start).insns[place]
            nothing = (Value(None, "no way is seen to lead here", (start,)),)
            for value in self.walker.values(start, place, self.code.asked(insn)) or nothing:
                if value.number is None:
                    unresolved.append(self._unresolved(start, insn.addr, value))
                else:
                    if value.number == socket_number:
                        sockets.append(value)
                    key = (value.number, value.chain[-1], insn.addr)
                    uses.setdefault(key, self._use(value, insn))
        if self.image.interpreter:
            self.partial.append(
                "it loads libraries of the host (it has an interpreter): what they call is not here"
            )
        if self.image.thumb:
            self.partial.append(
                "its C is Thumb code, which is not read: compile it with -marm, or give a trace"
            )
        elif not sites:
            self.partial.append("no place is found that enters the kernel: give a trace")
        alone = () if self.image.is_go else ("no Go function table: read as a program of C alone",)
        return Listing(
            file=str(self.image.path),
            arch=self.image.arch,
            go=self.image.is_go,
            uses=tuple(sorted(uses.values(), key=lambda one: (one.name, not one.path, one.owner))),
            unresolved=tuple(dict.fromkeys(unresolved)),
            functions=len(self.image.functions),
            sites=len(sites),
            warnings=(*self.partial, *alone),
            partial=tuple(self.partial),
            socket_askers=self._askers({v.chain[-1] for v in sockets}),
        )

    def _askers(self, owners: set[int]) -> tuple[str, ...]:
        """The first functions above `owners` that are no thin wrappers."""
        found: set[str] = set()
        queue, seen = list(owners), set(owners)
        while queue:
            start = queue.pop()
            if not self.name(start).startswith(_WRAPPERS):
                found.add(self.name(start))
                continue
            for edge in self.graph.into.get(start, ()):
                if edge.source not in seen:
                    seen.add(edge.source)
                    queue.append(edge.source)
        return tuple(sorted(found))

    def sites(self) -> Iterator[tuple[int, int]]:
        """(function, instruction) of every place that enters the kernel."""
        for begin, end in self.image.code_ranges:
            for address in self.code.sites(self.image.read(begin, end - begin), begin):
                function = self.image.function_at(address)
                if function is None:
                    continue
                body = self.walker.body(function.start)
                place = body.index.get(address)
                if place is None:
                    if not body.whole and body.undecoded(address):
                        self.partial.append(
                            f"{function.name} holds bytes that are no code, and what may be a "
                            f"system call at {address:#x}"
                        )
                elif self.code.enters_kernel(body.insns[place]):
                    yield function.start, place

    def name(self, start: int) -> str:
        """A function's name."""
        return self.image.by_start[start].name

    def path_to(self, start: int) -> tuple[tuple[str, ...], str]:
        """The functions from a root to the one at `start`, and why the root is one."""
        if start not in self.reached:
            return (), ""
        names = [self.name(start)]
        edge = self.reached[start]
        while edge is not None:
            start = edge.source
            names.append(self.name(start))
            edge = self.reached[start]
        return tuple(reversed(names)), self.graph.roots[start]

    def _use(self, value: Value, insn: Insn) -> Use:
        assert value.number is not None
        owner = value.chain[-1]
        path, root = self.path_to(owner)
        inner = tuple(self.name(one) for one in reversed(value.chain[:-1]))
        # A 64-bit program enters by `int 0x80` with i386's numbers.
        known = numbers.names_of("386" if insn.mnem == "int" else self.image.arch)
        return Use(
            number=value.number,
            name=known.get(value.number, f"syscall_{value.number}"),
            owner=self.name(owner),
            site=self.name(value.chain[0]),
            address=insn.addr,
            path=path + inner if path else (),
            root=root,
            note=value.reason,
        )

    def _holds(self, start: int, code: bytes) -> bool:
        """Whether a function begins with these bytes."""
        return self.image.read(start, len(code)) == code

    def _unresolved(self, start: int, address: int, value: Value) -> Unresolved:
        site, lost = self.name(start), self.name(value.chain[-1])
        names = {self.name(one) for one in value.chain}
        known = next(
            (
                row.reason
                for row in self._forwards
                if row.site in names or (row.code and self._holds(start, bytes.fromhex(row.code)))
            ),
            "",
        )
        return Unresolved(
            site=site,
            address=address,
            lost_in=lost,
            reason=value.reason,
            reachable=value.chain[-1] in self.reached,
            known=known,
        )
