"""Real programs run under the profiles made for them, on the host and in real containers."""

import json
from pathlib import Path
from typing import Any

import pytest

from gotoolforge.seccomp import libseccomp
from gotoolforge.seccomp.defaults import defaults
from gotoolforge.seccomp.profile import resolve

from ..conftest import Run
from .conftest import Build, command, has
from .container import run_container

pytestmark = [pytest.mark.seccomp, pytest.mark.go]
EPERM, ENODEV, ENOSYS = 1, 19, 38


def profile_of(tool: Run, program: Path, out: Path, *words: str) -> dict[str, Any]:
    done = tool("seccomp", "profile", str(program), "-o", str(out), *words)
    assert done.returncode == 0, done.stderr
    value: dict[str, Any] = json.loads(out.read_text())
    return value


def allowed(profile: dict[str, Any]) -> set[str]:
    rules = [one for one in profile["syscalls"] if one["action"] == "SCMP_ACT_ALLOW"]
    return {name for one in rules for name in one["names"]}


@pytest.mark.parametrize("name", ["hello", "server", "sqlite", "hey", "age-keygen"])
def test_a_program_runs_under_its_profile_with_nothing_refused(
    name: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    program = built(name)
    profile = profile_of(tool, program, tmp_path / "p.json", "--runtime", "none")
    done = tool("seccomp", "run", "--json", "--profile", str(tmp_path / "p.json"), "--",
                *command(name, program, tmp_path))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout[done.stdout.rindex('{\n  "version"') :])["refused"] == []
    docker = next(one for one in defaults() if one.name == "docker-28.3.3")
    theirs = {n for rule in resolve(docker.profile, "amd64").syscalls for n in rule.names}
    assert len(allowed(profile)) < len(theirs) / 3


def test_children_need_a_trace_and_run_with_one(built: Build, tool: Run, tmp_path: Path) -> None:
    program, trace, out = built("children"), tmp_path / "t.json", tmp_path / "p.json"
    done = tool("seccomp", "trace", "--with", "notify", "-o", str(trace), "--", str(program))
    assert done.returncode == 0, done.stderr
    profile_of(tool, program, out, "--trace", str(trace))
    reasons = json.loads((tmp_path / "p.json.reasons.json").read_text())["reasons"]
    assert reasons["brk"]["source"] == "child"
    assert reasons["epoll_pwait"]["path"][0].startswith("_rt0")
    done = tool("seccomp", "run", "--profile", str(out), "--", str(program))
    assert done.returncode == 0, done.stderr
    assert "nothing was refused" in done.stderr


def test_what_only_a_trace_shows_is_reported_and_how_to_apply_is_told(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    trace, out = tmp_path / "t.json", tmp_path / "p.json"
    program = str(built("hello"))
    done = tool("seccomp", "trace", "--with", "notify", "-o", str(trace), "--", program)
    assert done.returncode == 0, done.stderr
    value = json.loads(trace.read_text())
    # As a defect of the listing would look; no libseccomp of today knows the second.
    for name in ("landlock_create_ruleset", "rseq_slice_yield"):
        value["own"]["calls"][name] = {"name": name, "count": 1}
    trace.write_text(json.dumps(value))
    done = tool("seccomp", "profile", program, "--trace", str(trace), "-o", str(out))
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "landlock_create_ruleset was traced and not found by reading" in said
    assert "never traced, and reachable: " in said
    assert "landlock_create_ruleset" in allowed(json.loads(out.read_text()))
    if libseccomp.version():
        assert "does not know rseq_slice_yield" in said
    for words in (
        "docker run --security-opt seccomp=",
        "podman run --security-opt seccomp=",
        "ctr run --seccomp --seccomp-profile",
        "localhostProfile: p.json",
    ):
        assert words in said
    reasons = json.loads((tmp_path / "p.json.reasons.json").read_text())["reasons"]
    assert set(reasons) == allowed(json.loads(out.read_text()))


def test_what_a_profile_refuses_is_reported_with_its_stack(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    profile_of(tool, built("hello"), tmp_path / "p.json", "--runtime", "none")
    words = ["seccomp", "run", "--json", "--profile", str(tmp_path / "p.json"), "--"]
    done = tool(*words, str(built("forbidden")), "unshare", "mount")
    value = json.loads(done.stdout[done.stdout.index('{\n  "version"') :])
    refused = {one["name"]: one for one in value["refused"]}
    assert done.returncode == 1
    assert {"unshare", "mount"} <= set(refused)
    assert refused["mount"]["errno"] == EPERM
    assert "main.main" in refused["mount"]["stack"]
    assert f"mount {EPERM}" in done.stdout


def test_a_program_that_the_filter_kills_is_told_as_killed(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    kill = {"defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps(kill))
    done = tool("seccomp", "run", "--profile", str(tmp_path / "p.json"), "--", str(built("hello")))
    assert done.returncode == 128 + 31
    assert "refused arch_prctl" in done.stderr


@pytest.mark.parametrize("runtime", ["crun", "runc"])
def test_a_container_works_and_is_closed(
    runtime: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    has(runtime)
    server = profile_of(tool, built("server"), tmp_path / "s.json", "--runtime", runtime)
    done = run_container(runtime, tmp_path / f"s-{runtime}", built("server"), server)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("served ")
    engines = run_container(
        runtime, tmp_path / f"e-{runtime}", built("server"), server, as_engine=True
    )
    assert engines.stdout.startswith("served "), engines.stderr
    # `hello`'s profile on a program that tries what its own would allow.
    hello = profile_of(tool, built("hello"), tmp_path / "h.json", "--runtime", runtime)
    words = ("unshare", "mount", "ptrace", "clone", "clone3")
    every = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE")
    before = run_container(
        runtime, tmp_path / f"b-{runtime}", built("forbidden"), None, *words, capabilities=every
    )
    after = run_container(
        runtime, tmp_path / f"a-{runtime}", built("forbidden"), hello, *words, capabilities=every
    )
    assert results(before.stdout)["mount"] == ENODEV  # let through to the kernel's own answer
    assert results(before.stdout)["unshare"] == 0
    assert results(after.stdout) == {
        "unshare": EPERM, "mount": EPERM, "ptrace": EPERM, "clone": EPERM, "clone3": ENOSYS,
    }  # fmt: skip


def results(text: str) -> dict[str, int]:
    return {name: int(code) for name, code in (line.split() for line in text.splitlines())}


def test_check_names_what_an_engine_would_stop(built: Build, tool: Run) -> None:
    done = tool("seccomp", "check", "--json", "--profile", "docker-28.3.3", str(built("forbidden")))
    (found,) = json.loads(done.stdout)["profiles"].values()
    stops = {one["name"]: one for one in found}
    assert done.returncode == 1
    assert stops["mount"]["effect"] == "EPERM"
    assert "syscall.Mount" in stops["mount"]["path"]
    assert stops["io_uring_setup"]["allowed"] == "no"
    fine = tool("seccomp", "check", "--profile", "docker", str(built("server")))
    assert fine.returncode == 0, fine.stderr
