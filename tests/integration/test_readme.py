"""Every command under "Use" in the README, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.emulation]
MAIN = "package main\n\nfunc main() {}\n"
TEST = 'package main\n\nimport "testing"\n\nfunc TestNothing(*testing.T) {}\n'
# What the page leaves to the reader, and what takes the better part of an hour.
NAMED = {"github.com/OWNER/REPO/cmd/app@v1.2.3": "filippo.io/age/cmd/age-keygen@v1.2.1"}
FORGED = "gotoolforge toolchain build"


def commands() -> list[str]:
    use = (ROOT / "README.md").read_text().partition("## Use\n")[2].partition("\n\n`build`")[0]
    lines = [line.partition(" #")[0].strip() for line in use.splitlines()]
    found = [line for line in lines if "gotoolforge " in line and not line.startswith(FORGED)]
    assert len(found) >= 9
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "cmd" / "app").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.com/whole\n\ngo 1.24\n")
    for place in (folder, folder / "cmd" / "app"):
        (place / "main.go").write_text(MAIN)
        (place / "main_test.go").write_text(TEST)
    subprocess.run(["go", "build", "-o", "dist/app", "./cmd/app"], cwd=folder, check=True,
                   env={**os.environ, "CGO_ENABLED": "0"})  # fmt: skip
    return folder


def as_parameters() -> list[object]:
    # `env` makes Go link by the foreign toolchain, whose libc zig must first build.
    long = pytest.mark.long
    return [pytest.param(one, marks=long) if "eval" in one else one for one in commands()]


@pytest.mark.parametrize("line", as_parameters())
def test_a_command_of_the_readme(project: Path, line: str) -> None:
    for written, meant in NAMED.items():
        line = line.replace(written, meant)
    line = re.sub(r"list\|path\|import\|remove", "list", line)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "GOTOOLFORGE_TOOLCHAIN": "zig", "PATH": path}
    argv = ["bash", "-ec", line]
    done = subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
