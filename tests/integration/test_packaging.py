"""The wheel and the sdist: installed in an empty environment, gotoolforge finds its recipes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.packaging, pytest.mark.network, pytest.mark.go]


def test_an_installed_wheel_builds_from_an_empty_home(tmp_path: Path) -> None:
    built = tmp_path / "dist"
    subprocess.run([sys.executable, "-m", "build", "--outdir", built, ROOT], check=True)
    (wheel,) = built.glob("*.whl")
    assert list(built.glob("*.tar.gz"))
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([venv / "bin" / "pip", "install", "--quiet", wheel], check=True)
    home = tmp_path / "home"
    home.mkdir()
    drop = ("GOTOOLFORGE_", "PYTHON", "XDG_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    env["HOME"] = str(home)
    tool = venv / "bin" / "gotoolforge"
    listed = subprocess.run([tool, "targets", "--json"], cwd=home, env=env, capture_output=True)
    assert len(json.loads(listed.stdout)["targets"]) >= 14
    done = subprocess.run(
        [tool, "build", "-C", ROOT / "examples" / "hello", "-o", home / "hello", "."],
        cwd=home, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert subprocess.run([home / "hello"], capture_output=True, text=True).stdout.startswith(
        "hello"
    )
    assert (home / ".cache" / "gotoolforge").is_dir()
