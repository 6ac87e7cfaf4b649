"""The static listing holds everything that a tracer sees a real program's own image call."""

import json
import subprocess
from pathlib import Path

import pytest

from gotoolforge.seccomp.compare import compare
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.trace import load_trace

from ..conftest import Run
from .conftest import Build, able, command

pytestmark = [pytest.mark.seccomp, pytest.mark.go]
# Far below what each makes: some calls depend on timing and machine, an empty trace does not.
LEAST = {"hello": 12, "server": 25, "children": 20, "sqlite": 22, "hey": 20, "age-keygen": 12}


@pytest.mark.parametrize("name", [*LEAST, "sqlite-stripped"])
@pytest.mark.parametrize(
    "witness", ["strace", "notify", pytest.param("ebpf", marks=pytest.mark.long)]
)
def test_the_listing_holds_what_a_witness_saw(
    witness: str, name: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    able(witness)
    program = built(name)
    out = tmp_path / "trace.json"
    done = tool("seccomp", "trace", "--with", witness, "-o", str(out), "--",
                *command(name, program, tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stderr
    trace, listing = load_trace(out), list_calls(program)
    assert len(trace.names) >= LEAST.get(name, 22)
    found = compare(listing, (trace,))
    assert found.missed == ()
    assert set(found.explained) <= {"execve", "restart_syscall"}
    assert listing.open_ends == ()
    assert set(listing.reachable) <= set(listing.in_file)
    # What the vDSO does not answer, the program asks the kernel itself.
    assert "clock_gettime" in listing.reachable


def test_stripping_loses_no_call(built: Build) -> None:
    assert list_calls(built("sqlite-stripped")).reachable == list_calls(built("sqlite")).reachable


def test_children_that_became_other_programs_are_listed_apart(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    out = tmp_path / "trace.json"
    tool("seccomp", "trace", "--with", "strace", "-o", str(out), "--", str(built("children")))
    trace = load_trace(out)
    assert {Path(one.program).name for one in trace.others} == {"echo", "cat", "sleep"}
    assert "brk" not in trace.own.calls
    assert trace.own.calls["execve"].count == 4
    assert any("CLONE_VFORK" in flags for flags in trace.own.calls["clone"].arguments) or (
        "clone3" in trace.own.calls
    )
    assert trace.own.calls["futex"].stack == ("runtime.futex",)


def test_why_leads_from_the_start_to_the_call(built: Build, tool: Run) -> None:
    server = str(built("server"))
    (use, *_) = json.loads(tool("seccomp", "why", "--json", server, "mmap").stdout)["uses"]
    assert use["path"][0].startswith("_rt0_")
    assert use["path"][-1] == "runtime.sysMmap"
    # Package net calls listen through a variable, so the path begins where its address lies.
    (use, *_) = json.loads(tool("seccomp", "why", "--json", server, "listen").stdout)["uses"]
    assert use["owner"] == "syscall.Listen"
    assert "pointer" in use["root"]
    absent = tool("seccomp", "why", str(built("hello")), "listen")
    assert absent.returncode == 1
    assert "does not make listen" in absent.stderr
    wrong = tool("seccomp", "why", str(built("hello")), "lissten")
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


def test_a_big_program_of_others_is_read(tool: Run) -> None:
    """The go command itself: some 15 MB, built by the Go project."""
    goroot = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True).stdout.strip()
    done = tool("seccomp", "list", "--json", f"{goroot}/bin/go")
    value = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {"execve", "socket", "flock", "openat", "clone"} <= set(value["reachable"])
