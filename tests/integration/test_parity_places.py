"""Captures from inside a container, under hidepid, as a user who may not see, and of what ends."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gotoolforge import errors, paths

from .conftest import Run
from .seccomp.container import ALONE, FLAGS

pytestmark = pytest.mark.parity

# A user who is nobody, but may walk to where the tests' Python lies (often below /root). That
# capability opens no process of others: the kernel asks for CAP_SYS_PTRACE there.
NOBODY = [
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search"),
    *("--ambient-caps=+dac_read_search", "--"),
]
TOOL = [sys.executable, "-m", "gotoolforge"]
FILTER = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
    "syscalls": [
        {"names": ["openat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
        {"names": ["faccessat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
    ],
}


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process of root's."""
    child = subprocess.Popen(["sleep", "600"], env={"GOMAXPROCS": "7", "PATH": os.environ["PATH"]})
    # Its variables are its own only when it has become the program.
    while Path(f"/proc/{child.pid}/comm").read_text() != "sleep\n":
        time.sleep(0.01)
    yield child
    child.kill()
    child.wait()


def bundle(folder: Path) -> Path:
    """A container with the programs of this machine and a root, a filter and limits of its own."""
    root = folder / "rootfs"
    for name in ("tmp", "dev", "proc", "sys", "etc", "usr"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        if Path("/", name).is_symlink():
            (root / name).symlink_to(Path("/", name).readlink())
        elif Path("/", name).is_dir():
            shutil.copytree(Path("/", name), root / name, symlinks=True)
    (root / "etc" / "os-release").write_text('PRETTY_NAME="inside"\n')
    subprocess.run(["crun", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["root"]["readonly"] = False
    limits = [{"type": "RLIMIT_NOFILE", "soft": 333, "hard": 444}]
    config["process"] |= {"args": ["sleep", "600"], "terminal": False, "rlimits": limits}
    config["process"]["env"].append("GOMAXPROCS=3")
    usr = {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}
    config["mounts"].append(usr)
    config["linux"] |= {"seccomp": FILTER, "sysctl": {"net.core.somaxconn": "99"}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def container(tmp_path: Path) -> Iterator[list[str]]:
    """A running container; the words that start a program in it, with no terminal."""
    folder = bundle(tmp_path / "bundle")
    name = f"gotoolforge-parity-{os.getpid()}-{time.monotonic_ns()}"
    words = [*ALONE, "crun", *FLAGS["crun"]]
    streams = {"stdin": -3, "stdout": -3, "stderr": -3}
    subprocess.run([*words, "run", "-d", "-b", folder, name], check=True, timeout=300, **streams)
    yield [*words, "exec", name]
    subprocess.run([*words, "delete", "-f", name], check=True, timeout=300)


def test_a_container_says_what_it_was_given(
    tool: Run, container: list[str], tmp_path: Path
) -> None:
    """As README has it for docker and kubectl: the script through a pipe into `exec ... sh`.

    What exec starts may have other limits than the container's own process, which is number 1.
    """
    script = shlex.join([*TOOL, "parity", "script", "--pid", "1"])
    pipe = f"{script} | {shlex.join([*container, 'sh'])}"
    done = subprocess.run(["sh", "-c", pipe], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    inside = tmp_path / "inside.json"
    inside.write_text(done.stdout)
    found = {key: one.get("value") for key, one in json.loads(done.stdout)["entries"].items()}
    assert found["os.name"] == "inside"
    assert (found["rlimit.nofile.soft"], found["rlimit.nofile.hard"]) == ("333", "444")
    assert found["sysctl.net.core.somaxconn"] == "99"
    assert found["security.seccomp"] == "2"
    assert found["security.no_new_privs"] == "1"
    assert (found["syscall.openat2"], found["syscall.faccessat2"]) == ("EPERM", "ENOSYS")
    assert found["syscall.statx"] == "works"
    assert found["env.GOMAXPROCS"] == "3"
    assert found["kernel.release"] == os.uname().release
    done = tool("parity", "compare", str(inside), "--json")
    counted = [o["check"] for o in json.loads(done.stdout)["findings"] if o["severity"] != "note"]
    assert {"rlimit.nofile.hard", "syscall.openat2", "security.cap_bounding"} <= set(counted)
    assert "syscall.statx" not in counted


def test_under_hidepid_others_are_not_there_and_oneself_is(tmp_path: Path) -> None:
    """hidepid in a mount and a pid namespace of the test's own: older kernels keep it for each."""
    inner = (
        "mount -t proc -o hidepid=2 proc /proc || exit 99; sleep 600 & hidden=$!; shift 0\n"
        'run() { "$@"; echo "code $?"; }\n'
        f"run {' '.join(NOBODY + TOOL)} limits show $hidden\n"
        f"run {' '.join(NOBODY + TOOL)} parity capture --no-probe --pid $hidden\n"
        f"run {' '.join(NOBODY)} sh -c 'exec {' '.join(TOOL)} limits show $$'\n"
        "kill $hidden\n"
    )
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inner]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode != 99, f"this kernel mounts no /proc with hidepid: {done.stderr}"
    codes = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("code ")]
    gone = str(errors.ProcessError.exit_code)
    assert codes[:2] == [gone, gone], done.stderr
    assert codes[2] in {"0", "1"}, done.stderr
    assert done.stderr.count("hidepid") == 2
    assert "Traceback" not in done.stderr
    assert "descriptors" in done.stdout


def test_what_others_may_not_see_of_a_process_is_unknown(
    sleeper: subprocess.Popen[bytes],
) -> None:
    pid = str(sleeper.pid)
    done = subprocess.run(
        [*NOBODY, *TOOL, "limits", "show", pid, "--json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    gauges = {one["name"]: one for one in json.loads(done.stdout)["gauges"]}
    assert gauges["descriptors"]["limit"]
    assert gauges["mappings"]["used"] is None
    assert gauges["threads"]["used"] == 1
    words = ["parity", "capture", "--no-probe", "--pid", pid]
    there = json.loads(
        subprocess.run([*TOOL, *words], capture_output=True, text=True, check=True).stdout
    )["entries"]
    done = subprocess.run([*NOBODY, *TOOL, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)["entries"]
    assert there["env.GOMAXPROCS"]["value"] == "7"
    assert f"/proc/{pid}/environ" in seen["env.GOMAXPROCS"]["unknown"]
    assert seen["rlimit.nofile.hard"] == there["rlimit.nofile.hard"]


def test_a_process_that_ends_during_a_capture_leaves_no_snapshot(
    tool: Run, sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """The shell reads its script from a pipe: the process ends between two pieces of it."""
    text = (paths.recipes_dir() / "parity" / "capture.sh").read_text()
    place = text.index("\nput() {")
    argv = ["sh", "-s", "--", "--pid", str(sleeper.pid)]
    shell = subprocess.Popen(argv, stdin=-1, stdout=-1, stderr=-1, text=True)
    assert shell.stdin
    assert shell.stderr
    shell.stdin.write(text[:place] + "\necho ready >&2\n")
    shell.stdin.flush()
    assert shell.stderr.readline() == "ready\n"
    sleeper.kill()
    sleeper.wait()
    out, err = shell.communicate(text[place:], timeout=300)
    assert shell.returncode == 3
    assert "ended meanwhile" in err
    (tmp_path / "half.json").write_text(out)
    done = tool("parity", "compare", str(tmp_path / "half.json"))
    assert done.returncode == errors.SnapshotError.exit_code
    assert "cut off" in done.stderr


def test_a_process_that_ends_during_a_watch_ends_the_watch(
    sleeper: subprocess.Popen[bytes],
) -> None:
    argv = [*TOOL, "limits", "watch", str(sleeper.pid), "--every", "0.1"]
    watch = subprocess.Popen(argv, stdout=-1, stderr=-1, text=True)
    assert watch.stdout
    assert json.loads(watch.stdout.readline())["pid"] == sleeper.pid
    sleeper.kill()
    sleeper.wait()
    _out, err = watch.communicate(timeout=300)
    assert watch.returncode == 0, err
    assert "has ended" in err
