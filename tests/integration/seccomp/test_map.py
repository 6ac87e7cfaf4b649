"""Which standard packages bring which calls, by building and reading a program for each."""

import json

import pytest

from ..conftest import Run

pytestmark = pytest.mark.go


def test_packages_bring_what_they_are_known_for(tool: Run) -> None:
    done = tool("seccomp", "map", "--json", "time", "net", "os/exec", "strings")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    brings = {name: set(one["calls"]) for name, one in made["packages"].items()}
    assert {"socket", "connect", "bind", "listen", "accept4"} <= brings["net"]
    assert {"execve", "pipe2", "wait4"} <= brings["os/exec"]
    assert not brings["time"] & {"socket", "execve"}
    assert brings["strings"] == set()
    assert "mmap" in made["always"]
    assert not any(brings[name] & set(made["always"]) for name in brings)
    assert any("os" in one or "syscall" in one for one in
               made["packages"]["os/exec"]["calls"]["execve"])  # fmt: skip


def test_a_graph_and_a_wrong_name(tool: Run) -> None:
    done = tool("seccomp", "map", "--mermaid", "os/signal")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("flowchart LR\n")
    text = tool("seccomp", "map", "os/signal")
    assert "os/signal" in text.stdout
    assert "rt_sigaction" in text.stderr  # every program can
    graph = tool("seccomp", "map", "--dot", "os/signal")
    assert graph.stdout.startswith("digraph")
    wrong = tool("seccomp", "map", "nett")
    assert wrong.returncode == 2
    assert "no package 'nett'" in wrong.stderr
    assert wrong.stdout == ""
