"""The verifier: facts judged against a policy. A finding is data; nothing here is raised."""

import contextlib
import re
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import evidence, needs, particulars
from gotoolforge.beside import ahead
from gotoolforge.blame import proofs
from gotoolforge.buildpaths import BuildPath
from gotoolforge.elf import BrokenElfError, ElfFacts, NotElfError, read_build_paths, read_elf
from gotoolforge.errors import UnreadableError
from gotoolforge.finding import Finding
from gotoolforge.goelf import GoFacts
from gotoolforge.judgement import Subject, judge, split_version, version_key
from gotoolforge.objects import glibc_symbols
from gotoolforge.particulars import Load, ToldNote
from gotoolforge.policy import Policy, load_checks
from gotoolforge.target import Target
from gotoolforge.witness import Witness, hear_all

Linkage = Literal["static", "static-pie", "dynamic"]

_LOADERS = (
    (r"/ld-musl-", "musl"),
    (r"/(ld-linux[^/]*|ld64\.so\.[12]|ld-[0-9.]+\.so)$", "glibc"),
    # glibc's on mips and s390; /lib/64/ld.so.1 and /usr/lib/ld.so.1 are Solaris'.
    (r"^/lib[0-9n]*/ld\.so\.1$", "glibc"),
    (r"/libexec/|^/system/bin/linker|^/(usr/)?lib/([a-z0-9]+/)?ld\.so\.1$", "other"),
)
_LIBRARIES = (
    (r"^(libc\.musl-|ld-musl-|libc\.so$)", "musl"),
    (r"^(libc\.so\.6(\.1)?$|ld-linux|ld64\.so|ld\.so\.1$)", "glibc"),
    # glibc's own parts before 2.34, whose numbers no other libc uses.
    (r"^lib(pthread|dl|rt|m|resolv|util)\.so\.[0-9]$", "glibc"),
    (r"^lib(c|dl|m)\.so(\.[0-9]+)?$", "other"),
)


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of one file. `verdict` None and `error` mean that it could not be read.

    `floor` is the oldest glibc with every symbol version asked for; `stack_size` is in bytes.
    `asks` are the symbols that ask for each version, `offers` the versions that it defines; `needs`
    is what static is not enough for, `loads` what is loaded at run time beyond NEEDED. `abi` is
    what `flags` mean. `pie`: it may be loaded at any address. `glibc_only` are symbols that it
    leaves undefined and that glibc's headers alone name.
    """

    path: str
    verdict: str | None
    floor: str | None = None
    linkage: Linkage | None = None
    type: str | None = None
    machine: str | None = None
    bits: int | None = None
    order: str | None = None
    abi: tuple[str, ...] = ()
    interpreter: str | None = None
    needed: tuple[str, ...] = ()
    soname: str | None = None
    rpath: str | None = None
    runpath: str | None = None
    asks: dict[str, tuple[str, ...]] = {}
    offers: tuple[str, ...] = ()
    glibc_only: tuple[str, ...] = ()
    loads: tuple[Load, ...] = ()
    system: str = ""
    flags: int | None = None
    build_id: str | None = None
    go_build_id: str | None = None
    notes: tuple[ToldNote, ...] = ()
    pie: bool = False
    relro: Literal["none", "partial", "full"] | None = None
    text_relocations: bool = False
    stack_executable: bool = False
    stack_size: int | None = None
    go: GoFacts | None = None
    build_paths: tuple[BuildPath, ...] = ()
    evidence: tuple[str, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    findings: tuple[Finding, ...] = ()
    needs: tuple[str, ...] = ()
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the policy is kept: it could be read, and no finding is an error."""
        return self.error is None and all(one.severity != "error" for one in self.findings)


def load_tables() -> None:
    """Read the data that every file is judged by, ahead of the first one."""
    evidence.load_evidence()
    load_checks()
    proofs()
    needs.load_needs()
    particulars.load_all()


def verify_file(
    path: Path,
    *,
    policy: Policy,
    target: Target | None = None,
    given: str | None = None,
    hear: bool = True,
) -> FileReport:
    """Read, weigh and judge one file; `given` is the name to report it under.

    Without `hear` no witness is asked, which is quicker by far and trusts our reader alone.
    """
    name = given if given is not None else str(path)
    table = evidence.load_evidence()
    try:
        facts = read_elf(
            path,
            symbols=table.symbols + particulars.wanted_symbols(),
            strings=table.strings + particulars.wanted_strings(),
            functions=needs.functions() + proofs(),
        )
        # The headers of a debug file speak of a program that is not in it: nobody can bear witness.
        hear = hear and not facts.debug_only
        # They read the whole of a large file while we look through it for paths.
        heard = ahead(lambda: hear_all(path, facts)) if hear else lambda: ()
        paths = read_build_paths(path)
    except NotElfError as error:
        findings = judge(Subject(verdict="not-executable", linkage=None), policy)
        return FileReport(
            path=name,
            verdict="not-executable",
            glibc_only=_of_objects(path) if error.is_archive else (),
            evidence=(f"it is {error}",),
            findings=findings,
        )
    except BrokenElfError as error:
        return FileReport(path=name, verdict=None, error=str(error))
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        return FileReport(path=name, verdict=None, error=words)
    verdict, linkage, why = judge_libc(facts, table)
    witnesses = heard()
    subject = Subject(
        verdict=verdict,
        linkage=linkage,
        facts=facts,
        build_paths=paths,
        witnesses=witnesses,
        target=target,
    )
    return msgspec.structs.replace(
        _tell(name, facts, verdict),
        linkage=linkage,
        build_paths=paths,
        glibc_only=particulars.glibc_only(facts) or _of_objects(path, facts),
        evidence=why,
        witnesses=witnesses,
        findings=judge(subject, policy),
    )


