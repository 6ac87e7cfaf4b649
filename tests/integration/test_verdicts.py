"""Files made by real compilers, each with a verdict known from how it was made."""

import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Run

pytestmark = pytest.mark.go
C = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
PURE = {"CGO_ENABLED": "0"}
Make = Callable[[Path], Path]


def go(out: Path, *flags: str, example: str = "hello", **env: str) -> Path:
    subprocess.run(
        ["go", "build", *flags, "-o", out, "."],
        cwd=EXAMPLES / example, env={**os.environ, **env}, check=True,
    )  # fmt: skip
    return out


def gcc(out: Path, *flags: str, text: str = C) -> Path:
    source = out.with_suffix(".c")
    source.write_text(text)
    subprocess.run(["gcc", *flags, source, "-o", out], check=True)
    return out


def zig(out: Path, target: str, *flags: str) -> Path:
    source = out.with_suffix(".c")
    source.write_text(C)
    cache = os.environ.get("GOTOOLFORGE_CACHE", str(EXAMPLES.parent / "cache"))
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", "-target", target, *flags, source, "-o", out],
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": f"{cache}/zig"}, check=True,
    )  # fmt: skip
    return out


def strip(path: Path) -> Path:
    subprocess.run(["strip", "--strip-all", path], check=True)
    return path


def headless(path: Path) -> Path:
    """Without section headers, as some packers leave a file (64-bit little-endian)."""
    raw = bytearray(strip(path).read_bytes())
    struct.pack_into("<Q", raw, 0x28, 0)
    struct.pack_into("<HHH", raw, 0x3A, 0, 0, 0)
    path.write_bytes(raw)
    return path


def decoy(out: Path) -> Path:
    """Pure Go that carries a whole static glibc program and both libcs' telltale strings."""
    folder = out.parent / "decoy"
    folder.mkdir()
    gcc(folder / "blob", "-static")
    (folder / "go.mod").write_text("module example.com/decoy\n\ngo 1.24\n")
    (folder / "main.go").write_text(
        'package main\n\nimport _ "embed"\n\n//go:embed blob\nvar blob string\n\n'
        'func main() { println(len(blob), "No error information", "Fatal glibc error") }\n'
    )
    subprocess.run(
        ["go", "build", "-o", out, "."], cwd=folder, env={**os.environ, **PURE}, check=True
    )
    return out


def text_file(out: Path, content: bytes) -> Path:
    out.write_bytes(content)
    return out


