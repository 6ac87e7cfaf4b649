"""cgroup limits that really hold: applied by `parity run`, read back by the child, then gone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from gotoolforge import errors

from .conftest import Run, gotoolforge
from .test_parity_places import NOBODY, TOOL

pytestmark = pytest.mark.parity

ROOT = Path("/sys/fs/cgroup")
MEBIBYTE = 1 << 20
KEYS = {"cpu": "cgroup.cpu.milli", "memory": "cgroup.memory.max", "pids": "cgroup.pids.max"}
FILES = {"cpu": "cpu.cfs_quota_us", "memory": "memory.limit_in_bytes", "pids": "pids.max"}
# What the child finds by its own /proc/self/cgroup: name and content of each file of its groups.
READ_BACK = """
import json, pathlib
found = {}
for line in open("/proc/self/cgroup"):
    _number, names, path = line.rstrip("\\n").split(":", 2)
    for name in names.split(","):
        group = pathlib.Path("/sys/fs/cgroup", name, path.lstrip("/"))
        for file in "cpu.cfs_quota_us cpu.max memory.limit_in_bytes memory.max pids.max".split():
            if (group / file).is_file():
                found[file] = (group / file).read_text().split()[0]
print(json.dumps(found))
"""
SLEEPER = ["sh", "-c", "echo $$; exec sleep 600"]
Like = Callable[..., Path]


def version_2() -> bool:
    return (ROOT / "cgroup.controllers").is_file()


def offered(controller: str) -> bool:
    """Whether this machine lets root limit by it at all: else "not applied" is the right answer."""
    if version_2():
        return controller in (ROOT / "cgroup.subtree_control").read_text().split()
    return os.access(ROOT / controller / "cgroup.procs", os.W_OK)


def groups_left() -> list[str]:
    return [folder for folder, _inner, _files in os.walk(ROOT) if "/gotoolforge-" in folder]


def end(pid: int) -> None:
    """Kill a process that is nobody's child any more, and wait until it holds nothing."""
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while time.monotonic() < until and psutil.pid_exists(pid):
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                break
        time.sleep(0.02)


@pytest.fixture(scope="module")
def captured() -> dict[str, dict[str, str]]:
    done = gotoolforge("parity", "capture", "--no-probe")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["entries"]  # type: ignore[no-any-return]


@pytest.fixture
def like(captured: dict[str, dict[str, str]], tmp_path: Path) -> Like:
    """A snapshot of a server that is this machine with other limits of its cgroup."""

    def write(**limits: int) -> Path:
        none = {key: {"value": "max"} for key in KEYS.values()}
        ours = {KEYS[one]: {"value": str(amount)} for one, amount in limits.items()}
        document = {"kind": "gotoolforge-parity", "version": 1, "entries": captured | none | ours}
        path = tmp_path / "server.json"
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = groups_left()
    yield
    assert set(groups_left()) <= set(before)


