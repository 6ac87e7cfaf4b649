"""Where a binary runs: by a table of distributions, by a foreign root's own files, and here."""

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import blame, paths, rootfs
from gotoolforge.dynsym import Symbol
from gotoolforge.elf import BrokenElfError, ElfFacts, NotElfError, read_elf
from gotoolforge.errors import UnreadableError
from gotoolforge.judgement import asked_symbols, split_version, version_key
from gotoolforge.tables import Row, load_table

Answer = Literal["runs", "does not run", "not known"]
_LIBC_PARTS = {
    "libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libresolv.so.2",
    "libutil.so.1", "libanl.so.1", "libc.so.6.1", "libm.so.6.1",
}  # fmt: skip
_GCC_PARTS = {"libstdc++.so.6", "libgcc_s.so.1", "libatomic.so.1", "libgomp.so.1"}


class Distribution(Row, frozen=True):
    """One row of `recipes/distributions.toml`, where the fields are explained."""

    name: str
    libc: Literal["glibc", "musl", "none"]
    version: str
    gcc: int
    eol: str
    source: str


class Runtime(Row, frozen=True):
    """The highest symbol versions that GCC's libraries of one major version have."""

    gcc: int
    versions: dict[str, str]


class Distributions(Row, frozen=True):
    """The whole table."""

    distribution: tuple[Distribution, ...]
    runtime: tuple[Runtime, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place and whether the file runs there; `because` names what decides.

    `judged` says how: by the table, by the root's own files, or as this machine.
    """

    name: str
    libc: str
    answer: Answer
    because: tuple[str, ...] = ()
    eol: str = ""
    past_eol: bool = False
    judged: Literal["table", "files", "this machine"] = "table"


def load_distributions() -> Distributions:
    """The table."""
    return load_table(paths.recipes_dir() / "distributions.toml", Distributions)


def by_table(facts: ElfFacts, verdict: str, today: datetime.date) -> tuple[Place, ...]:
    """Every distribution of the table."""
    table = load_distributions()
    runtimes = {one.gcc: one.versions for one in table.runtime}
    return tuple(
        _place(facts, verdict, row, runtimes.get(row.gcc, {}), today) for row in table.distribution
    )


def this_machine(facts: ElfFacts, verdict: str) -> Place:
    """The machine that gotoolforge runs on, by its own files."""
    place = by_root(facts, verdict, Path("/"), "this machine")
    return msgspec.structs.replace(place, judged="this machine")


def _place(
    facts: ElfFacts, verdict: str, row: Distribution, gcc: dict[str, str], today: datetime.date
) -> Place:
    answer, because = _answer(facts, verdict, row, gcc)
    return Place(
        name=row.name,
        libc=f"{row.libc} {row.version}".strip(),
        answer=answer,
        because=because,
        eol=row.eol,
        past_eol=bool(row.eol) and row.eol < today.isoformat(),
    )


def _answer(
    facts: ElfFacts, verdict: str, row: Distribution, gcc: dict[str, str]
) -> tuple[Answer, tuple[str, ...]]:
    if verdict == "not-executable":
        return "does not run", ("it is no program",)
    if not facts.interpreter and not facts.needed:
        return "runs", _static_caveat(verdict)
    wants = verdict.removesuffix("-dynamic")
    if wants not in {"glibc", "musl"}:
        return "not known", (f"it needs {facts.interpreter or ', '.join(facts.needed)}",)
    if row.libc != wants:
        return "does not run", (f"{facts.interpreter or wants} is not there",)
    has = {"GLIBC": row.version, **gcc} if row.libc == "glibc" else gcc
    short = tuple(_too_new(facts, has))
    if short:
        return "does not run", short
    foreign = [one for one in facts.needed if one not in _LIBC_PARTS | _GCC_PARTS]
    foreign = [one for one in foreign if not one.startswith(("ld-", "libc."))]
    missing = [one for one in facts.needed if one in _GCC_PARTS and not gcc]
    if missing:
        return "does not run", (f"{', '.join(missing)} is not there",)
    if foreign:
        return "not known", (f"it also needs {', '.join(foreign)}",)
    return "runs", ()


def _static_caveat(verdict: str) -> tuple[str, ...]:
    if verdict == "glibc-static":
        return ("users, names and locales fail unless the host's glibc is of its version",)
    return ()


def _too_new(facts: ElfFacts, has: dict[str, str]) -> Iterator[str]:
    for _, version in facts.versions:
        family, number = split_version(version) or ("", "0")
        if family in has and version_key(number) > version_key(has[family]):
            yield because(facts, version)


def because(facts: ElfFacts, version: str) -> str:
    """`pthread_create@GLIBC_2.34, from package runtime/cgo`: who asks for a version."""
    symbols = asked_symbols(facts, version)
    if not symbols:
        return version
    table = blame.load_blame()
    owners = filter(None, (blame.owner_of(one, facts, table) for one in symbols))
    more = f" and {len(symbols) - 1} more" if symbols[1:] else ""
    names = ", ".join(dict.fromkeys(owners))
    return f"{symbols[0]}@{version}{more}" + (f", from {names}" if names else "")


def by_root(facts: ElfFacts, verdict: str, root: Path, name: str) -> Place:
    """A root folder, by the symbols that its own libraries really have."""
    libc = describe_libc(root)
    if verdict == "not-executable":
        return Place(name=name, libc=libc, answer="does not run", because=("it is no program",),
                     judged="files")  # fmt: skip
    if not facts.interpreter and not facts.needed:
        return Place(name=name, libc=libc, answer="runs", because=_static_caveat(verdict),
                     judged="files")  # fmt: skip
    problems = []
    if facts.interpreter and rootfs.inside(root, facts.interpreter) is None:
        problems.append(f"{facts.interpreter} is not there")
    offered: set[tuple[str, str]] = set()
    for library in facts.needed:
        found = _library(root, library, facts)
        if found is None:
            problems.append(f"{library} is not there")
        else:
            offered |= {(one.name, one.version) for one in _reachable(root, found, facts)}
    if not problems:
        problems = list(_unsatisfied(facts, offered))
    answer: Answer = "does not run" if problems else "runs"
    return Place(name=name, libc=libc, answer=answer, because=tuple(problems), judged="files")


def by_libc(facts: ElfFacts, verdict: str, path: Path) -> Place:
    """A distribution's libc file alone: every symbol that is asked of a libc of its name.

    Raises UnreadableError if it is no ELF library. What other libraries are asked for is not known.
    """
    try:
        libc = read_elf(path, exports=True)
    except (OSError, ValueError, NotElfError, BrokenElfError) as error:
        what = f"{path}: {error}"
        raise UnreadableError(what, hint="name the distribution's libc.so.6") from error
    numbers = [one[1] for one in map(split_version, libc.offers) if one and one[0] == "GLIBC"]
    named = f"glibc {max(numbers, key=version_key)}" if numbers else libc.soname or path.name
    offered = {(one.name, one.version) for one in libc.dynamic_symbols if one.defined}
    soname = libc.soname or path.name
    asked = tuple(one for one in facts.dynamic_symbols if one.library == soname)
    problems = list(_unsatisfied(msgspec.structs.replace(facts, dynamic_symbols=asked), offered))
    place = Place(name=str(path), libc=named, answer="runs", judged="files")
    if verdict == "not-executable":
        problems = ["it is no program"]
    elif (facts.machine, facts.bits, facts.order) != (libc.machine, libc.bits, libc.order):
        problems = [f"that libc is for {libc.machine}, {libc.bits}-bit"]
    elif soname not in facts.needed and facts.needed:
        problems = [f"it needs {', '.join(facts.needed)}, not {soname}"]
    elif not problems and (others := [one for one in facts.needed if one != soname]):
        because = (f"{', '.join(others)}: not judged by this file",)
        return msgspec.structs.replace(place, answer="not known", because=because)
    if problems:
        place = msgspec.structs.replace(place, answer="does not run", because=tuple(problems))
    return place


def _unsatisfied(facts: ElfFacts, offered: set[tuple[str, str]]) -> Iterator[str]:
    names = {name for name, _ in offered}
    lacking: dict[str, list[str]] = {}
    for one in facts.dynamic_symbols:
        if one.defined or one.weak:
            continue
        there = (one.name, one.version) in offered if one.version else one.name in names
        if not there:
            lacking.setdefault(one.version, []).append(one.name)
    for version, symbols in sorted(lacking.items()):
        if version:
            yield because(facts, version)
        else:
            yield f"{', '.join(symbols[:3])} {'is' if len(symbols) == 1 else 'are'} not there"


def _library(root: Path, name: str, facts: ElfFacts) -> ElfFacts | None:
    for path in rootfs.find_libraries(root, name):
        try:
            found = read_elf(path, exports=True)
        except (OSError, ValueError, NotElfError, BrokenElfError):
            continue
        if (found.machine, found.bits, found.order) == (facts.machine, facts.bits, facts.order):
            return found
    return None


def _reachable(root: Path, library: ElfFacts, facts: ElfFacts) -> Iterator[Symbol]:
    # What a library needs itself is searched too: libc's loader defines symbols of its own.
    for one in (library, *filter(None, (_library(root, name, facts) for name in library.needed))):
        yield from (symbol for symbol in one.dynamic_symbols if symbol.defined)


def describe_libc(root: Path) -> str:
    """The libc of a root folder: its name and version, as its own files tell; or `none`."""
    for path in rootfs.find_libraries(root, "libc.so.6"):
        with _ignored():
            offers = [split_version(one) for one in read_elf(path).offers]
            numbers = [one[1] for one in offers if one and one[0] == "GLIBC"]
            if numbers:
                return f"glibc {max(numbers, key=version_key)}"
    for folder in ("lib", "usr/lib"):
        base = rootfs.inside(root, folder)
        for path in sorted(base.glob("ld-musl-*.so.1")) if base and base.is_dir() else ():
            return _musl_version(rootfs.inside(root, f"{folder}/{path.name}"))
    return "none"


def _musl_version(path: Path | None) -> str:
    import re

    if path is None:
        return "musl"
    with _ignored():
        found = re.search(rb"\0(1\.\d+\.\d+)\0", path.read_bytes())
        return f"musl {found[1].decode()}" if found else "musl"
    return "musl"


def _ignored() -> contextlib.suppress:
    return contextlib.suppress(OSError, ValueError, NotElfError, BrokenElfError)
