"""Compilers as functions: each makes one file and returns its path."""

import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from gotoolforge import paths

EXAMPLES = Path(__file__).parents[2] / "examples"
HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
LIBRARY = '#include <stdio.h>\nint hello(void) { return puts("hello"); }\n'
CXX = (
    "#include <iostream>\n#include <stdexcept>\n#include <thread>\n"
    'int main() { std::thread t([] { std::cout << "hello\\n"; }); t.join();\n'
    'try { throw std::runtime_error("x"); } catch (std::exception &e) { return 0; } return 1; }\n'
)
LOOKUP = (
    "#include <netdb.h>\n#include <pwd.h>\n#include <stdio.h>\n#include <locale.h>\n"
    'int main(void) { struct addrinfo *a; setlocale(LC_ALL, "");\n'
    'return getaddrinfo("localhost", "80", 0, &a) || !getpwuid(0) || puts("hello") < 0; }\n'
)
LOADS = '#include <dlfcn.h>\nint main(void) { return dlopen("libm.so.6", RTLD_LAZY) == 0; }\n'
TINY = "int main(void) { return 0; }\n"
NAKED = "void _start(void) { for (;;); }\n"
ABORTS = "#include <stdlib.h>\nint main(void) { abort(); }\n"
CGO = (
    "package main\n\n/*\n#include <stdlib.h>\n#include <string.h>\n#include <pthread.h>\n"
    "static void *run(void *p) { return p; }\n"
    "static int start(void) { pthread_t t; int r = pthread_create(&t, 0, run, 0);\n"
    "return r ? r : pthread_join(t, 0); }\n"
    '*/\nimport "C"\n\nimport "unsafe"\n\n'
    'func main() {\n\ts := C.CString("hello")\n\tdefer C.free(unsafe.Pointer(s))\n'
    '\tif C.start() == 0 {\n\t\tprintln(C.strlen(s))\n\t}\n}\n'
)  # fmt: skip
PURE = {"CGO_ENABLED": "0"}


def run(argv: list[str | Path], cwd: Path | None = None, **env: str) -> str:
    """Run to the end; raises with the program's own words if it fails."""
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise AssertionError(f"{[str(word) for word in argv]}: {done.stderr or done.stdout}")
    return done.stdout


def go(out: Path, *flags: str, source: Path | str = "hello", **env: str) -> Path:
    """`go build` of an example, of a folder, or of a main.go's text."""
    cwd = _module(out, source) if isinstance(source, str) and "\n" in source else EXAMPLES / source
    run(["go", "build", "-buildvcs=false", *flags, "-o", out, "."], cwd, GOWORK="off", **env)
    return out


def _module(out: Path, text: str) -> Path:
    folder = out.with_name(f"{out.name}.module")
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module example.com/made\n\ngo 1.24\n")
    (folder / "main.go").write_text(text)
    return folder


def embed(out: Path, blob: Path, *flags: str, words: str = "", **env: str) -> Path:
    """A Go program that embeds a file and carries `words`; with cgo where env does not say no."""
    pure = env.get("CGO_ENABLED") == "0"
    begin = "package main\n\n" if pure else CGO.partition("func main")[0]
    main = "" if pure else "\tprintln(C.start())\n\t_ = unsafe.Pointer(nil)\n"
    text = (
        f'{begin}import _ "embed"\n\n//go:embed blob\nvar blob string\n\n'
        f'func main() {{\n\tprintln(len(blob), "{words}")\n{main}}}\n'
    )
    (_module(out, text) / "blob").write_bytes(blob.read_bytes())
    return go(out, *flags, source=text, **env)


def cc(
    out: Path, *flags: str | Path, text: str = HELLO, by: str = "gcc", ending: str = ".c"
) -> Path:
    """A C (or C++) program or library, by a compiler with GCC's options."""
    source = out.with_name(out.name + ending)
    source.write_text(text)
    run([*by.split(), source, *flags, "-o", out])
    return out


def zig(out: Path, target: str, *flags: str, text: str = HELLO, driver: str = "cc") -> Path:
    """The same by zig, for any of its targets; its cache lies in the store."""
    source = out.with_name(out.name + (".c" if driver == "cc" else ".cc"))
    source.write_text(text)
    cache = str(paths.store_dir() / "zig")
    run(
        [sys.executable, "-m", "ziglang", driver, "-target", target, *flags, source, "-o", out],
        ZIG_GLOBAL_CACHE_DIR=cache, ZIG_LOCAL_CACHE_DIR=cache,
    )  # fmt: skip
    return out


def incbin(blob: Path) -> str:
    """A C program that carries a file in its data."""
    main = HELLO.replace("return puts", "return blob[0] == 1 || puts")
    place = f'.section .rodata\\nblob: .incbin \\"{blob}\\"\\n.previous'
    return f'__asm__("{place}");\nextern const char blob[];\n{main}'


def archive(out: Path, *members: Path) -> Path:
    run(["ar", "rcs", out, *members])
    return out


def core_dump(out: Path, program: Path) -> Path:
    """A core file, by qemu-user: the kernel's own lie wherever core_pattern sends them."""
    folder = out.with_name(f"{out.name}.cwd")
    folder.mkdir(exist_ok=True)
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    subprocess.run(
        ["qemu-x86_64-static", program], cwd=folder, check=False, capture_output=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (most, most)),
    )  # fmt: skip
    (made,) = folder.glob("qemu_*.core")
    return made.replace(out)


def altered(out: Path, made: Path, change: Callable[[bytearray], bytearray | None]) -> Path:
    """A copy of a file, its bytes changed."""
    raw = bytearray(made.read_bytes())
    changed = change(raw)
    out.write_bytes(raw if changed is None else changed)
    out.chmod(0o755)
    return out


def without_sections(raw: bytearray) -> bytearray:
    """No section headers, and nothing after the last segment: what `sstrip` leaves of a file."""
    wide, ends = raw[4] == 2, "<" if raw[5] == 1 else ">"
    place, form, size, at = (0x20, "Q", 56, 0x36) if wide else (0x1C, "I", 32, 0x2A)
    (headers,) = struct.unpack_from(ends + form, raw, place)
    (count,) = struct.unpack_from(ends + "H", raw, at + 2)
    end = 0
    for number in range(count):
        begin = headers + number * size
        offset = struct.unpack_from(ends + form, raw, begin + (8 if wide else 4))[0]
        length = struct.unpack_from(ends + form, raw, begin + (32 if wide else 16))[0]
        end = max(end, offset + length)
    struct.pack_into(ends + form, raw, place + (8 if wide else 4), 0)
    struct.pack_into(ends + "HHH", raw, at + 4, 0, 0, 0)
    return raw[: max(end, headers + count * size)]