def test_the_child_reads_its_own_limits_back(tool: Run, like: Like) -> None:
    limits = {"cpu": 1500, "memory": 256 * MEBIBYTE, "pids": 50}
    server = like(**limits)
    done = tool("parity", "run", "--like", str(server), "--", sys.executable, "-c", READ_BACK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    amounts = {"cpu": "150000", "memory": str(256 * MEBIBYTE), "pids": "50"}
    v2 = {"cpu": "cpu.max", "memory": "memory.max", "pids": "pids.max"}
    for name, amount in amounts.items():
        if offered(name):
            assert found[v2[name] if version_2() else FILES[name]] == amount, done.stderr
        else:
            assert f"not applied: {name}" in done.stderr
    missing = [name for name in limits if not offered(name)]
    done = tool("parity", "run", "--strict", "--like", str(server), "--", "true")
    assert done.returncode == (errors.ApplyError.exit_code if missing else 0), done.stderr


def test_a_capture_under_the_limits_is_the_snapshot_again(
    tool: Run, like: Like, tmp_path: Path
) -> None:
    limits = {"cpu": 1500, "memory": 256 * MEBIBYTE, "pids": 50}
    again = tmp_path / "again.json"
    words = ["parity", "run", "--like", str(like(**limits)), "--"]
    done = tool(*words, *TOOL, "parity", "capture", "--no-probe", "-o", str(again))
    assert done.returncode == 0, done.stderr
    found = json.loads(again.read_text())["entries"]
    for name, key in KEYS.items():
        if offered(name):
            assert found[key] == {"value": str(limits[name])}, done.stderr
    if offered("cpu"):
        assert found["go.maxprocs"]["value"] == str(min(2, len(os.sched_getaffinity(0))))


def test_beyond_the_pids_limit_no_process_can_be_made(tool: Run, like: Like) -> None:
    program = (
        "import errno, os, time\nos.setpgrp()\nmade = 1\n"
        "try:\n"
        "    while made < 100:\n"
        "        if os.fork() == 0: time.sleep(600)\n"
        "        made += 1\n"
        "except OSError as error: print(made, errno.errorcode[error.errno], flush=True)\n"
        "os.killpg(0, 9)\n"
    )
    words = ["parity", "run", "--like", str(like(pids=12)), "--"]
    done = tool(*words, sys.executable, "-c", program)
    assert done.returncode == 128 + signal.SIGKILL, done.stderr
    assert done.stdout == ("12 EAGAIN\n" if offered("pids") else ""), done.stderr


def test_the_memory_limit_holds(tool: Run, like: Like, tmp_path: Path) -> None:
    program = (
        "import pathlib, sys\nkept = []\n"
        f"for _ in range(64):\n    kept.append(b'x' * {4 * MEBIBYTE})\n"
        "    resident = int(open('/proc/self/statm').read().split()[1])\n"
        "    pathlib.Path(sys.argv[1]).write_text(str(resident))\n"
    )
    pages = tmp_path / "pages"
    words = ["parity", "run", "--like", str(like(memory=96 * MEBIBYTE)), "--"]
    done = tool(*words, sys.executable, "-c", program, str(pages))
    most = int(pages.read_text()) * os.sysconf("SC_PAGESIZE")
    if offered("memory"):
        # Where there is room to swap, it goes on beside its limit; elsewhere the kernel ends it.
        assert done.returncode in {0, 128 + signal.SIGKILL}, done.stderr
        assert most < 100 * MEBIBYTE
    else:
        assert "not applied: memory" in done.stderr


GO = """package main

import (
	"fmt"
	"runtime"
)

func main() { fmt.Println(runtime.GOMAXPROCS(0), runtime.NumCPU()) }
"""


@pytest.mark.parametrize(("version", "follows"), [("1.25", True), ("1.24", False)])
def test_gomaxprocs_follows_the_quota_if_go_mod_says_1_25(
    tool: Run, like: Like, tmp_path: Path, version: str, follows: bool
) -> None:
    (tmp_path / "go.mod").write_text(f"module example.com/app\n\ngo {version}\n")
    (tmp_path / "main.go").write_text(GO)
    program = tmp_path / "app"
    done = tool("build", "--no-provenance", "-o", str(program), ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # A machine of eight CPUs, as far as the program sees: Go never takes less than 2 for a quota.
    many = "inject=sched_getaffinity:poke_exit=@arg3=ff"
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", many]
    for quota, procs in ((2500, 3), (500, 2)):
        server = like(cpu=quota)
        done = tool("parity", "run", "--like", str(server), "--", *strace, str(program))
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{procs if follows and offered('cpu') else 8} 8\n", done.stderr


def test_limits_of_the_group_stand_beside_its_use(tool: Run, like: Like) -> None:
    """The limit is for all in the group: the use is the group's, not the one process's."""
    server = like(memory=256 * MEBIBYTE, pids=20)
    shell = "for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 600 & done; echo $$; wait"
    argv = [*TOOL, "parity", "run", "--like", str(server), "--", "sh", "-c", shell]
    child = subprocess.Popen(argv, stdout=-1, text=True, start_new_session=True)
    assert child.stdout
    done = tool("limits", "show", child.stdout.readline().strip(), "--json")
    os.killpg(child.pid, signal.SIGTERM)  # what a shell sent to the background ignores SIGINT
    child.communicate(timeout=300)
    gauges = {one["name"]: one for one in json.loads(done.stdout)["gauges"]}
    if offered("pids"):
        assert (gauges["tasks of the cgroup"]["used"], gauges["tasks of the cgroup"]["limit"]) == (
            16, 20,
        )  # fmt: skip
        assert done.returncode == 1, "four fifths of a limit is near"
    if offered("memory"):
        assert gauges["memory of the cgroup"]["limit"] == 256 * MEBIBYTE
        assert gauges["memory of the cgroup"]["used"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_the_group_is_gone_however_the_program_ends(like: Like, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole foreground group; the others are sent to one process."""
    server = like(cpu=1000, pids=50)
    argv = [*TOOL, "parity", "run", "--like", str(server), "--", *SLEEPER]
    child = subprocess.Popen(argv, stdout=-1, stderr=-1, text=True, start_new_session=True)
    assert child.stdout
    program = int(child.stdout.readline())
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:
        os.kill(program if number == signal.SIGKILL else child.pid, number)
    _out, err = child.communicate(timeout=300)
    assert child.returncode == 128 + number, err
    assert "Traceback" not in err
    assert not Path(f"/proc/{program}").exists()


def test_what_a_killed_run_left_goes_with_the_next(tool: Run, like: Like) -> None:
    server = like(pids=50)
    words = ["parity", "run", "--like", str(server), "--"]
    argv = [*TOOL, *words, *SLEEPER]
    child = subprocess.Popen(argv, stdout=-1, text=True)
    assert child.stdout
    program = int(child.stdout.readline())
    child.kill()
    end(program)
    child.communicate()
    assert tool(*words, "true").returncode == 0


def test_a_program_that_goes_on_keeps_its_group_and_is_told(tool: Run, like: Like) -> None:
    shell = "sleep 600 >/dev/null 2>&1 & echo $!"
    words = ["parity", "run", "--like", str(like(pids=50)), "--", "sh", "-c", shell]
    done = tool(*words)
    program = int(done.stdout)
    try:
        assert done.returncode == 0, done.stderr
        if offered("pids") and groups_left():
            assert "is left" in done.stderr
    finally:
        end(program)
    assert tool("parity", "run", "--like", str(like(pids=50)), "--", "true").returncode == 0


def test_who_may_make_no_group_is_told_and_the_program_runs(like: Like) -> None:
    server = like(pids=50)
    Path(server).chmod(0o644)
    for one in (server.parent, *server.parents):
        if one.stat().st_uid == os.getuid() and one != Path("/") and one.name.startswith("pytest"):
            one.chmod(0o755)
    for strict, code in (((), 0), (("--strict",), errors.ApplyError.exit_code)):
        words = ["parity", "run", *strict, "--like", str(server), "--", "echo", "ran"]
        argv = [*NOBODY, *TOOL, *words]
        done = subprocess.run(argv, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "not applied: pids limit" in done.stderr
        assert done.stdout == ("" if strict else "ran\n")


def test_version_2_alone_says_which_controllers_it_lacks(like: Like) -> None:
    """A mount namespace where only version 2 is to be seen, with the controllers that are free."""
    server = like(cpu=1500, pids=50)
    lonely = 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", lonely, "sh", *TOOL, "parity", "run"]
    argv += ["--like", str(server), "--", "sh", "-c", "cat /sys/fs/cgroup/cgroup.controllers"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for what, controller in (("cpu quota", "cpu"), ("pids limit", "pids")):
        lacks = f"not applied: {what}: cgroup v2 at /sys/fs/cgroup has no {controller} controller"
        assert (lacks in done.stderr) == (controller not in done.stdout.split())
