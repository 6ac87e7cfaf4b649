"""The commands of the workflows that `ci` writes, run as they stand there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network]
MAIN = """package main

import "os"

func main() { os.Exit(len(os.Args) - 3) }
"""


def shell(line: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("host", ["github", "gitlab"])
def test_what_a_workflow_runs_runs(tool: Run, module: Callable[..., Path], host: str) -> None:
    folder = module(main__go=MAIN)
    words = ("--package", ".", "--smoke=--say 'a: b #c'", "--image", "debian:12")
    jobs = yaml.safe_load(tool("ci", host, *words).stdout)
    if host == "github":
        build = [step["run"] for step in jobs["jobs"]["build"]["steps"] if "run" in step]
        *before, smoke = [step["run"] for step in jobs["jobs"]["try"]["steps"] if "run" in step]
        # Without the container: what it runs there.
        smoke = "." + smoke.partition("${{ matrix.image }} ")[2]
    else:
        build, before, (smoke,) = jobs["build"]["script"], [], jobs["try"]["script"]
    install, *build = build
    assert install == "pip install 'gotoolforge[kit]'\n"
    for line in (*build, *before, smoke):
        shell(line, folder)
    name = {"github": "verify.sarif", "gitlab": "verify.json"}[host]
    assert json.loads((folder / name).read_text())["version"] in {1, "2.1.0"}
