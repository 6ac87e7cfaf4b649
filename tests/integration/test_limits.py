"""A real Go server under a low NOFILE limit and a bounded load on loopback."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Run, gotoolforge

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("limited") / "limited"
    done = gotoolforge("build", "-o", str(out), ".", cwd=EXAMPLES / "limited")
    assert done.returncode == 0, done.stderr
    return out


def start(server: Path, nofile: int, *words: str) -> tuple[subprocess.Popen[str], int]:
    shell = f'ulimit -n {nofile}; exec "$0" "$@"'
    child = subprocess.Popen(["sh", "-c", shell, server, *words], stdout=-1, stderr=-3, text=True)
    assert child.stdout
    return child, int(child.stdout.readline().rsplit(":", 1)[1])


def ask(port: int, held: list[socket.socket], count: int) -> list[str]:
    """Opens `count` connections that stay, with a request on each; the status lines that came."""
    said = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port), timeout=2)
        held.append(one)
        one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            said.append(one.recv(4096).split(b"\r\n")[0].decode())
        except TimeoutError:
            said.append("waits")
            break
    return said


def watched(tool: Run, pid: int) -> tuple[int, dict[str, object]]:
    done = tool("limits", "watch", str(pid), "--count", "1")
    (line,) = done.stdout.splitlines()
    gauges = {one["name"]: one for one in json.loads(line)["outlook"]}
    return done.returncode, gauges["descriptors"]


def test_watch_sees_the_wall_before_requests_fail(tool: Run, server: Path) -> None:
    held: list[socket.socket] = []
    child, port = start(server, 60, "-unlimited")
    try:
        assert set(ask(port, held, 44)) == {"HTTP/1.1 200 OK"}
        code, gauge = watched(tool, child.pid)
        assert code == 1
        assert gauge["near"]
        said = ask(port, held, 20)
        assert said[-1] != "HTTP/1.1 200 OK", "the wall was not reached"
        assert child.poll() is None, "running out of descriptors is no panic"
    finally:
        for one in held:
            one.close()
        child.kill()
        child.communicate()


def test_with_the_advised_limit_the_same_load_passes(tool: Run, server: Path) -> None:
    done = tool("limits", "advise", str(server), "--connections", "64", "--json")
    assert done.returncode == 0, done.stderr
    nofile = json.loads(done.stdout)["nofile"]
    held: list[socket.socket] = []
    child, port = start(server, nofile)
    try:
        assert set(ask(port, held, 64)) == {"HTTP/1.1 200 OK"}
        code, gauge = watched(tool, child.pid)
        assert code == 0, gauge
    finally:
        for one in held:
            one.close()
        child.kill()
        child.communicate()