def _tell(name: str, facts: ElfFacts, verdict: str) -> FileReport:
    """What the facts alone say, without any judgement."""
    return FileReport(
        path=name,
        verdict=verdict,
        floor=glibc_floor(facts),
        type=facts.type,
        machine=facts.machine,
        bits=facts.bits,
        order=facts.order,
        abi=particulars.abi_words(facts),
        interpreter=facts.interpreter,
        needed=facts.needed,
        soname=facts.soname,
        rpath=facts.rpath,
        runpath=facts.runpath,
        asks=particulars.symbols_by_version(facts),
        offers=facts.offers,
        loads=particulars.loads(facts, verdict),
        system=facts.system,
        flags=facts.flags,
        build_id=particulars.build_id(facts),
        go_build_id=particulars.go_build_id(facts),
        notes=particulars.told_notes(facts),
        pie=facts.type == "DYN" and not _is_library(facts),
        relro=facts.relro,
        text_relocations=facts.text_relocations,
        stack_executable=facts.stack_executable,
        stack_size=facts.stack_size or None,
        go=facts.go,
        needs=needs.needs_of(facts),
    )


def inspect(path: Path) -> tuple[ElfFacts, str]:
    """The facts of a file and its verdict, for commands that need both.

    Raises UnreadableError for what is no ELF file too: nothing can be said of it.
    """
    table = evidence.load_evidence()
    try:
        facts = read_elf(path, symbols=table.symbols, strings=table.strings, functions=proofs())
    except NotElfError as error:
        what = f"{path}: it is {error}"
        raise UnreadableError(what, hint="name an ELF program or library") from error
    except (BrokenElfError, OSError, ValueError) as error:
        what = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise UnreadableError(what, hint="name a file that is whole and can be read") from error
    return facts, judge_libc(facts, table)[0]


def judge_libc(
    facts: ElfFacts, table: evidence.Evidence
) -> tuple[str, Linkage | None, tuple[str, ...]]:
    """The verdict, how the file is linked, and the evidence for both. Pure."""
    if facts.debug_only:
        return "not-executable", None, ("it holds debug information only: its code is elsewhere",)
    if facts.type not in {"EXEC", "DYN"}:
        kinds = {"REL": "a relocatable object", "CORE": "a core file"}
        return "not-executable", None, (f"it is {kinds.get(facts.type, f'of type {facts.type}')}",)
    if facts.interpreter or facts.needed or _is_library(facts):
        libc, why = _dynamic_libc(facts)
        verdict = f"{libc}-dynamic" if libc in {"glibc", "musl"} else libc
        return verdict, "dynamic", why
    linkage: Linkage = "static-pie" if facts.type == "DYN" else "static"
    libc, why = evidence.weigh_static(facts, table)
    nothing = "it has no interpreter and no NEEDED library"
    verdicts = {"none": "no-libc", "unknown": "unknown", "musl": "musl-static"}
    verdicts["glibc"] = "glibc-static"
    return verdicts.get(libc, "other-libc"), linkage, (nothing, *why)


def glibc_floor(facts: ElfFacts) -> str | None:
    """The highest GLIBC_ version asked for, by number and not by text: 2.34 is above 2.4."""
    split = (split_version(version) for _, version in facts.versions)
    numbers = [one[1] for one in split if one and one[0] == "GLIBC"]
    return max(numbers, key=version_key) if numbers else None


def _of_objects(path: Path, facts: ElfFacts | None = None) -> tuple[str, ...]:
    # Such an archive or object was compiled for glibc, which a link against musl says later.
    if facts is not None and facts.type != "REL":
        return ()
    with contextlib.suppress(OSError):
        return glibc_symbols(path)
    return ()


def _is_library(facts: ElfFacts) -> bool:
    # A static pie has an entry point and (but for old linkers) DF_1_PIE; a library has a soname.
    return facts.type == "DYN" and not facts.is_pie and (bool(facts.soname) or not facts.entry)


def _dynamic_libc(facts: ElfFacts) -> tuple[str, tuple[str, ...]]:
    if glibc_floor(facts):
        split = (split_version(version) for _, version in facts.versions)
        asked = sorted({version_key(one[1]) for one in split if one and one[0] == "GLIBC"})
        last = ", ".join("GLIBC_" + ".".join(map(str, one)) for one in asked[-3:])
        return "glibc", (f"it asks for symbol versions {last}",)
    loader = _first_match(_LOADERS, facts.interpreter or "")
    # OpenBSD's libc.so has musl's name: an interpreter of another system decides.
    if loader == "other":
        return "other-libc", (f"its interpreter is {facts.interpreter}",)
    for library in (*facts.needed, *filter(None, [facts.soname])):
        if libc := _first_match(_LIBRARIES, library):
            name = "other-libc" if libc == "other" else libc
            how = "NEEDED" if library in facts.needed else "the soname"
            return name, (f"it has {how} {library}",)
    if facts.interpreter:
        return loader or "other-libc", (f"its interpreter is {facts.interpreter}",)
    if facts.needed:
        return "unknown", (f"it has NEEDED {', '.join(facts.needed)}, none of them a known libc",)
    return "unknown", ("it is a shared object that names no libc",)


def _first_match(table: tuple[tuple[str, str], ...], name: str) -> str | None:
    return next((libc for pattern, libc in table if re.search(pattern, name)), None)
