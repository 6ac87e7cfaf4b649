"""The tool as a user runs it, and a store that all integration tests share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gotoolforge.forge.build import is_forged
from gotoolforge.forge.identity import toolchain_digest, toolchain_dir
from gotoolforge.forge.recipe import load_recipe
from gotoolforge.target import find_target

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


@pytest.fixture(scope="session")
def languages() -> str:
    """C alone on a machine that has nothing; the whole toolchain where the store has it."""
    whole = toolchain_digest(load_recipe(), find_target("amd64"), ("c", "c++"))
    return "c,c++" if is_forged(toolchain_dir(find_target("amd64"), whole)) else "c"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_forges)


def _forges(item: pytest.Item) -> bool:
    """Whether a test asks for the forged toolchain, and is not left out."""
    left_out = any("--run-" in one.kwargs["reason"] for one in item.iter_markers("skip"))
    return item.get_closest_marker("forge") is not None and not left_out


@pytest.fixture(scope="session", autouse=True)
def forging(request: pytest.FixtureRequest, languages: str) -> Iterator[None]:
    """Forge while the other tests run, with what they leave of the processors.

    The tests of the forge come last, and wait for it as anybody would who asks for a toolchain that
    somebody else is forging.
    """
    if not any(map(_forges, request.session.items)):
        yield
        return
    words = ["nice", "-n", "19", sys.executable, "-m", "gotoolforge", "toolchain", "build"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*words, "amd64", "--languages", languages], **quiet) as process:
        yield
        process.terminate()
