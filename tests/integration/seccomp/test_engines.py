"""Container engines take a generated profile by the words that `seccomp profile` prints."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from ..conftest import Run
from .conftest import Build, has
from .container import ALONE
from .test_profiles import ENODEV, ENOSYS, EPERM, profile_of, results

pytestmark = [pytest.mark.seccomp, pytest.mark.go, pytest.mark.long]
CLOSED = {"unshare": EPERM, "mount": EPERM, "ptrace": EPERM, "clone": EPERM, "clone3": ENOSYS}
IMAGE = "localhost/gotoolforge-test:1"


def podman(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """podman with a store of its own."""
    store = ["--root", str(folder / "root"), "--runroot", str(folder / "run"),
             "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=crun"]  # fmt: skip
    return subprocess.run(
        [*ALONE, has("podman"), *store, *words], capture_output=True, text=True, timeout=600
    )


def imported(folder: Path, built: Build) -> None:
    """An image that holds two programs and nothing else."""
    root = folder / "image"
    (root / "tmp").mkdir(parents=True)
    for name in ("server", "forbidden"):
        (root / name).write_bytes(built(name).read_bytes())
        (root / name).chmod(0o755)
    subprocess.run(["tar", "-C", root, "-cf", folder / "image.tar", "."], check=True)
    done = podman(folder, "import", str(folder / "image.tar"), IMAGE)
    assert done.returncode == 0, done.stderr


def test_podman(built: Build, tool: Run, tmp_path: Path) -> None:
    imported(tmp_path, built)
    profile_of(tool, built("server"), tmp_path / "p.json", "--runtime", "podman")

    def run(profile: str, *words: str) -> subprocess.CompletedProcess[str]:
        return podman(
            tmp_path, "run", "--rm", "--network=host", "--cgroups=disabled", "--log-driver=none",
            "--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096",
            "--cap-add=SYS_ADMIN,SYS_PTRACE", f"--security-opt=seccomp={profile}", IMAGE, *words,
        )  # fmt: skip

    served = run(str(tmp_path / "p.json"), "/server")
    assert served.stdout.startswith("served "), served.stderr
    opened = results(run("unconfined", "/forbidden", *CLOSED).stdout)
    assert (opened["unshare"], opened["mount"]) == (0, ENODEV)
    shut = run(str(tmp_path / "p.json"), "/forbidden", *CLOSED)
    assert results(shut.stdout) == CLOSED, shut.stderr


def test_containerd(built: Build, tool: Run, tmp_path: Path) -> None:
    imported(tmp_path, built)
    saved = podman(tmp_path, "save", "--format", "oci-archive", "-o", f"{tmp_path}/oci.tar", IMAGE)
    assert saved.returncode == 0, saved.stderr
    profile_of(tool, built("server"), tmp_path / "p.json", "--runtime", "containerd")
    socket = tmp_path / "sock"
    words = ["--root", f"{tmp_path}/ctrd", "--state", f"{tmp_path}/state", "--address", str(socket)]
    daemon = subprocess.Popen([has("containerd"), *words], stderr=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert daemon.poll() is None
            time.sleep(0.1)

        def ctr(*words: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                ["ctr", "-a", socket, *words], capture_output=True, text=True, timeout=600
            )

        done = ctr("image", "import", "--snapshotter", "native", f"{tmp_path}/oci.tar")
        assert done.returncode == 0, done.stderr
        caps = ["--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SYS_PTRACE"]

        def run(*words: str, profile: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
            name = f"gotoolforge-{os.getpid()}-{time.monotonic_ns()}"
            return ctr("run", "--rm", "--net-host", "--snapshotter", "native", *caps, *profile,
                       IMAGE, name, *words)  # fmt: skip

        ours = ("--seccomp", "--seccomp-profile", str(tmp_path / "p.json"))
        served = run("/server", profile=ours)
        assert served.stdout.startswith("served "), served.stderr
        opened = results(run("/forbidden", *CLOSED).stdout)
        assert (opened["unshare"], opened["mount"]) == (0, ENODEV)
        shut = run("/forbidden", *CLOSED, profile=ours)
        assert results(shut.stdout) == CLOSED, shut.stderr
    finally:
        daemon.terminate()
        daemon.wait()
