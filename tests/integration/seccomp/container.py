"""Real containers by crun and runc, from a bundle that holds one static program."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

# crun refuses a machine with both kinds of cgroups; in a mount namespace of its own it sees one.
ALONE = ["unshare", "-m", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
FLAGS = {"crun": ["--cgroup-manager=disabled"], "runc": []}


def run_container(
    runtime: str, folder: Path, program: Path, profile: dict[str, Any] | None, *words: str,
    capabilities: tuple[str, ...] | None = None, as_engine: bool = False,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Run `program` alone in a container under a profile (None: without a filter).

    As an engine does it: made first and started then, for a user who is not root.
    """
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "rootfs"
    for name in ("tmp", "dev", "proc", "sys", "etc"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy2(program, root / "program")
    subprocess.run([runtime, "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["root"]["readonly"] = False
    config["process"] |= {"args": ["/program", *words], "terminal": False}
    if as_engine:
        user = {"uid": 1000, "gid": 1000, "additionalGids": [1001]}
        config["process"] |= {"user": user, "noNewPrivileges": False}
    if capabilities is not None:
        for kind in ("bounding", "effective", "permitted"):
            config["process"]["capabilities"][kind] = list(capabilities)
    if profile is not None:
        config["linux"]["seccomp"] = profile
    (folder / "config.json").write_text(json.dumps(config))
    # A name of its own: one that an interrupted run left behind would be in the way.
    name = f"gotoolforge-{os.getpid()}-{time.monotonic_ns()}"
    argv = [*ALONE, runtime, *FLAGS[runtime]]
    try:
        if as_engine:
            return _made_and_started(argv, folder, name)
        return subprocess.run(
            [*argv, "run", "-b", str(folder), name], capture_output=True, text=True, timeout=600
        )
    except subprocess.TimeoutExpired:
        subprocess.run([*argv, "delete", "-f", name])
        raise


def _made_and_started(argv: list[str], folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """The exit code is that of the start: runtimes do not keep the program's."""
    out, err = folder / "out", folder / "err"
    with out.open("w") as sink, err.open("w") as errors:
        streams = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": errors}
        subprocess.run([*argv, "create", "-b", str(folder), name], **streams, timeout=600)
        started = subprocess.run([*argv, "start", name], **streams, timeout=600)
    while (
        '"running"'
        in subprocess.run(
            [*argv, "state", name], capture_output=True, text=True, timeout=600
        ).stdout
    ):
        time.sleep(0.1)
    subprocess.run([*argv, "delete", "-f", name], capture_output=True, timeout=600)
    return subprocess.CompletedProcess(argv, started.returncode, out.read_text(), err.read_text())
