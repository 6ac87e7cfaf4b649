"""The tool as a user runs it, and a store that all integration tests share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
Run = Callable[..., subprocess.CompletedProcess[str]]


def gotoolforge(
    *words: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gotoolforge", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
    )


@pytest.fixture
def tool() -> Run:
    return gotoolforge


@pytest.fixture
def module(tmp_path: Path) -> Callable[..., Path]:
    """Writes a Go module of given files into a folder and returns it."""

    def write(go: str = "1.24", **files: str) -> Path:
        folder = tmp_path / "module"
        folder.mkdir(exist_ok=True)
        (folder / "go.mod").write_text(f"module example.com/app\n\ngo {go}\n")
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder

    return write
