"""A real Go server under a low NOFILE limit and a bounded load on loopback."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gotoolforge import errors
from gotoolforge.limits import unit

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


@contextmanager
def serving(server: Path, nofile: int, *words: str) -> Iterator[tuple[int, int]]:
    """A running server: its process number and its port."""
    child, port = start(server, nofile, *words)
    try:
        yield child.pid, port
    finally:
        child.kill()
        child.communicate()


def ask(port: int, held: list[socket.socket], count: int, patience: float = 60) -> list[str]:
    """Opens `count` connections that stay, with a request on each; the status lines that came."""
    said = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port), timeout=patience)
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
    with serving(server, 60, "-unlimited") as (pid, port):
        assert set(ask(port, held, 44)) == {"HTTP/1.1 200 OK"}
        code, gauge = watched(tool, pid)
        assert code == 1
        assert gauge["near"]
        said = ask(port, held, 20, patience=3)
        assert said[-1] != "HTTP/1.1 200 OK", "the wall was not reached"
        assert Path(f"/proc/{pid}/exe").readlink(), "running out of descriptors is no panic"
        for one in held[:40]:
            one.close()
        again: list[socket.socket] = []
        assert ask(port, again, 1) == ["HTTP/1.1 200 OK"], "accept is tried again"
    for one in (*held, *again):
        one.close()


def test_a_server_that_limits_its_listener_lets_the_rest_wait(server: Path) -> None:
    """Of 60 descriptors it keeps 32 for itself."""
    held: list[socket.socket] = []
    with serving(server, 60) as (_pid, port):
        said = ask(port, held, 60, patience=3)
        assert said == ["HTTP/1.1 200 OK"] * 28 + ["waits"]
        held[0].close()
        held[-1].settimeout(60)
        assert held[-1].recv(4096).startswith(b"HTTP/1.1 200 OK")
    for one in held:
        one.close()


def test_with_the_advised_limit_the_same_load_passes(tool: Run, server: Path) -> None:
    done = tool("limits", "advise", str(server), "--connections", "64", "--json")
    assert done.returncode == 0, done.stderr
    nofile = json.loads(done.stdout)["nofile"]
    held: list[socket.socket] = []
    # The same server and load as at the wall: only the limit is another.
    with serving(server, nofile, "-unlimited") as (pid, port):
        assert set(ask(port, held, 64)) == {"HTTP/1.1 200 OK"}
        code, gauge = watched(tool, pid)
        assert code == 0, gauge
    for one in held:
        one.close()


def test_the_go_runtime_tells_its_goroutines_heap_and_stacks(tool: Run, server: Path) -> None:
    held: list[socket.socket] = []
    with serving(server, 200) as (pid, port):
        words = ("limits", "show", str(pid), "--pprof", f"127.0.0.1:{port}", "--json")
        before = json.loads(tool(*words).stdout)
        ask(port, held, 50)
        done = tool(*words)
        assert done.returncode in {0, 1}, done.stderr
        after = json.loads(done.stdout)
        # Each connection has a goroutine of its own that waits for the next request.
        assert after["runtime"]["goroutines"] >= before["runtime"]["goroutines"] + 50
        assert after["runtime"]["stacks"] > 0
        assert 0 < after["runtime"]["heap"] <= after["runtime"]["total"]
        assert "another program" not in done.stderr
        other = tool("limits", "show", str(os.getpid()), "--pprof", f"127.0.0.1:{port}")
        assert "another program" in other.stderr
    for one in held:
        one.close()
    gone = tool("limits", "show", str(os.getpid()), "--pprof", f"127.0.0.1:{port}")
    assert gone.returncode == errors.PprofError.exit_code
    assert "refused" in gone.stderr
    assert "Traceback" not in gone.stderr


def test_the_runtime_is_still_heard_at_the_wall_and_the_watch_is_drawn(
    tool: Run, server: Path, tmp_path: Path
) -> None:
    held: list[socket.socket] = []
    record = tmp_path / "watch.jsonl"
    with serving(server, 60, "-unlimited") as (pid, port):
        words = ["limits", "watch", str(pid), "--pprof", f"127.0.0.1:{port}", "--every", "0.2"]
        argv = [sys.executable, "-m", "gotoolforge", *words, "--record", str(record)]
        watch = subprocess.Popen(argv, stdout=-1, stderr=-1, text=True)
        assert watch.stdout
        first = json.loads(watch.stdout.readline())
        ask(port, held, 64, patience=3)
        looks = [json.loads(watch.stdout.readline()) for _ in range(4)]
    for one in held:
        one.close()
    _out, err = watch.communicate(timeout=60)
    assert watch.returncode == 1, err
    assert "warning: descriptors" in err
    assert "has ended" in err
    # New connections fail by now; the one that the watch holds does not.
    assert looks[-1]["runtime"]["goroutines"] > first["runtime"]["goroutines"]
    used = [one["gauges"][0]["used"] for one in looks]
    assert used[-1] > first["gauges"][0]["used"]
    page = tmp_path / "watch.html"
    done = tool("limits", "plot", str(record), "-o", str(page))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(page)
    assert page.read_text().count("<polyline") >= 8
    bad = tool("limits", "plot", str(page), "-o", str(tmp_path / "no.html"))
    assert bad.returncode == errors.UnreadableError.exit_code
    assert not (tmp_path / "no.html").exists()


def test_a_terminal_gets_one_table_that_is_drawn_anew(server: Path) -> None:
    said = b""
    with serving(server, 200) as (pid, _port):
        argv = [sys.executable, "-m", "gotoolforge", "limits", "watch", str(pid)]
        leader, terminal = pty.openpty()
        words = ["--count", "3", "--every", "0.1"]
        env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
        watch = subprocess.Popen([*argv, *words], stdout=terminal, stderr=terminal, env=env)
        os.close(terminal)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            said += piece
        os.close(leader)
        assert watch.wait(60) in {0, 1}
    text = said.decode()
    assert text.count("descriptors") >= 3
    assert len(re.findall(r"\x1b\[1A", text)) >= 10, "the cursor goes up to draw again"
    assert "{" not in text


def test_ctrl_c_ends_a_watch_in_order(server: Path) -> None:
    with serving(server, 200) as (pid, _port):
        argv = [sys.executable, "-m", "gotoolforge", "limits", "watch", str(pid), "--every", "0.1"]
        watch = subprocess.Popen(argv, stdout=-1, stderr=-1, text=True)
        assert watch.stdout
        assert json.loads(watch.stdout.readline())["pid"] == pid
        watch.send_signal(2)
        out, err = watch.communicate(timeout=60)
    assert watch.returncode in {0, 1}, err
    assert "Traceback" not in err
    assert all(json.loads(line)["version"] == 1 for line in out.splitlines())


def test_a_drop_in_is_one_that_systemd_takes(tool: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "app.service", tmp_path / "nofile.conf"
    path.write_text("[Service]\nExecStart=/bin/true\nLimitNOFILE=2048\n")
    words = ("limits", "systemd", str(path))
    done = tool(*words, "--connections", "10000", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "LimitNOFILE=2048" in done.stderr
    assert "systemd-analyze" not in done.stderr
    assert "\nLimitNOFILE=10064\n" in out.read_text()
    assert "\nTasksMax=" in out.read_text()
    as_json = json.loads(tool(*words, "--connections", "10000", "--json").stdout)
    assert as_json["limits"]["LimitNOFILE"] == {"value": "2048", "source": str(path)}
    assert (as_json["version"], as_json["drop_in"]) == (1, out.read_text())
    (tmp_path / "app.service.d").mkdir()
    out.rename(tmp_path / "app.service.d" / "nofile.conf")
    assert "LimitNOFILE=10064" in tool(*words).stderr
    assert unit.check_unit(path) == "", (
        "systemd-analyze finds fault with the drop-in, or is missing"
    )
    assert unit.check_drop_in("[Service]\nLimitNOFILE=many\nTaskMax=3\n")
    path.write_text("[Service]\nExecStart=/bin/true\nLimitNOFILEE=2048\n")
    assert "LimitNOFILEE" in tool(*words).stderr
