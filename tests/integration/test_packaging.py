"""The wheel and the sdist: installed in an empty environment, gotoolforge finds its recipes."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
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


UNPACK = """\
import sys
from pathlib import Path
from gotoolforge import archive
from gotoolforge.errors import FetchError
good, bad, out = map(Path, sys.argv[1:])
archive.unpack(good, out / "good")
print((out / "good" / "a" / "file").read_text())
try:
    archive.unpack(bad, out / "bad")
except FetchError as error:
    print(error.what)
"""


def test_the_distributions_own_python_unpacks_archives(tmp_path: Path) -> None:
    # Debian 12 has 3.11.2, without the filters that tarfile has from 3.11.4 on.
    version = "{}.{}".format(*sys.version_info)
    python = shutil.which(f"python{version}", path="/usr/bin")
    if not python:
        pytest.skip(f"--run-packaging: this machine has no /usr/bin/python{version}")
    (tmp_path / "file").write_text("in it")
    for name, member in (("good", "a/file"), ("bad", "../file")):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as made:
            made.add(tmp_path / "file", arcname=member)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{sysconfig.get_path('purelib')}"}
    argv = [python, "-c", UNPACK, tmp_path / "good.tar.gz", tmp_path / "bad.tar.gz", tmp_path]
    done = subprocess.run(argv, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("in it\nbad.tar.gz is refused: ")
