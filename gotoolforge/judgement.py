"""The checks: facts of one file against a policy, as findings. Pure; the table says the words."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from gotoolforge.buildpaths import BuildPath
from gotoolforge.elf import ElfFacts
from gotoolforge.finding import Finding, in_order
from gotoolforge.policy import Check, Policy, Worth, load_checks
from gotoolforge.target import Target
from gotoolforge.witness import Witness

_SYSTEM_FOLDERS = re.compile(r"\$\{?(ORIGIN|LIB|PLATFORM)\b|/(usr/(local/)?)?lib|/opt/|/nix/")
# Names that only glibc's headers make: fortified calls, large-file aliases, C99/C23 scanners.
GLIBC_ONLY = re.compile(
    r"__\w+_chk|__isoc(99|23)_\w+|((f|fre)?open|openat|creat|l?lseek|[fl]?stat|fstatat|mmap"
    r"|p(read|write)v?|readdir|scandir|f?truncate|sendfile|[gs]etrlimit|prlimit|f?statv?fs"
    r"|f[gs]etpos|fseeko|ftello|tmpfile|mkstemps?|mkostemps?|glob|lockf|n?ftw|alphasort"
    r"|(posix_)?f(allocate|advise))64|readdir64_r|gnu_get_libc_version"
)
MUSL_HAS = {"__stack_chk_fail"}
# musl has the C99 scanners; its loader takes large-file names for the plain ones (get_lfs64).
_MUSL_LOADS = re.compile(r"__stack_chk_fail|__isoc99_\w+|[a-z_]+64(_r)?")
_WORTH: dict[str, Worth] = {"fail": "error", "warn": "warning", "pass": "off"}
Seen = tuple[str, str]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """All that a check may look at; `facts` is None for what is no ELF file."""

    verdict: str
    linkage: str | None
    facts: ElfFacts | None = None
    build_paths: tuple[BuildPath, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    target: Target | None = None


def judge(subject: Subject, policy: Policy) -> tuple[Finding, ...]:
    """Every finding on the file, the worst first."""
    table = load_checks()
    found = list(_verdict(subject, policy, table))
    for check, message in _seen(subject, policy):
        severity = policy.checks.get(check, table[check].severity)
        if severity != "off":
            found.append(
                Finding(check=check, severity=severity, message=message, advice=table[check].fix)
            )
    return in_order(found)


def asked_symbols(facts: ElfFacts, version: str) -> tuple[str, ...]:
    """The undefined symbols that ask for a version."""
    return tuple(
        one.name for one in facts.dynamic_symbols if not one.defined and one.version == version
    )


def version_key(number: str) -> tuple[int, ...]:
    """`2.34` as numbers: 2.34 is above 2.4."""
    return tuple(int(part) for part in number.split("."))


def split_version(version: str) -> tuple[str, str] | None:
    """`GLIBC_2.34` as its family and its number; None for GLIBC_PRIVATE and the like."""
    found = re.fullmatch(r"(\w+?)_(\d+(?:\.\d+)*)", version)
    return (found[1], found[2]) if found else None


def _verdict(subject: Subject, policy: Policy, table: dict[str, Check]) -> Iterator[Finding]:
    check = f"verdict-{subject.verdict}"
    rule = policy.verdict.get(subject.verdict)
    judgement = rule.judgement if rule else "fail"
    # Unknown is worth a warning where the file starts anywhere: a dynamic one needs the host.
    if (subject.verdict, subject.linkage, judgement) == ("unknown", "dynamic", "warn"):
        judgement = "fail"
    severity = policy.checks.get(check, _WORTH[judgement])
    if severity != "off":
        yield Finding(
            check=check,
            severity=severity,
            message=f"the policy {policy.name} wants a file that {policy.describes}",
            advice=(rule.advice if rule else "") or table[check].fix,
        )


def _seen(subject: Subject, policy: Policy) -> Iterator[Seen]:
    if subject.facts is None:
        return
    for one in subject.witnesses:
        if one.state == "contradicts":
            yield "witness-disagrees", f"{one.name} sees {one.words}"
    if subject.target:
        yield from _machine(subject.facts, subject.target, subject.verdict)
    if subject.linkage is not None:
        yield from _allowed(subject.facts, policy)
        yield from _shape(subject.facts, subject)


def _machine(facts: ElfFacts, target: Target, verdict: str) -> Iterator[Seen]:
    want = target.elf
    is_so = (facts.machine, facts.bits, facts.order) == (want.machine, want.bits, want.order)
    flags_ok = facts.flags & want.flags_set == want.flags_set and not facts.flags & want.flags_clear
    # Go's own linker leaves the float ABI out of the flags: it binds only where C is inside.
    if not is_so or (not flags_ok and verdict != "no-libc"):
        seen = f"{facts.machine} {facts.bits}-bit {facts.order}, flags {facts.flags:#x}"
        wanted = f"{want.machine} {want.bits}-bit {want.order} for {target.name}"
        yield "wrong-machine", f"{seen}; wanted {wanted}"


def _allowed(facts: ElfFacts, policy: Policy) -> Iterator[Seen]:
    def refused(name: str, patterns: tuple[str, ...] | None) -> bool:
        return patterns is not None and not any(fnmatchcase(name, one) for one in patterns)

    if facts.interpreter and refused(facts.interpreter, policy.interpreters):
        yield "interpreter-not-allowed", f"its interpreter is {facts.interpreter}"
    for library in facts.needed:
        if refused(library, policy.needed):
            yield "needed-not-allowed", f"it has NEEDED {library}"
    for library, version in facts.versions:
        family, number = split_version(version) or ("", "0")
        most = policy.versions.get(family)
        if most and version_key(number) > version_key(most):
            symbols = asked_symbols(facts, version)
            who = f" for {', '.join(symbols[:3])}{' ...' if symbols[3:] else ''}" if symbols else ""
            check = "floor-too-new" if family == "GLIBC" else "version-not-allowed"
            yield check, f"it asks {library} for {version}{who}; at most {family}_{most} is allowed"


def _shape(facts: ElfFacts, subject: Subject) -> Iterator[Seen]:
    if facts.system:
        yield "wrong-system", f"its header names {facts.system}"
    if facts.stack_executable:
        yield "stack-executable", "PT_GNU_STACK asks for an executable stack"
    if facts.text_relocations:
        yield "text-relocations", "its dynamic segment announces relocations of the code"
    for tag, path in (("runpath", facts.runpath), ("rpath", facts.rpath)):
        for folder in (path or "").split(":"):
            if folder and not _SYSTEM_FOLDERS.match(folder):
                yield "runpath-of-builder", f"its {tag} names {folder}"
    for one in subject.build_paths[:3]:
        yield "paths-of-builder", f"{one.names} names below {one.folder}, such as {one.example}"
    if subject.verdict == "musl-dynamic":
        strange = sorted(
            one.name
            for one in facts.dynamic_symbols
            if not one.defined
            and GLIBC_ONLY.fullmatch(one.name)
            and not _MUSL_LOADS.fullmatch(one.name)
        )
        if strange:
            more = " ..." if strange[5:] else ""
            yield "glibc-only-symbols", f"it asks for {', '.join(strange[:5])}{more}"
    uses_c = bool(facts.go and facts.go.settings.get("CGO_ENABLED") == "1")
    if subject.verdict == "musl-static" and uses_c and not facts.stack_size:
        yield "stack-small", "PT_GNU_STACK names no size, so C threads have 128 KiB"
    if facts.go and facts.go.settings and facts.go.settings.get("-trimpath") != "true":
        yield "not-trimmed", "its build info does not say -trimpath"
    if subject.linkage != "static" and facts.relro == "none":
        yield "relro-missing", "it has no PT_GNU_RELRO"
