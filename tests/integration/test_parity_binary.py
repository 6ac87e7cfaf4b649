"""What a snapshot means for real programs, and programs under a seccomp profile."""

import json
import platform
import shutil
import struct
import sys
from pathlib import Path

import pytest

from gotoolforge import errors

from .conftest import Run, gotoolforge

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    done = gotoolforge("parity", "capture", "--no-probe")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["entries"]  # type: ignore[no-any-return]


GOARCH = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
SOURCES = {
    "386": 'package main\n\nfunc main() { println("hello") }\n',
    # It asks for random numbers, copies between files, and starts a program.
    GOARCH: """package main

import (
	"crypto/rand"
	"io"
	"os"
)

func main() {
	_, _ = io.CopyN(os.Stdout, rand.Reader, 1)
	_, _ = io.Copy(os.Stdout, os.Stdin)
	_, _ = os.StartProcess("/bin/true", nil, &os.ProcAttr{})
}
""",
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Go program for this machine, and one for a 32-bit machine, by the name of their GOARCH."""
    folder = tmp_path_factory.mktemp("programs")
    for arch, source in SOURCES.items():
        module = folder / f"module-{arch}"
        module.mkdir()
        (module / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
        (module / "main.go").write_text(source)
        words = ["build", "--target", f"linux/{arch}", "--no-provenance", "-o", str(folder / arch)]
        done = gotoolforge(*words, ".", cwd=module)
        assert done.returncode == 0, done.stderr
    return folder


def copy(path: Path, entries: dict[str, dict[str, str]], **changed: str) -> Path:
    """A snapshot with some values changed: a server that is not this machine."""
    ours = {key.replace("__", "."): {"value": value} for key, value in changed.items()}
    both = {**entries, **ours}
    path.write_text(json.dumps({"kind": "gotoolforge-parity", "version": 1, "entries": both}))
    return path


def findings(tool: Run, binary: Path, server: Path) -> dict[str, dict[str, str]]:
    done = tool("parity", "compare", str(server), "--binary", str(binary), "--json")
    assert done.returncode in {0, 1}, done.stderr
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == any(one["severity"] != "note" for one in found)
    return {one["check"]: one for one in found}


def test_the_floor_is_held_against_the_glibc_of_the_server(
    tool: Run, captured: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    program = Path(shutil.which("env") or "").resolve()
    assert captured["libc.kind"]["value"] == "glibc", "this test wants a program that needs glibc"
    for version, checks in (("2.1", {"binary.floor"}), ("2.99", set())):
        there = copy(tmp_path / "s", captured, libc__version=version)
        assert findings(tool, program, there).keys() == checks
    assert findings(tool, program, copy(tmp_path / "s", captured)) == {}
    musl = copy(tmp_path / "s", captured, libc__kind="musl", libc__version="1.2.5")
    assert "musl" in findings(tool, program, musl)["binary.libc"]["message"]


def test_refused_time64_matters_to_a_32_bit_program_only(
    tool: Run, captured: dict[str, dict[str, str]], programs: Path, tmp_path: Path
) -> None:
    there = copy(tmp_path / "s", captured, syscall__clock_gettime64="EPERM")
    old = findings(tool, programs / "386", there)
    assert "clock_gettime64" in old["binary.time64"]["message"]
    assert "binary.time64" not in findings(tool, programs / GOARCH, there)
    works = copy(tmp_path / "s", captured, syscall__clock_gettime64="works")
    assert "binary.time64" not in findings(tool, programs / "386", works)


def with_stack(program: bytes, size: int) -> bytes:
    """A 64-bit program whose PT_GNU_STACK asks for another size (elf(5))."""
    changed = bytearray(program)
    (start,) = struct.unpack_from("<Q", program, 32)
    each, count = struct.unpack_from("<HH", program, 54)
    for place in range(start, start + each * count, each):
        if struct.unpack_from("<I", program, place)[0] == 0x6474E551:
            struct.pack_into("<Q", changed, place + 40, size)
    return bytes(changed)


def test_a_small_static_stack_is_told(
    tool: Run, captured: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    from gotoolforge.console import Console
    from gotoolforge.parity.probe import ensure_probe

    made = ensure_probe(platform.machine(), Console()).read_bytes()
    there = copy(tmp_path / "s", captured)
    for size, checks in ((0, {"binary.stack"}), (65536, {"binary.stack"}), (8 << 20, set())):
        (tmp_path / "x").write_bytes(with_stack(made, size))
        assert findings(tool, tmp_path / "x", there).keys() == checks


def test_calls_that_the_program_reaches_and_the_server_refuses_are_named(
    tool: Run, captured: dict[str, dict[str, str]], programs: Path, tmp_path: Path
) -> None:
    program = programs / GOARCH
    answers = {
        "syscall__getrandom": "killed",
        "syscall__copy_file_range": "EPERM",
        "syscall__pidfd_open": "ENOSYS",
        "syscall__io_uring_setup": "killed",  # which a Go program never calls
    }
    found = findings(tool, program, copy(tmp_path / "s", captured, **answers))
    severities = {key: one["severity"] for key, one in found.items()}
    assert severities == {
        "binary.syscall.getrandom": "error",
        "binary.syscall.copy_file_range": "warning",
        "binary.syscall.pidfd_open": "note",
    }
    assert "killed" in found["binary.syscall.getrandom"]["message"]
    assert findings(tool, program, copy(tmp_path / "s", captured)) == {}


READ_BACK = (
    "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True);"
    'got = libc.syscall(437, -1, b"x", 0, 0); print("openat2", ctypes.get_errno());'
    'lines = list(open("/proc/self/status"));'
    'print(*(x.split()[1] for x in lines if x.startswith(("Seccomp:", "NoNew"))))'
)


def test_a_profile_is_really_applied_and_read_back(
    tool: Run, captured: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    there = copy(tmp_path / "s", captured, syscall__openat2="EPERM", rlimit__nofile__soft="99")
    given = tmp_path / "given.json"
    rule = {"names": ["openat2"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}
    given.write_text(json.dumps(profile))
    for name, errno in (("captured", 1), (str(given), 13)):
        words = ["parity", "run", "--like", str(there), "--seccomp", name, "--"]
        done = tool(*words, sys.executable, "-c", READ_BACK)
        assert done.stdout.splitlines() == [f"openat2 {errno}", "1 2"], done.stderr
        assert done.returncode == 1, "a refusal is told"
        assert "openat2" in done.stderr
    done = tool(*words, "sh", "-c", "ulimit -Sn; exit 5")
    assert (done.stdout, done.returncode) == ("99\n", 5), done.stderr
    without = tool("parity", "run", "--like", str(there), "--", sys.executable, "-c", READ_BACK)
    assert without.stdout.splitlines()[0] not in {"openat2 1", "openat2 13"}


def test_a_bad_profile_is_refused_before_anything_runs(
    tool: Run, captured: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    there = copy(tmp_path / "s", captured)
    (tmp_path / "bad").write_text("{")
    mark = tmp_path / "ran"
    for profile, error in (
        ("bad", errors.UsageError),
        ("none", errors.UnreadableError),
        ("captured", errors.SnapshotError),
    ):
        name = profile if profile == "captured" else str(tmp_path / profile)
        words = ["parity", "run", "--like", str(there), "--seccomp", name, "--"]
        done = tool(*words, "touch", str(mark))
        assert done.returncode == error.exit_code, done.stderr
        assert "Traceback" not in done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("form", ["docker", "compose", "kubernetes"])
def test_the_same_limits_for_containers_of_this_machine(
    tool: Run, form: str, captured: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    there = copy(tmp_path / "s", captured, cgroup__cpu__milli="2500", env__GOGC="50")
    done = tool("parity", "run", "--like", str(there), "--as", form)
    assert done.returncode == 0, done.stderr
    assert "2.5" in done.stdout or "2500m" in done.stdout
    assert "GOGC" in done.stdout
