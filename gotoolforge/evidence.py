"""Which libc is inside a static file: evidence is data (`recipes/libc_evidence.toml`), weighed.

In order: where the entry point lies, notes, the start-up code at the entry point, symbols and
sections. Strings only ever support, since a program may carry any string.
"""

import functools

from gotoolforge import paths
from gotoolforge.elf import ElfFacts
from gotoolforge.tables import Row, load_table


class StartCode(Row, frozen=True):
    """A libc's `_start` on one machine: hex from the entry point on, `??` for what varies."""

    libc: str
    machine: str
    bits: int
    order: str
    code: str
    source: str


class Sign(Row, frozen=True):
    """Names that only one libc has."""

    libc: str
    symbols: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()


class Evidence(Row, frozen=True):
    """The whole table."""

    start: tuple[StartCode, ...]
    sign: tuple[Sign, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Every symbol that a reader should look for."""
        return tuple(name for sign in self.sign for name in sign.symbols)

    @property
    def strings(self) -> tuple[str, ...]:
        """Every string that a reader should look for."""
        return tuple(text for sign in self.sign for text in sign.strings)


@functools.cache
def load_evidence() -> Evidence:
    """The table of evidence."""
    return load_table(paths.recipes_dir() / "libc_evidence.toml", Evidence)


def weigh_static(facts: ElfFacts, table: Evidence) -> tuple[str, tuple[str, ...]]:
    """The libc inside a static file and why: `none`, `musl`, `glibc`, another's name, `unknown`."""
    if facts.packed:
        return "unknown", (
            "it is packed by UPX, and what is inside only shows when it runs: unpack it with "
            "`upx -d` to have it judged",
        )
    go = facts.go
    if go and go.text and go.text[0] <= facts.entry < go.text[1]:
        low, high = go.text
        where = f"the entry point {facts.entry:#x} lies in Go's own code ({low:#x}-{high:#x})"
        return "none", (f"{where}, so no C start-up code runs",)
    strong, weak = _start_claims(facts, table), _name_claims(facts, table)
    words = tuple(why for _, why in strong + weak)
    # What runs first outweighs names: a program may call its own sections and symbols anything.
    for claims in (strong, weak):
        libcs = {libc for libc, _ in claims}
        if len(libcs) == 1:
            return libcs.pop(), words + _supporting(facts, table)
        if libcs:
            return "unknown", ("the evidence contradicts itself", *words)
    hints = _supporting(facts, table)
    why = "no libc's start-up code, note, symbol or section was recognised"
    if hints:
        why += "; " + "; ".join(hints) + ", but strings alone do not decide"
    return "unknown", (why,)


def _start_claims(facts: ElfFacts, table: Evidence) -> list[tuple[str, str]]:
    claims = []
    if any(one.loaded and (one.owner, one.type) == ("GNU", 1) for one in facts.notes):
        claims.append(("glibc", "it has the note GNU/NT_GNU_ABI_TAG, which glibc's crt1.o brings"))
    claims += [
        (one.libc, f"the entry point begins with {one.libc}'s start-up code")
        for one in table.start
        if (one.machine, one.bits, one.order) == (facts.machine, facts.bits, facts.order)
        and matches(one.code, facts.entry_code)
    ][:1]
    return claims


def _name_claims(facts: ElfFacts, table: Evidence) -> list[tuple[str, str]]:
    claims = []
    for sign in table.sign:
        for what, names, seen in (
            ("symbols", sign.symbols, facts.symbols),
            ("sections", sign.sections, facts.sections),
        ):
            if present := [name for name in names if name in seen]:
                claims.append((sign.libc, f"it has {sign.libc}'s {what} {', '.join(present[:3])}"))
    return claims


def _supporting(facts: ElfFacts, table: Evidence) -> tuple[str, ...]:
    return tuple(
        f"it has {sign.libc}'s string {text!r}"
        for sign in table.sign
        for text in sign.strings
        if text in facts.strings
    )


def matches(pattern: str, code: str) -> bool:
    """Whether hex `code` begins with the hex `pattern`, in which `??` stands for any byte."""
    pairs = [pattern[i : i + 2] for i in range(0, len(pattern), 2)]
    actual = [code[i : i + 2] for i in range(0, len(pattern), 2)]
    return len(actual) == len(pairs) and all(
        want in ("??", have) for want, have in zip(pairs, actual, strict=True)
    )
