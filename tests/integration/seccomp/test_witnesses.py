"""Every witness sees a real program, and none sees what the listing does not hold."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gotoolforge.seccomp import ebpf
from gotoolforge.seccomp.compare import compare
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.trace import Trace, load_trace

from ..conftest import Run
from .conftest import Build, able

pytestmark = [pytest.mark.seccomp, pytest.mark.go]


def traced(witness: str, built: Build, name: str, tool: Run, out: Path) -> Trace:
    able(witness)
    done = tool("seccomp", "trace", "--with", witness, "-o", str(out), "--", str(built(name)))
    assert done.returncode == 0, done.stderr
    return load_trace(out)


@pytest.mark.parametrize("witness", ["notify", "strace", "ebpf"])
def test_a_witness_follows_children_and_names_first_stacks(
    witness: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    trace = traced(witness, built, "children", tool, tmp_path / "t.json")
    assert trace.lossless, trace.notes
    assert {"mmap", "futex", "clone", "execve", "pipe2", "exit_group"} <= trace.names
    assert {Path(one.program).name for one in trace.others} == {"echo", "cat", "sleep"}
    assert "brk" not in trace.names
    assert trace.own.calls["futex"].stack[0] == "runtime.futex"
    assert compare(list_calls(built("children")), (trace,)).missed == ()


@pytest.fixture
def ticking() -> Iterator[int]:
    """A process that starts another one many times a second."""
    with subprocess.Popen(["sh", "-c", "while sleep 0.05; do :; done"]) as child:
        yield child.pid
        child.kill()


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.15, 0.2])
def test_bpftrace_ends_when_it_is_told_to_while_it_prints(delay: float, ticking: int) -> None:
    able("ebpf")
    lines: list[str] = []
    watching = ebpf.Watching(ticking, lines.append)
    assert watching.wait()
    watching.ask()
    time.sleep(delay)
    assert watching.end() == 0, lines
    assert any(line.startswith("@n[") for line in lines)


@pytest.mark.parametrize("killed", ["bpftrace", "gotoolforge"])
def test_neither_of_a_watch_outlives_the_other(killed: str, ticking: int, tmp_path: Path) -> None:
    able("ebpf")
    profile = tmp_path / "p.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": []}')
    words = [sys.executable, "-m", "gotoolforge", "seccomp", "watch", "--pid", str(ticking)]
    with subprocess.Popen([*words, "--profile", profile], stderr=subprocess.PIPE) as watch:
        try:
            assert watch.stderr is not None
            said = iter(watch.stderr)
            assert any(b"outside the profile" in line for line in said)
            (bpftrace,) = psutil.Process(watch.pid).children()
            (bpftrace if killed == "bpftrace" else watch).kill()
            last = b"".join(said)
            bpftrace.wait(60)
        finally:
            watch.kill()
    if killed == "bpftrace":
        assert watch.returncode == 14
        assert b"bpftrace ended with -9" in last
        assert b"--with strace" in last


def test_ebpf_and_notify_see_the_whole_stack(built: Build, tool: Run, tmp_path: Path) -> None:
    for witness in ("notify", "ebpf"):
        trace = traced(witness, built, "children", tool, tmp_path / f"{witness}.json")
        assert "runtime.newosproc" in trace.own.calls["clone"].stack


def test_the_kernels_log_says_that_it_loses(built: Build, tool: Run, tmp_path: Path) -> None:
    trace = traced("log", built, "hello", tool, tmp_path / "t.json")
    assert not trace.lossless
    assert "limits the rate" in trace.notes[0]
    assert compare(list_calls(built("hello")), (trace,)).missed == ()


def test_the_tests_of_packages_are_traced_as_one(tool: Run, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/t\n\ngo 1.24\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "a_test.go").write_text(
        'package t\n\nimport (\n\t"net"\n\t"testing"\n)\n\nfunc TestListen(t *testing.T) {\n'
        '\tl, err := net.Listen("tcp", "127.0.0.1:0")\n\tif err != nil {\n\t\tt.Fatal(err)\n\t}\n'
        "\tl.Close()\n}\n"
    )
    (tmp_path / "sub" / "b_test.go").write_text(
        'package sub\n\nimport (\n\t"os"\n\t"testing"\n)\n\nfunc TestMkdir(t *testing.T) {\n'
        '\tif err := os.Mkdir(t.TempDir()+"/x", 0o755); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n'
    )
    out = tmp_path / "t.json"
    words = ("seccomp", "trace", "--with", "notify", "-o", str(out))
    done = tool(*words, "--test", "./...", "--", "-test.v", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "--- PASS: TestListen" in done.stdout
    assert {"listen", "mkdirat"} <= load_trace(out).names
    (tmp_path / "sub" / "b_test.go").rename(tmp_path / "sub" / "b.go")
    none = tool(*words, "--test", "./sub", cwd=tmp_path)
    assert none.returncode == 2
    assert "has no tests" in none.stderr


def test_without_any_witness_reading_is_offered(built: Build, tool: Run, tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path)}
    for witness, words in (("strace", "not installed"), ("ebpf", "bpftrace is not installed")):
        done = tool("seccomp", "trace", "--with", witness, "--", str(built("hello")), **bare)
        assert done.returncode == 14
        assert words in done.stderr
        assert "--with notify" in done.stderr or "seccomp list" in done.stderr
        assert done.stdout == ""
    out = tmp_path / "t.json"
    done = tool("seccomp", "trace", "-o", str(out), "--", str(built("hello")), **bare)
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text())["witness"] == "notify"


def test_without_rights_notifications_still_serve(built: Build, tool: Run, tmp_path: Path) -> None:
    """root without capabilities is as powerless as any user, wherever the checkout lies."""
    out = tmp_path / "t.json"
    words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-m",
             "gotoolforge", "seccomp", "trace", "-o", str(out)]  # fmt: skip
    done = subprocess.run([*words, "--", built("hello")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert load_trace(out).witness == "notify"
    ebpf = subprocess.run(
        [*words, "--with", "ebpf", "--", built("hello")], capture_output=True, text=True
    )
    assert ebpf.returncode == 14
    assert "bpftrace" in ebpf.stderr
    assert "what works here: --with notify" in ebpf.stderr


def test_watch_tells_what_is_outside_and_proposes_it(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    able("ebpf")
    profile = tmp_path / "p.json"
    assert tool("seccomp", "profile", str(built("hello")), "-o", str(profile)).returncode == 0
    # It opens a socket every now and then, which `hello` never does.
    code = "import socket, time\nwhile True: socket.socket().close(); time.sleep(0.1)"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        words = ("seccomp", "watch", "--pid", str(child.pid), "--profile", str(profile))
        done = tool(*words, "--seconds", "4")
        one = tool(*words, "--seconds", "3", "--threshold", "1000000", "--json")
        quiet = tool(*words, "--quiet", "2")  # nothing new is outside after the first second
    finally:
        child.kill()
        child.wait()
    assert done.returncode == 1, done.stderr
    assert "outside the profile: socket" in done.stderr
    assert '+        "socket"' in done.stdout
    assert "for the next start" in done.stderr
    value = json.loads(one.stdout)
    assert (one.returncode, value["outside"], value["wider"]) == (0, [], False)
    assert value["seen"]
    assert (quiet.returncode, "outside the profile: socket" in quiet.stderr) == (1, True)
    gone = tool("seccomp", "watch", "--pid", str(child.pid), "--profile", str(profile))
    assert gone.returncode == 2
    assert f"there is no process {child.pid}" in gone.stderr
