"""A user's own static libraries (--with-prefix), and the host's kept out."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.go
Module = Callable[..., Path]
ZIG = ("--toolchain", "zig", "--target", "x86_64-alpine-musl")
MAIN = """\
package main

// #cgo pkg-config: outer
// #include <outer.h>
import "C"

func main() { println(int(C.outer())) }
"""
PC = """\
prefix={prefix}
Name: {name}
Description: {name}
Version: 1.0
Requires.private: {private}
Cflags: -I${{prefix}}/include
Libs: -L${{prefix}}/lib -l{name}
"""


@pytest.fixture
def prefix(tool: Run, tmp_path: Path) -> Path:
    """Two static libraries for the target, of which one needs the other as a private matter."""
    made = tmp_path / "prefix"
    for name in ("include", "lib/pkgconfig"):
        (made / name).mkdir(parents=True)
    (made / "include" / "outer.h").write_text("int outer(void);\n")
    sources = {
        "inner": "int inner(void) { return 41; }\n",
        "outer": "int inner(void);\nint outer(void) { return inner() + 1; }\n",
    }
    done = tool("toolchain", "path", "x86_64-alpine-musl", "--toolchain", "zig")
    bin_dir = Path(done.stdout.strip()) / "bin"
    for name, text in sources.items():
        (made / f"{name}.c").write_text(text)
        cc, ar = (bin_dir / f"x86_64-alpine-linux-musl-{tool}" for tool in ("cc", "ar"))
        subprocess.run([cc, "-O2", "-c", f"{name}.c", "-o", f"{name}.o"], cwd=made, check=True)
        subprocess.run([ar, "rcs", f"lib/lib{name}.a", f"{name}.o"], cwd=made, check=True)
        private = "inner" if name == "outer" else ""
        pc = PC.format(prefix=made, name=name, private=private)
        (made / "lib" / "pkgconfig" / f"{name}.pc").write_text(pc)
    return made


@pytest.mark.parametrize("way", ["flag", "file"])
def test_private_libraries_are_linked_too(
    tool: Run, module: Module, prefix: Path, way: str
) -> None:
    folder = module(main__go=MAIN)
    words = ["--with-prefix", str(prefix)] if way == "flag" else []
    if way == "file":
        (folder / "gotoolforge.toml").write_text(f'with-prefix = ["{prefix}"]\n')
    done = tool("build", *ZIG, *words, ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([folder / "app"], capture_output=True, text=True)
    assert ran.stderr == "42\n"


def test_the_hosts_libraries_and_headers_stay_out(tool: Run, module: Module, prefix: Path) -> None:
    env = {
        "PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig"),
        "CPATH": str(prefix / "include"),
        "LIBRARY_PATH": str(prefix / "lib"),
    }
    done = tool("build", *ZIG, ".", cwd=module(main__go=MAIN), **env)
    assert done.returncode == 14, done.stderr
    assert "outer" in done.stderr
    assert "--with-prefix" in done.stderr
    text = MAIN.replace("// #cgo pkg-config: outer\n", "// #cgo LDFLAGS: -louter\n")
    done = tool("build", *ZIG, ".", cwd=module(main__go=text), **env)
    assert done.returncode == 13, done.stderr
    assert "outer.h" in done.stderr


def test_a_prefix_that_is_not_there_is_misuse(tool: Run, module: Module) -> None:
    done = tool("build", "--with-prefix", "nosuch", ".", cwd=module(main__go=MAIN))
    assert done.returncode == 2
    assert "nosuch" in done.stderr
