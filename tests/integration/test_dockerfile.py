"""The README's Dockerfile, built by buildah on a Debian made by debootstrap (root, network)."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import EXAMPLES

ROOT = Path(__file__).parents[2]
BASE = "docker.io/library/debian:12"
pytestmark = [pytest.mark.container, pytest.mark.long, pytest.mark.network]


def run(*words: object, **more: object) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout.strip()


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """buildah with storage of its own, so that nothing of the machine's is used or touched."""
    for program in ("buildah", "debootstrap", "chroot"):
        if shutil.which(program) is None:
            pytest.fail(f"this test needs {program}")
    storage = ("--root", tmp_path / "storage", "--runroot", tmp_path / "run",
               "--storage-driver", "vfs")  # fmt: skip
    words = ("buildah", *map(str, storage))
    yield words
    subprocess.run([*words, "rm", "--all"], capture_output=True)
    subprocess.run([*words, "rmi", "--all", "--force"], capture_output=True)


def make_base(buildah: tuple[str, ...], folder: Path) -> None:
    """debian:12 as it comes from a registry, and this machine's way through its proxy."""
    system = folder / "base"
    run("debootstrap", "--variant=minbase", "bookworm", system)
    # What a proxy of this machine signs is known here, and must be in the image too.
    known = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    own = system / "usr/local/share/ca-certificates"
    own.mkdir(parents=True, exist_ok=True)
    shutil.copy(known, own / "machine.crt")
    made = run(*buildah, "from", "scratch")
    run(*buildah, "add", made, system, "/")
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    for name in ("PIP_CERT", "SSL_CERT_FILE"):
        run(*buildah, "config", "--env", f"{name}={bundle}", made)
    run(*buildah, "commit", "--rm", made, BASE)
    shutil.rmtree(system)


def test_the_readmes_dockerfile(buildah: tuple[str, ...], tmp_path: Path) -> None:
    make_base(buildah, tmp_path)
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^( {4}FROM debian:12 .*?ENTRYPOINT[^\n]*)$", text, re.M | re.S)
    assert found, "the README shows no Dockerfile"
    context = tmp_path / "context"
    run("git", "clone", "--quiet", ROOT, context / "gotoolforge")
    shutil.copytree(EXAMPLES / "zstd", context / "app")
    (context / "Dockerfile").write_text(re.sub(r"^ {4}", "", found[1], flags=re.M))
    # buildah gives 1024 open files, docker a million; zig needs more than that once.
    words = ("--isolation", "chroot", "--pull=never", "--ulimit", "nofile=4096:4096")
    run(*buildah, "build", *words, "--tag", "app", context)
    made = run(*buildah, "from", "--pull=never", "app")
    mounted = Path(run(*buildah, "mount", made))
    files = {path.name for path in mounted.rglob("*") if path.is_file()}
    assert files == {"app"}
    assert "zstd: 28000 bytes" in run("chroot", mounted, "/app")
