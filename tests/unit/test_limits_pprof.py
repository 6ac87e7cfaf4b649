"""What the Go runtime says through pprof, and servers that say something else or nothing."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gotoolforge.errors import PprofError, UsageError
from gotoolforge.limits.pprof import Pprof, page_base
from gotoolforge.limits.usage import read_usage
from gotoolforge.limits.watching import looks

# As Go 1.27 writes them, without the stacks in between.
PAGES = {
    "goroutine": "goroutine profile: total 5\n2 @ 0x47 0x48\n#\t0x46\tmain.main+0x0\n",
    "threadcreate": "threadcreate profile: total 9\n",
    "heap": (
        "heap profile: 3: 1024 [4: 5000] @ heap/1048576\n\n# runtime.MemStats\n"
        "# Alloc = 1300000\n# TotalAlloc = 1300000\n# Sys = 8735752\n# Lookups = 0\n"
        "# HeapAlloc = 1300000\n# HeapSys = 3833856\n# HeapIdle = 1\n# HeapReleased = 1540096\n"
        "# Stack = 360448 / 360448\n# NextGC = 4194304\n# NumGC = 2\n"
    ),
    "cmdline": "./app\0-x",
}


class Quiet(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def handle_error(self, *words: object) -> None:
        """Who asked has gone: that is what these tests are about."""


@contextmanager
def served(answer: Callable[[str, BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self.path.rsplit("/", 1)[1].partition("?")[0], self)

        def log_message(self, *words: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def send(handler: BaseHTTPRequestHandler, text: str, code: int = 200, length: int = -1) -> None:
    handler.send_response(code)
    handler.send_header("Content-Length", str(len(text) if length < 0 else length))
    if code == 302:
        handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()
    handler.wfile.write(text.encode())


def with_pages(**changed: str) -> Callable[[str, BaseHTTPRequestHandler], None]:
    return lambda page, handler: send(handler, (PAGES | changed)[page])


def test_the_sums_of_the_runtime_are_read() -> None:
    with served(with_pages()) as address:
        pprof = Pprof(address)
        said = pprof.read()
        assert pprof.command_line() == ("./app", "-x")
    assert (said.goroutines, said.threads, said.heap, said.stacks) == (5, 9, 1300000, 360448)
    assert (said.next_collection, said.collections, said.total) == (4194304, 2, 8735752)


def test_an_address_is_completed() -> None:
    assert page_base("127.0.0.1:6060") == "http://127.0.0.1:6060/debug/pprof/"
    assert page_base("https://app/") == "https://app/debug/pprof/"
    assert page_base("http://app/inner/pprof") == "http://app/inner/pprof/"
    assert page_base("http://[::1]:7/debug/pprof/") == "http://[::1]:7/debug/pprof/"
    for bad in ("", "http://", "ftp://x", "file:///etc/passwd", "x:70000", "http://[::1"):
        with pytest.raises(UsageError):
            page_base(bad)


def drip(page: str, handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def part_only(page: str, handler: BaseHTTPRequestHandler) -> None:
    send(handler, PAGES[page], length=100000)
    handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda page, handler: time.sleep(5), "stalled"),
        (drip, "stalled"),
        (lambda page, handler: send(handler, "<html>Welcome</html>"), "something else"),
        (lambda page, handler: send(handler, ""), "something else"),
        (lambda page, handler: send(handler, "no", 404), "HTTP 404"),
        (lambda page, handler: send(handler, "", 302), "HTTP 302"),
        (part_only, "broke off"),
        (with_pages(heap=PAGES["heap"][:200]), "cut off"),
        (with_pages(heap="goroutine profile: total 5\n"), "something else than a heap"),
        (with_pages(threadcreate="\x00\xff"), "something else than a threadcreate"),
    ],
)
def test_a_server_that_says_something_else_is_told(
    answer: Callable[[str, BaseHTTPRequestHandler], None], word: str
) -> None:
    with served(answer) as address:
        with pytest.raises(PprofError) as caught:
            Pprof(address, seconds=0.5 if word == "stalled" else 60).read()
        assert word in caught.value.what
        assert address in caught.value.what


def test_an_address_where_nobody_listens_and_one_that_speaks_no_http() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        with pytest.raises(PprofError, match="refused"):
            Pprof(f"127.0.0.1:{one.getsockname()[1]}").read()
    with socket.create_server(("127.0.0.1", 0)) as one:

        def greet() -> None:
            taken, _ = one.accept()
            taken.sendall(b"SSH-2.0-x\r\n")
            taken.close()

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(PprofError):
            Pprof(f"127.0.0.1:{one.getsockname()[1]}").read()


def test_an_answer_without_end_is_given_up() -> None:
    def flood(page: str, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        with suppress(OSError):
            for _ in range(100):
                handler.wfile.write(b"x" * (1 << 20))

    with served(flood) as address, pytest.raises(PprofError, match="more than"):
        Pprof(address, seconds=60).read()


def test_a_runtime_that_stops_answering_does_not_end_the_watch() -> None:
    asked = []

    def once(page: str, handler: BaseHTTPRequestHandler) -> None:
        asked.append(page)
        send(handler, PAGES[page], 200 if len(asked) <= 3 else 503)

    with served(once) as address:
        first, second = looks(os.getpid(), pprof=Pprof(address), every=0.01, count=2)
    names = [one.name for one in first.gauges]
    assert names[-3:] == ["goroutines", "Go heap", "Go stacks"]
    assert first.runtime
    assert first.unseen is None
    assert second.runtime is None
    assert "HTTP 503" in (second.unseen or "")
    assert {one.name for one in read_usage(os.getpid()).gauges} == {
        one.name for one in second.gauges
    }
