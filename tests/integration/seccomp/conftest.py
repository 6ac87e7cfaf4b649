"""Real programs, built once: pure Go, cgo on musl, and two that other people wrote."""

import os
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from ..conftest import EXAMPLES, gotoolforge

PROGRAMS = Path(__file__).parents[1] / "programs"
STRANGERS = {
    "hey": "github.com/rakyll/hey@v0.1.4",
    "age-keygen": "filippo.io/age/cmd/age-keygen@v1.2.1",
}
Build = Callable[..., Path]


def go_build(folder: Path, out: Path, *flags: str, **env: str) -> Path:
    subprocess.run(
        ["go", "build", "-trimpath", *flags, "-o", out, "."],
        cwd=folder, env={**os.environ, "CGO_ENABLED": "0", **env}, check=True,
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """The path of a program by name, built when it is first asked for."""
    folder = tmp_path_factory.mktemp("built")
    done: dict[tuple[str, str], Path] = {}

    def build(name: str, goarch: str = "amd64") -> Path:
        if (name, goarch) not in done:
            done[name, goarch] = make(name, goarch, folder / f"{name}-{goarch}")
        return done[name, goarch]

    return build


def make(name: str, goarch: str, out: Path) -> Path:
    if name.startswith("sqlite"):
        # -s makes the linker leave out every symbol, as strip does.
        bare = ("-ldflags=-s",) if name == "sqlite-stripped" else ()
        words = ["build", "--toolchain", "zig", "--target", f"linux/{goarch}", "-o", str(out)]
        done = gotoolforge(*words, "--no-provenance", *bare, ".", cwd=EXAMPLES / "sqlite")
        assert done.returncode == 0, done.stderr
        return out
    if name in STRANGERS:
        words = ["build", "--target", f"linux/{goarch}", "--no-provenance", "-o", str(out)]
        done = gotoolforge(*words, STRANGERS[name])
        assert done.returncode == 0, done.stderr
        return out
    folder = PROGRAMS / name if (PROGRAMS / name).is_dir() else EXAMPLES / name
    return go_build(folder, out, GOARCH=goarch)


def command(name: str, program: Path, tmp_path: Path) -> list[str]:
    """A program's own test load."""
    if name == "hey":
        return [str(program), "-n", "20", "-c", "2", "http://127.0.0.1:9/"]
    if name == "age-keygen":
        key = tmp_path / "key"
        key.unlink(missing_ok=True)
        return [str(program), "-o", str(key)]
    return [str(program)]


def has(program: str) -> str:
    found = shutil.which(program)
    assert found, f"{program} is missing: scripts/test installs it"
    return found


def able(witness: str) -> None:
    """Skip, saying what is missing, where the kernel does not allow a witness."""
    why = import_module(f"gotoolforge.seccomp.witness_{witness}").available("amd64")
    if why:
        pytest.skip(f"{witness}: {why}")
