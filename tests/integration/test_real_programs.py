"""Real programs through Go's module system, built for several machines, run, answers checked."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from gotoolforge import emulator
from gotoolforge.target import find_target

from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.emulation]
AGE = "filippo.io/age"
DBMATE = "github.com/amacneil/dbmate/v2"
LONG = pytest.mark.long
# By zig, and by the toolchain forged from source, which may have to be made first.
FAMILIES = ["zig", pytest.param("gcc", marks=[pytest.mark.forge, LONG])]


def by_version(tool: Run, package: str, target: str, out: Path, family: str = "zig") -> None:
    words = ("--toolchain", family, "--target", target, "-o", str(out))
    done = tool("build", *words, package, cwd=out.parent)
    assert done.returncode == 0, done.stderr


def asked(target: str, program: Path, *words: str, **more: str | Path) -> str:
    """What the program prints, run under qemu where it is foreign."""
    argv = [*emulator.runner(find_target(target)), str(program), *words]
    done = subprocess.run(argv, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "target",
    ["amd64", pytest.param("arm64", marks=LONG), pytest.param("armv7", marks=LONG), "riscv64"],
)
def test_a_module_of_two_programs(tool: Run, tmp_path: Path, target: str) -> None:
    (tmp_path / "bin").mkdir()
    by_version(tool, f"{AGE}/cmd/...@v1.2.1", target, tmp_path / "bin")
    age, keygen = tmp_path / "bin" / "age", tmp_path / "bin" / "age-keygen"
    assert (tmp_path / "bin" / "checksums.txt").is_file()
    key = tmp_path / "key.txt"
    asked(target, keygen, "-o", str(key))
    public = asked(target, keygen, "-y", str(key)).strip()
    assert public.startswith("age1")
    secret, locked = tmp_path / "secret", tmp_path / "locked"
    secret.write_text("nothing of the host's libc")
    asked(target, age, "-r", public, "-o", str(locked), str(secret))
    assert locked.read_bytes().startswith(b"age-encryption.org/v1")
    assert asked(target, age, "-d", "-i", str(key), str(locked)) == secret.read_text()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "target",
    ["amd64", *(pytest.param(name, marks=LONG) for name in ("arm64", "armv7", "riscv64"))],
)
def test_a_program_with_a_large_c_amalgamation(
    tool: Run, tmp_path: Path, target: str, family: str
) -> None:
    # The example's go-sqlite3, so that its 250,000 lines of C are compiled once for each machine.
    example = (Path(__file__).parents[2] / "examples" / "sqlite" / "go.mod").read_text()
    (line,) = [line for line in example.splitlines() if "go-sqlite3" in line]
    (tmp_path / "go.mod").write_text("module example.com/deploy\n\ngo 1.24\n")
    (tmp_path / "tools.go").write_text(f'package deploy\n\nimport _ "{DBMATE}"\n')
    wanted = (f"{DBMATE}@v2.8.0", line.removeprefix("require ").replace(" ", "@"))
    subprocess.run(["go", "get", *wanted], cwd=tmp_path, check=True, capture_output=True)
    by_version(tool, DBMATE, target, tmp_path / "dbmate", family)
    migrate(target, tmp_path)


@pytest.mark.long
def test_a_cgo_program_by_its_version(tool: Run, tmp_path: Path) -> None:
    # Its go-sqlite3 is one that does not compile with musl 1.2.4 and newer by itself.
    by_version(tool, f"{DBMATE}@v2.8.0", "amd64", tmp_path / "dbmate")
    migrate("amd64", tmp_path)


def migrate(target: str, folder: Path) -> None:
    """Let dbmate make a database; Python's own SQLite must find what it made."""
    steps = folder / "steps"
    steps.mkdir()
    text = "-- migrate:up\ncreate table t (n integer);\ninsert into t values (7), (8);\n"
    (steps / "1_first.sql").write_text(text + "-- migrate:down\ndrop table t;\n")
    words = ("--url", f"sqlite:{folder}/made.db", "--migrations-dir", str(steps))
    env = {**os.environ, "TMPDIR": str(folder)}
    asked(target, folder / "dbmate", *words, "--no-dump-schema", "up", env=env)
    assert "Applied: 1" in asked(target, folder / "dbmate", *words, "status", env=env)
    found = sqlite3.connect(folder / "made.db")
    assert found.execute("select sum(n) from t").fetchone() == (15,)
    found.close()
