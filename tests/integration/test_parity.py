"""Parity against real things: sshd, namespaces, limits that a child reads back."""

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gotoolforge import errors

from .conftest import Run

pytestmark = pytest.mark.parity


def entries(text: str) -> dict[str, dict[str, str]]:
    return json.loads(text)["entries"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real sshd on loopback; the words that reach it with a key."""
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name])
    (folder / "keys").write_text((folder / "user.pub").read_text())
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {folder}/keys\nStrictModes no\nPasswordAuthentication no\n"
        "UsePAM no\nPermitRootLogin yes\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert sshd, "no sshd (Debian: apt-get install openssh-server)"
    server = subprocess.Popen([sshd, "-D", "-e", "-f", folder / "config"], stderr=-3)
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield (
        f"ssh -F /dev/null -p {port} -i {folder}/user -o IdentitiesOnly=yes "
        f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known"
    )
    server.terminate()
    server.wait()


def test_a_capture_by_ssh_is_that_of_the_machine(tool: Run, ssh: str, tmp_path: Path) -> None:
    there, here = tmp_path / "there.json", tmp_path / "here.json"
    done = tool("parity", "capture", "--ssh", "127.0.0.1", "--ssh-command", ssh, "-o", str(there))
    assert done.returncode == 0, done.stderr
    found = entries(there.read_text())
    assert found["syscall.openat2"]["value"]
    assert found["clock.vdso"]["value"] in {"yes", "no"}
    assert tool("parity", "capture", "-o", str(here)).returncode == 0
    assert entries(here.read_text())["kernel.release"] == found["kernel.release"]


def test_an_ssh_that_wants_a_password_is_told(tool: Run, ssh: str) -> None:
    without_key = ssh.replace("/user ", "/nosuch ")
    done = tool("parity", "capture", "--ssh", "127.0.0.1", "--ssh-command", without_key)
    assert done.returncode == errors.CaptureError.exit_code, done.stderr
    assert "agent" in done.stderr
    assert done.stdout == ""


def test_an_ssh_that_fails_and_a_banner(tool: Run, tmp_path: Path) -> None:
    done = tool("parity", "capture", "--ssh", "x", "--ssh-command", "false")
    assert done.returncode == errors.CaptureError.exit_code
    banner = tmp_path / "ssh"
    banner.write_text('#!/bin/sh\necho "Welcome {to} web1"\nfor last; do :; done\neval "$last"\n')
    banner.chmod(0o755)
    done = tool("parity", "capture", "--ssh", "x", "--ssh-command", str(banner))
    assert done.returncode == 0, done.stderr
    assert entries(done.stdout)["syscall.statx"]["value"] == "works"


def test_two_captures_agree_and_a_changed_one_does_not(tool: Run, tmp_path: Path) -> None:
    one = tmp_path / "one.json"
    assert tool("parity", "capture", "-o", str(one)).returncode == 0
    done = tool("parity", "compare", str(one))
    assert done.returncode == 0, done.stderr
    document = json.loads(one.read_text())
    document["entries"]["clock.source"] = {"value": "hpet"}
    one.write_text(json.dumps(document))
    done = tool("parity", "compare", str(one), "--json")
    assert done.returncode == 1
    counted = [o["check"] for o in json.loads(done.stdout)["findings"] if o["severity"] != "note"]
    assert counted == ["clock.source"]


def test_namespaces_are_captured_through_a_pipe(tool: Run) -> None:
    script = tool("parity", "script").stdout
    words = ["unshare", "--mount", "--pid", "--net", "--fork", "--mount-proc"]
    raised = "echo 7 > /proc/sys/net/core/somaxconn; ulimit -n 77; exec sh"
    done = subprocess.run([*words, "sh", "-c", raised], input=script.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr
    found = entries(done.stdout.decode())
    assert found["sysctl.net.core.somaxconn"]["value"] == "7"
    assert found["rlimit.nofile.hard"]["value"] == "77"
    assert found["syscall.clone3"]["value"] == "works"


def test_run_applies_what_the_child_reads_back(tool: Run, tmp_path: Path) -> None:
    one = tmp_path / "one.json"
    assert tool("parity", "capture", "--no-probe", "-o", str(one)).returncode == 0
    document = json.loads(one.read_text())
    for side, value in (("soft", "200"), ("hard", "300")):
        document["entries"][f"rlimit.nofile.{side}"] = {"value": value}
    document["entries"]["env.GOMAXPROCS"] = {"value": "3"}
    # What docker leaves to a container.
    document["entries"]["security.cap_bounding"] = {"value": "00000000a80425fb"}
    one.write_text(json.dumps(document))
    own = re.findall(r"CapBnd:\s*(\w+)", Path("/proc/self/status").read_text())[0]
    shell = "ulimit -Sn; ulimit -Hn; echo $GOMAXPROCS; grep CapBnd /proc/self/status; exit 5"
    done = tool("parity", "run", "--like", str(one), "--", "sh", "-c", shell)
    *limits, bounding = done.stdout.split()
    assert limits == ["200", "300", "3", "CapBnd:"], done.stderr
    assert int(bounding, 16) == int(own, 16) & 0xA80425FB
    assert done.returncode == 5


def test_a_process_that_is_not_there(tool: Run) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    for words in (
        ("limits", "show", str(child.pid)),
        ("parity", "capture", "--pid", str(child.pid)),
    ):
        done = tool(*words)
        assert done.returncode == errors.ProcessError.exit_code, done.stderr
        assert "Traceback" not in done.stderr


def test_no_permission_to_raise_a_limit_is_told(tool: Run, tmp_path: Path) -> None:
    one = tmp_path / "one.json"
    assert tool("parity", "capture", "--no-probe", "-o", str(one)).returncode == 0
    limited = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "sh", "-c"]
    words = f"ulimit -n 100; exec {sys.executable} -m gotoolforge parity run"
    for strict, code in (("", 0), ("--strict", errors.ApplyError.exit_code)):
        line = f"{words} {strict} --like {one} -- sh -c 'ulimit -Hn'"
        done = subprocess.run([*limited, line], capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert "not applied: nofile" in done.stderr
        assert done.stdout.strip() == ("" if strict else "100")


def test_the_script_carries_a_static_probe_of_the_architecture_asked_for(tool: Run) -> None:
    machine = os.uname().machine
    done = tool("parity", "script", "--arch", machine)
    assert done.returncode == 0, done.stderr
    text = done.stdout.partition(f"probe_{machine}='")[2].partition("'")[0]
    program = base64.b64decode(text, validate=True)
    assert program[:4] == b"\x7fELF"
    assert program[18:20] == Path(sys.executable).resolve().read_bytes()[18:20], "e_machine"
    assert b"ld-musl" not in program, "static: no interpreter"
    bad = tool("parity", "script", "--arch", "vax")
    assert bad.returncode == errors.UsageError.exit_code
    assert "vax" in bad.stderr
