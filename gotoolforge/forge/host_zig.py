"""zig as the host compiler, wrapped so that configure and make see an ordinary cc.

zig is a whole package of a pinned version: what it compiles is the same on every distribution, and
linked with musl, so it runs on every one. What works here is the clang and the lld inside zig,
called directly; `zig cc` itself only makes, once, the libraries that every link needs. It would
also do the rest, but ten times slower for a configure script's small programs, and with one cache
of objects keyed on relative names, which hands one build folder's objects to another.
"""

import shlex
import shutil
from itertools import pairwise
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.beside import side_by_side
from gotoolforge.errors import StoreError, ToolchainError
from gotoolforge.forge.wrapping import wrap, wrap_compiler
from gotoolforge.run import Answer, Command

# GCC's sources narrow constants in initialisers, which clang takes for an error, and configure
# scripts take a remark on stderr for a no.
_QUIET = ("-Wno-c++11-narrowing", "-Wno-unused-command-line-argument")
# Parts of libc that musl keeps in libc.a; a program may still ask for them by name.
_EMPTY = ("m", "pthread", "rt", "dl", "util", "resolv", "crypt", "xnet")


def prepare_zig(zig: Path, triple: str, folder: Path) -> None:
    """Make `folder` hold bin/host-{cc,c++,ar,ranlib} and the libraries that they link.

    `zig` is the program, `triple` its name for this machine with musl. Takes a minute or two, since
    libc and libc++ are compiled. Raises ToolchainError if zig does not do as expected.
    """
    lib = store.ensure_dir(folder / "lib")
    with store.scratch_dir() as scratch:
        compile_words = {
            name: _compile_words(zig, name, triple, folder, scratch) for name in ("cc", "c++")
        }
        start, libraries = _collect_libraries(zig, triple, scratch, lib)
    for name in _EMPTY:
        (lib / f"lib{name}.a").write_bytes(b"!<arch>\n")
    programs = store.ensure_dir(folder / "bin")
    wrap(programs / "host-ld", (str(zig), "ld.lld"))
    for tool in ("ar", "ranlib"):
        wrap(programs / f"host-{tool}", (str(zig), tool))
    link = ("-nostdlib", f"--ld-path={programs / 'host-ld'}", f"-L{lib}", "-Wl,--eh-frame-hdr",
            str(start))  # fmt: skip
    for name, words in compile_words.items():
        wrap_compiler(programs / f"host-{name}", words, link, libraries)


def _compile_words(
    zig: Path, driver: str, triple: str, folder: Path, scratch: Path
) -> tuple[str, ...]:
    """The clang inside zig with the headers, and the settings of libc++, that `zig cc` gives it."""
    (scratch / "x.cc").write_text("int main() { return 0; }\n")
    argv = (str(zig), driver, "-target", triple, "-c", "x.cc", "-###")
    answer = run.ask(Command(argv=argv, cwd=scratch, env=_caches(scratch)))
    line = next((one for one in answer.err.splitlines() if '"-cc1"' in one), "")
    words = shlex.split(line.replace("(in-process)", ""))
    found: list[str] = []
    for flag, value in pairwise(words):
        if flag == "-isystem":
            found += [flag, str((scratch / value).resolve())]
        elif flag == "-D" and value.startswith("_LIB"):
            found.append(f"-D{value}")
    if not found:
        raise _surprise(zig, "does not say how it compiles", answer.err)
    mode = ("--driver-mode=g++",) if driver == "c++" else ()
    # A root without anything in it: clang would look for the machine's own GCC and what is in it.
    root = f"--sysroot={folder / 'root'}"
    return (str(zig), "clang", *mode, f"--target={triple}", root, "-nostdlibinc", "-nobuiltininc",
            *found, *_QUIET)  # fmt: skip


def _collect_libraries(
    zig: Path, triple: str, scratch: Path, lib: Path
) -> tuple[Path, tuple[Path, ...]]:
    """Have zig link a program, and copy what it linked: the start file, and the libraries."""
    (scratch / "x.c").write_text("int main(void) { return 0; }\n")

    def link(driver_and_source: tuple[str, str]) -> Answer:
        driver, source = driver_and_source
        # Without its sanitizer, whose runtime nothing compiled by clang itself asks for.
        argv = (str(zig), driver, "-target", triple, "-static", "-fno-sanitize=undefined", source,
                "-o", driver, "-v")  # fmt: skip
        return run.ask(Command(argv=argv, cwd=scratch, env=_caches(scratch)))

    # zig compiles them file by file: libc++ by one, and libc by another, in the same cache.
    answer, _ = side_by_side((("c++", "x.cc"), ("cc", "x.c")), link)
    lines = [one for one in answer.err.splitlines() if one.startswith("ld.lld ")]
    words = shlex.split(lines[-1]) if lines else []
    files = [scratch / word for word in words if word.endswith((".o", ".a"))]
    start = next((one for one in files if one.name == "crt1.o"), None)
    wanted = [one for one in files if one.suffix == ".a"]
    if answer.code or start is None or not any(one.name == "libc.a" for one in wanted):
        raise _surprise(zig, "does not link a C++ program", answer.err)
    try:
        copies = [Path(shutil.copy(one, lib / one.name)) for one in (start, *wanted)]
    except OSError as error:
        what = f"cannot write {lib}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
    return copies[0], tuple(copies[1:])


def _caches(scratch: Path) -> dict[str, str | None]:
    # libc and libc++ are the zig family's too.
    shared = store.ensure_dir(store.place("zig"))
    return {"ZIG_GLOBAL_CACHE_DIR": str(shared), "ZIG_LOCAL_CACHE_DIR": str(scratch / "cache")}


def _surprise(zig: Path, what: str, said: str) -> ToolchainError:
    tail = "\n".join(said.splitlines()[-8:])
    return ToolchainError(f"{zig} {what}:\n{tail}", hint="is its package for this machine?")
