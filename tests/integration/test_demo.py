"""The README's first command as a newcomer runs it: a fresh clone, no root, an empty home."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.packaging, pytest.mark.network, pytest.mark.long]
# How this machine reaches the network is its own; everything else of it is kept out.
KEPT = ("PIP_", "SSL_CERT", "REQUESTS_CA", "HTTP", "http", "NO_PROXY", "no_proxy", "GOPROXY")


@pytest.fixture
def stranger() -> Iterator[tuple[Path, list[str]]]:
    """A folder that belongs to nobody in particular, and the words that make one that user."""
    folder = Path(tempfile.mkdtemp(prefix="gotoolforge-demo-", dir="/tmp"))
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
        as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    yield folder, as_user
    shutil.rmtree(folder)


def test_the_demo_of_a_fresh_clone(stranger: tuple[Path, list[str]]) -> None:
    folder, as_user = stranger
    env = {name: value for name, value in os.environ.items() if name.startswith(KEPT)}
    env |= {"HOME": str(folder / "home"), "PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    steps = (
        ["mkdir", str(folder / "home")],
        ["git", "-c", "safe.directory=*", "clone", "-q", str(ROOT), str(folder / "clone")],
        [str(folder / "clone" / "scripts" / "demo")],
    )
    # A clone of root's repository wants to read it: git clones what it may.
    for argv in steps:
        words = argv if argv[0] == "git" else [*as_user, *argv]
        done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        if argv[0] == "git" and as_user:
            subprocess.run(["chown", "-R", "nobody:nogroup", folder / "clone"], check=True)
    assert "100 rows, sum 5050" in done.stdout
    # The answer of the program is for machines, the verdict for people.
    assert "musl-static" in done.stderr
    assert (folder / "clone" / "dist" / "sqlite").is_file()