CASES: dict[str, tuple[str, str | None, Make]] = {
    "go": ("no-libc", "static", lambda p: go(p, **PURE)),
    "go-stripped": ("no-libc", "static", lambda p: go(p, "-ldflags=-s -w", **PURE)),
    "go-headless": ("no-libc", "static", lambda p: headless(go(p, **PURE))),
    "go-pie": ("glibc-dynamic", "dynamic", lambda p: go(p, "-buildmode=pie", **PURE)),
    "go-arm64": ("no-libc", "static", lambda p: go(p, GOARCH="arm64", **PURE)),
    "go-armv7": ("no-libc", "static", lambda p: go(p, GOARCH="arm", **PURE)),
    "go-386": ("no-libc", "static", lambda p: go(p, GOARCH="386", **PURE)),
    "go-riscv64": ("no-libc", "static", lambda p: go(p, GOARCH="riscv64", **PURE)),
    "go-s390x": ("no-libc", "static", lambda p: go(p, GOARCH="s390x", **PURE)),
    "go-mips": ("no-libc", "static", lambda p: go(p, GOARCH="mips", **PURE)),
    "go-ppc64le": ("no-libc", "static", lambda p: go(p, GOARCH="ppc64le", **PURE)),
    "go-loong64": ("no-libc", "static", lambda p: go(p, GOARCH="loong64", **PURE)),
    "go-decoy": ("no-libc", "static", decoy),
    "go-std-cgo": (
        "glibc-dynamic", "dynamic", lambda p: go(p, example="resolver", CGO_ENABLED="1"),
    ),
    "go-static-glibc": (
        "glibc-static", "static",
        lambda p: go(p, "-tags=osusergo,netgo", "-ldflags=-linkmode external -extldflags -static",
                     example="resolver", CGO_ENABLED="1"),
    ),
    "c-dynamic": ("glibc-dynamic", "dynamic", gcc),
    "c-static": ("glibc-static", "static", lambda p: gcc(p, "-static")),
    "c-static-stripped": ("glibc-static", "static", lambda p: strip(gcc(p, "-static"))),
    "c-static-headless": ("glibc-static", "static", lambda p: headless(gcc(p, "-static"))),
    "c-static-pie": ("glibc-static", "static-pie", lambda p: gcc(p, "-static-pie")),
    "c-pie-headless": ("glibc-static", "static-pie", lambda p: headless(gcc(p, "-static-pie"))),
    "c-shared": (
        "glibc-dynamic", "dynamic",
        lambda p: gcc(p, "-shared", "-fPIC", text=C.replace("main", "f")),
    ),
    "c-object": ("not-executable", None, lambda p: gcc(p, "-c")),
    "c-freestanding": (
        "unknown", "static",
        lambda p: gcc(p, "-static", "-nostdlib", text="void _start(void) { for (;;); }\n"),
    ),
    "musl": ("musl-static", "static", lambda p: zig(p, "x86_64-linux-musl", "-static")),
    "musl-stripped": (
        "musl-static", "static", lambda p: strip(zig(p, "x86_64-linux-musl", "-static")),
    ),
    "musl-headless": (
        "musl-static", "static", lambda p: headless(zig(p, "x86_64-linux-musl", "-static")),
    ),
    "musl-dynamic": ("musl-dynamic", "dynamic", lambda p: zig(p, "x86_64-linux-musl", "-dynamic")),
    "text": ("not-executable", None, lambda p: text_file(p, b"hello\n")),
    "empty": ("not-executable", None, lambda p: text_file(p, b"")),
    "archive": ("not-executable", None, lambda p: text_file(p, b"!<arch>\n")),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _needs_gcc() -> None:
    if shutil.which("gcc") is None:
        pytest.fail("these tests need gcc: apt-get install gcc")


@pytest.mark.parametrize("name", CASES)
def test_verdict(tool: Run, tmp_path: Path, name: str) -> None:
    verdict, linkage, make = CASES[name]
    made = make(tmp_path / "made")
    done = tool("verify", "--json", str(made))
    (report,) = json.loads(done.stdout)["files"]
    assert (report["verdict"], report["linkage"]) == (verdict, linkage), report
    assert report["path"] == str(made)
    assert report["evidence"]
    assert not [one for one in report["witnesses"] if one["state"] == "contradicts"]
    passes = verdict in {"no-libc", "musl-static", "unknown"}
    assert done.returncode == (0 if passes else 1)


def test_the_floor_is_the_highest_version_by_number(tool: Run, tmp_path: Path) -> None:
    made = gcc(tmp_path / "made")
    (report,) = json.loads(tool("verify", "--json", str(made)).stdout)["files"]
    said = subprocess.run(["readelf", "-V", made], capture_output=True, text=True).stdout
    words = {word for word in said.split() if word.startswith("GLIBC_2")}
    highest = max(tuple(map(int, one.removeprefix("GLIBC_").split("."))) for one in words)
    assert report["floor"] == ".".join(map(str, highest))


def test_a_truncated_file_and_a_missing_one_are_errors_not_verdicts(
    tool: Run, tmp_path: Path
) -> None:
    whole = gcc(tmp_path / "made")
    for size in (17, 63, 100, 700, 5000):
        part = tmp_path / f"part{size}"
        part.write_bytes(whole.read_bytes()[:size])
        done = tool("verify", "--json", str(part), str(tmp_path / "missing"), str(tmp_path))
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        for report in json.loads(done.stdout)["files"]:
            assert report["verdict"] is None
            assert report["error"]


def test_the_wrong_machine_is_a_finding(tool: Run, tmp_path: Path) -> None:
    made = go(tmp_path / "made", GOARCH="arm64", **PURE)
    assert tool("verify", "--target", "arm64", str(made)).returncode == 0
    done = tool("verify", "--target", "amd64", str(made))
    assert done.returncode == 1
    assert "wrong-machine" in done.stderr
