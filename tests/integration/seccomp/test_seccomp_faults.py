"""Programs and machines as they should not be: each ends with words, in bounded time."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from gotoolforge.seccomp.trace import load_trace

from ..conftest import Run
from .conftest import Build, able

pytestmark = [pytest.mark.seccomp, pytest.mark.go]
GUARD = 600

FORKS = """package main

import (
	"os"
	"os/exec"
	"time"
)

func main() {
	if len(os.Args) > 1 {
		time.Sleep(time.Hour)
	}
	for {
		exec.Command(os.Args[0], "child").Start()
	}
}
"""
CRASHES = "package main\n\nfunc main() { var p *int; *p = 1 }\n"


def built_from(text: str, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module example.com/fault\n\ngo 1.24\n")
    (folder / "main.go").write_text(text)
    env = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(["go", "build", "-o", "program", "."], cwd=folder, env=env, check=True)
    return folder / "program"


@pytest.mark.parametrize("witness", ["notify", "strace", "ebpf"])
def test_a_program_that_ends_at_once_or_crashes_keeps_its_exit_code(
    witness: str, tool: Run, tmp_path: Path
) -> None:
    able(witness)
    out = tmp_path / "t.json"
    words = ("seccomp", "trace", "--with", witness, "-o", str(out), "--")
    done = tool(*words, "/bin/true")
    assert done.returncode == 0, done.stderr
    assert "exit_group" in load_trace(out).names
    crashed = tool(*words, str(built_from(CRASHES, tmp_path / "crashes")))
    assert crashed.returncode == 2
    assert "nil pointer" in crashed.stderr
    assert "exit_group" in load_trace(out).names


@pytest.mark.parametrize("witness", ["strace", "ebpf"])
def test_a_running_process_is_watched_for_some_seconds(
    witness: str, tool: Run, tmp_path: Path
) -> None:
    able(witness)
    out = tmp_path / "t.json"
    code = "import os, time\nwhile True: os.getppid(); time.sleep(0.02)"
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        words = ("seccomp", "trace", "--with", witness, "--seconds", "2", "-o", str(out))
        done = tool(*words, "--pid", str(child.pid))
        assert done.returncode == 0, done.stderr
        assert "getppid" in load_trace(out).names
        assert child.poll() is None  # it lives on
        refused = tool("seccomp", "trace", "--with", "notify", "--pid", str(child.pid))
        assert refused.returncode == 2
        assert "--with strace or --with ebpf" in refused.stderr
    finally:
        child.kill()
        child.wait()
    gone = tool("seccomp", "trace", "--pid", str(child.pid))
    assert gone.returncode == 2
    assert "there is no" in gone.stderr


@pytest.mark.parametrize("witness", ["notify", "strace", "ebpf"])
def test_a_program_that_never_ends_is_ended_after_the_seconds(
    witness: str, tool: Run, tmp_path: Path
) -> None:
    able(witness)
    out = tmp_path / "t.json"
    words = ("seccomp", "trace", "--with", witness, "--seconds", "1", "-o", str(out))
    done = tool(*words, "--", "/bin/sleep", "3600")
    assert done.returncode == 128 + 9, done.stderr
    assert load_trace(out).names


def test_a_program_that_forks_for_ever_is_bounded(tool: Run, tmp_path: Path) -> None:
    """As a user with few processes, in a pid namespace whose end ends them all."""
    out = tmp_path / "t.json"
    with tempfile.TemporaryDirectory() as name:  # where another user can read
        folder = Path(name)
        folder.chmod(0o755)
        program = built_from(FORKS, folder / "forks")
        # As long as a busy machine needs to get there, and those of before to be gone.
        for seconds in ("3", "20", "90"):
            words = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                     sys.executable, "-m", "gotoolforge", "seccomp", "trace", "--with", "notify",
                     "--seconds", seconds, "-o", str(out), "--", "setpriv", "--reuid=65534",
                     "--regid=65534", "--clear-groups", "prlimit", "--nproc=40",
                     str(program)]  # fmt: skip
            done = subprocess.run(words, capture_output=True, text=True, timeout=GUARD)
            others = load_trace(out).others if out.is_file() else ()
            seen = [one for one in others if one.program == str(program)]
            # Ended by us, or by itself: Go gives up where it gets no thread for its collector.
            ended = done.returncode in {128 + 9, 2}
            if ended and seen and {"clone", "clone3"} & set(seen[0].calls):
                return
    raise AssertionError(done.stderr)


def test_a_program_that_its_filter_kills_is_reported(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    profile = tmp_path / "p.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": '
                       '["SCMP_ARCH_X86_64"], "syscalls": [{"names": ["execve"], "action": '
                       '"SCMP_ACT_ALLOW"}]}')  # fmt: skip
    words = ("seccomp", "run", "--profile", str(profile), "--")
    done = tool(*words, str(built("server")))
    assert done.returncode == 128 + 31
    assert "refused" in done.stderr


@pytest.mark.parametrize("verb", ["list", "profile"])
def test_what_is_no_program_of_ours_is_refused_in_words(
    verb: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    def said(content: bytes) -> str:
        (tmp_path / "file").write_bytes(content)
        done = tool("seccomp", verb, str(tmp_path / "file"))
        assert done.returncode not in (0, 1), done.stdout
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return " ".join(done.stderr.split())

    whole = built("hello").read_bytes()
    assert "not an ELF file" in said(b"#!/bin/sh\necho\n")
    assert "is packed by UPX" in said(whole[:0x400] + b"UPX!" + whole[0x404:])
    assert "cut short" in said(whole[: len(whole) // 2])
    # EM_SPARCV9: a machine that Go does not have
    assert "no architecture that gotoolforge knows" in said(whole[:18] + b"\x2b\0" + whole[20:])


def test_a_program_for_another_machine_is_not_traced_here(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    program = str(built("hello", "riscv64"))
    done = tool("seccomp", "trace", "--with", "notify", "--", program, PATH=str(tmp_path))
    assert done.returncode == 14
    assert "the program is for riscv64" in done.stderr


@pytest.mark.long
def test_150_megabytes_are_read(tool: Run, built: Build, tmp_path: Path) -> None:
    """The server with 140 MB of data embedded."""
    folder = tmp_path / "big"
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(1 << 20) * 145)
    imports = 'import (\n\t_ "embed"\n\t"fmt"\n\t"net/http"\n)\n'
    body = "func main() { fmt.Println(len(data), http.StatusOK) }\n"
    text = f"package main\n\n{imports}\n//go:embed data\nvar data string\n\n{body}"
    program = built_from(text, folder)
    assert program.stat().st_size > 150e6
    done = tool("seccomp", "list", "--json", str(program))
    assert done.returncode == 0, done.stderr
