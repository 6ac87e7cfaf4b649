"""What README says of Go where common advice is out of date, by real programs of this Go."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import Run, gotoolforge

pytestmark = pytest.mark.parity

# Each tells its limit of open files, soft and hard, and waits to be looked at.
ASKS = """package main

import "syscall"

func main() {
	var limit syscall.Rlimit
	_ = syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	println(limit.Cur, limit.Max)
}
"""
# It imports nothing: package syscall is not in it.
BARE = """package main

func main() {
	println("here")
	for {
	}
}
"""
CHILD = """package main

import (
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
)

func main() {
	text, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	fmt.Print(string(text))
	_, has := reflect.TypeOf(http.Server{}).FieldByName("MaxConns")
	fmt.Println(has, err)
}
"""
DEEP = """package main

func deep(n int) int {
	var room [1024]byte
	if n == 0 {
		return int(room[0])
	}
	return deep(n-1) + int(room[n%1024])
}

func main() { println(deep(16384)) }
"""
THREAD = """package main

/*
#include <pthread.h>
static size_t size(void) {
	pthread_attr_t attr;
	size_t size = 0;
	pthread_attr_init(&attr);
	pthread_attr_getstacksize(&attr, &size);
	return size;
}
*/
import "C"

func main() { println(C.size()) }
"""
SOURCES = {"asks": ASKS, "bare": BARE, "child": CHILD, "deep": DEEP, "thread": THREAD}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module with a folder for each program."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    for name, text in SOURCES.items():
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(text)
    return folder


def build(folder: Path, name: str) -> Path:
    out = folder / f"{name}.bin"
    words = ["build", "--toolchain", "zig", "--no-provenance", "-o", str(out), f"./{name}"]
    done = gotoolforge(*words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return out


def limited(program: Path, limits: str) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", f'{limits}; exec "$0"', program]
    return subprocess.run(words, capture_output=True, text=True, timeout=300)


def test_package_syscall_raises_the_soft_limit_to_one_below_the_hard_one(programs: Path) -> None:
    done = limited(build(programs, "asks"), "ulimit -Sn 100; ulimit -Hn 300")
    assert done.stderr == "299 300\n"


def test_a_program_without_package_syscall_keeps_its_soft_limit(programs: Path) -> None:
    words = ["sh", "-c", 'ulimit -Sn 100; ulimit -Hn 300; exec "$0"', build(programs, "bare")]
    child = subprocess.Popen(words, stderr=-1, text=True)
    try:
        assert child.stderr
        assert child.stderr.readline() == "here\n"
        text = Path(f"/proc/{child.pid}/limits").read_text()
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    (line,) = (one for one in text.splitlines() if one.startswith("Max open files"))
    assert line.split()[3:5] == ["100", "300"]


def test_children_get_the_old_limit_and_http_servers_have_no_maxconns(programs: Path) -> None:
    done = limited(build(programs, "child"), "ulimit -Sn 100; ulimit -Hn 300")
    assert done.stdout == "100\nfalse <nil>\n", done.stderr


def test_goroutine_stacks_do_not_come_from_the_stack_limit(programs: Path) -> None:
    """Sixteen MiB of calls under a limit of one."""
    done = limited(build(programs, "deep"), "ulimit -s 1024")
    assert (done.returncode, done.stderr) == (0, "0\n")


@pytest.mark.system
def test_stacks_of_c_threads_come_from_the_limit_under_glibc_and_not_under_musl(
    tool: Run, programs: Path
) -> None:
    with_musl = build(programs, "thread")
    assert limited(with_musl, "ulimit -s 4096").stderr == f"{8 << 20}\n"
    with_glibc = programs / "glibc.bin"
    words = ["go", "build", "-o", str(with_glibc), "./thread"]
    env = {**os.environ, "CGO_ENABLED": "1"}
    done = subprocess.run(words, cwd=programs, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert limited(with_glibc, "ulimit -s 4096").stderr == f"{4 << 20}\n"
