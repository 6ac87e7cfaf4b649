"""The `imported` family: a prefix made elsewhere, musl-cross-make's or any other.

It is probed by compiling, not trusted by its name; the record in the store says what was found,
and a prefix that has changed since must be imported again.
"""

from pathlib import Path

from gotoolforge import run, store
from gotoolforge.compilers.toolchain import Toolchain, from_manifest, to_manifest
from gotoolforge.console import Console
from gotoolforge.errors import TargetError, ToolchainError
from gotoolforge.run import Command
from gotoolforge.target import Target, find_target

_C = """\
#include <stdio.h>
#if defined(__GLIBC__) || defined(__UCLIBC__)
#error not musl
#endif
int main(void) { return puts("probe") < 0; }
"""
_CXX = '#include <string>\nint main() { return std::string("probe").size() != 5; }\n'
_FORTRAN = "      program probe\n      end\n"


def examine(target: Target) -> list[tuple[str, str]]:
    """What is missing for this target: pairs of what it is and the command that mends it."""
    if _record(target).is_file():
        return []
    return [(f"no toolchain was imported for {target.name}", "gotoolforge toolchain import DIR")]


def ensure_toolchain(target: Target, console: Console, *, offline: bool = False) -> Toolchain:
    """The toolchain that was imported for `target`.

    Raises ToolchainError if there is none, or if its files have changed since.
    """
    del console, offline
    try:
        toolchain = from_manifest(_record(target).read_bytes())
    except FileNotFoundError as error:
        what = f"no toolchain was imported for {target.name}"
        raise ToolchainError(what, hint="gotoolforge toolchain import DIR") from error
    if not toolchain.cc.is_file() or _digest(toolchain.prefix, toolchain.cc) != toolchain.digest:
        what = f"{toolchain.prefix} has changed since it was imported, or is gone"
        raise ToolchainError(what, hint=f"gotoolforge toolchain import {toolchain.prefix}")
    return toolchain


def import_prefix(folder: Path, target: Target | None, console: Console) -> Toolchain:
    """Probe the toolchain in `folder` and record it for its target.

    Raises ToolchainError that says what was tried if it cannot make static musl programs.
    """
    prefix = folder.absolute()
    cc = _find_compiler(prefix)
    triple = _said(cc, "-dumpmachine")
    if target is None:
        target = _target_of(cc, triple)
    stem = cc.name.removesuffix("gcc").removesuffix("cc")
    with store.scratch_dir() as scratch, console.step(f"probe {cc}", long=True):
        _probe_c(cc, target, scratch)
        cxx = _probed(cc.with_name(f"{stem}g++"), "c++", _CXX, scratch)
        fortran = _probed(cc.with_name(f"{stem}gfortran"), "f", _FORTRAN, scratch)
    ar = cc.with_name(f"{stem}ar")
    if not ar.is_file():
        what = f"{prefix} has no {ar.name}"
        raise ToolchainError(what, hint="a toolchain needs its binutils beside the compiler")
    sysroot = _said(cc, "-print-sysroot")
    toolchain = Toolchain(
        family="imported",
        target=target.name,
        version=f"{triple} {_said(cc, '-dumpversion')}",
        digest=_digest(prefix, cc),
        prefix=prefix,
        sysroot=Path(sysroot).resolve() if sysroot else prefix / triple,
        cc=cc,
        cxx=cxx,
        ar=ar,
        fortran=fortran,
    )
    record = _record(target)
    store.ensure_dir(record.parent)
    store.write_atomically(record, to_manifest(toolchain))
    return toolchain


def _record(target: Target) -> Path:
    return store.place("imported", f"{target.name}.json")


def _find_compiler(prefix: Path) -> Path:
    for pattern in ("*-gcc", "*-cc", "gcc", "cc"):
        for found in sorted((prefix / "bin").glob(pattern)):
            if found.is_file():
                return found
    what = f"{prefix} is not a toolchain: there is no bin/*-gcc, bin/*-cc, bin/gcc or bin/cc in it"
    raise ToolchainError(what, hint="name the folder that has bin/, include/ and lib/ in it")


def _target_of(cc: Path, triple: str) -> Target:
    name = cc.name.removesuffix("-gcc").removesuffix("-cc")
    for spelling in (name, triple):
        try:
            return find_target(spelling)
        except TargetError:
            continue
    what = f"{cc} emits code for {triple}, which no target's spelling matches"
    raise ToolchainError(what, hint="say which target it is: --target TARGET")


def _probe_c(cc: Path, target: Target, scratch: Path) -> None:
    from gotoolforge.elf import BrokenElfError, NotElfError, read_elf

    source, made = scratch / "probe.c", scratch / "probe"
    source.write_text(_C)
    answer = run.ask(Command(argv=(str(cc), "-static", str(source), "-o", str(made))))
    if answer.code:
        what = f"{cc} cannot link a static C program against musl:\n{answer.err.strip()}"
        raise ToolchainError(what, hint="import a musl toolchain with libc.a")
    try:
        facts = read_elf(made)
    except (NotElfError, BrokenElfError) as error:
        what = f"{cc} makes no ELF program: {error}"
        raise ToolchainError(what, hint="import a toolchain for Linux") from error
    if facts.interpreter or facts.needed:
        what = f"{cc} -static leaves {facts.interpreter or facts.needed} in the program"
        raise ToolchainError(what, hint="a distribution's musl-gcc does that; import a cross GCC")
    want = (target.elf.machine, target.elf.bits, target.elf.order)
    if (facts.machine, facts.bits, facts.order) != want:
        seen = f"{facts.machine}, {facts.bits} bits, {facts.order}-endian"
        what = f"{cc} emits {seen}, which is not {target.name}"
        raise ToolchainError(what, hint="name the right target with --target")


def _probed(compiler: Path, language: str, text: str, scratch: Path) -> Path | None:
    if not compiler.is_file():
        return None
    source, made = scratch / f"probe.{'cpp' if language == 'c++' else language}", scratch / language
    source.write_text(text)
    answer = run.ask(Command(argv=(str(compiler), "-static", str(source), "-o", str(made))))
    return compiler if answer.code == 0 else None


def _digest(prefix: Path, cc: Path) -> str:
    """Over the compiler's words and files and the libc that it links."""
    libc = Path(run.ask(Command(argv=(str(cc), "-print-file-name=libc.a"))).out.strip())
    files = [one for one in (cc, libc) if one.is_file()]
    version = run.ask(Command(argv=(str(cc), "-v"))).err
    return store.digest_of([str(prefix), version, [store.file_sha256(one) for one in files]])


def _said(cc: Path, question: str) -> str:
    answer = run.ask(Command(argv=(str(cc), question)))
    if answer.code:
        what = f"{cc} does not answer {question}: {answer.err.strip()}"
        raise ToolchainError(what, hint="is it a compiler for this machine?")
    return answer.out.strip()
