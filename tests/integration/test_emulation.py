"""Real programs for foreign machines, run under qemu-user, their answers checked."""

import json
import subprocess
from pathlib import Path

import pytest

from gotoolforge.target import load_targets

from .conftest import EXAMPLES, Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.emulation]

ZIG_TARGETS = [row.name for row in load_targets() if row.zig]


@pytest.mark.long
@pytest.mark.parametrize("target", ZIG_TARGETS)
def test_cgo_with_musls_resolver_on_every_machine(tool: Run, target: str) -> None:
    words = ("--toolchain", "zig", "--target", target, "--resolver", "musl")
    ran = tool("run", *words, ".", "--", "localhost", cwd=EXAMPLES / "resolver")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("localhost: ")


@pytest.mark.parametrize(
    "target",
    ["aarch64", *(pytest.param(one, marks=pytest.mark.long) for one in ("armv7", "riscv64"))],
)
def test_sqlite_on_foreign_machines(tool: Run, tmp_path: Path, target: str) -> None:
    words = ("--toolchain", "zig", "--target", target)
    out = tmp_path / "sqlite"
    done = tool("build", *words, "--json", "-o", str(out), ".", cwd=EXAMPLES / "sqlite")
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert artifact["report"]["verdict"] == "musl-static"
    ran = tool("run", *words, ".", cwd=EXAMPLES / "sqlite")
    assert ran.stdout.endswith("100 rows, sum 5050\n"), ran.stderr


def test_go_test_under_emulation(tool: Run, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/t\n\ngo 1.24\n")
    (tmp_path / "t_test.go").write_text(
        'package t\n\nimport (\n\t"runtime"\n\t"testing"\n)\n\nfunc TestArch(t *testing.T) {\n'
        '\tif runtime.GOARCH != "arm64" {\n\t\tt.Fatal(runtime.GOARCH)\n\t}\n}\n'
    )
    done = tool("test", "--target", "linux/arm64", "-v", "./...", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--- PASS: TestArch" in done.stdout
    assert tool("test", "--target", "amd64", "./...", cwd=tmp_path).returncode == 1


def test_a_package_of_somebody_elses_module(tool: Run, tmp_path: Path) -> None:
    done = tool("build", "--target", "aarch64", "github.com/rakyll/hey@v0.1.4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "hey")]
    assert "TLS certificates" in done.stderr
    info = subprocess.run(["go", "version", "-m", tmp_path / "hey"], capture_output=True, text=True)
    assert "GOARCH=arm64" in info.stdout
