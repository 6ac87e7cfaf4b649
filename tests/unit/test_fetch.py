"""The download door against a real local server: wrong digest, web page, broken off, resumed."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from gotoolforge import fetch
from gotoolforge.console import Console
from gotoolforge.errors import FetchError
from gotoolforge.recipe import Form, Source

CONTENT = bytes(range(256)) * 4000


class Server(BaseHTTPRequestHandler):
    """/good serves the file with ranges, /cut ends midway the first time, /wrong and /page lie."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append((self.path, wanted))
        if self.path == "/gone":
            self.send_error(404)
            return
        lies = {"/wrong": b"x" * 100, "/page": b"<!DOCTYPE html><title>Log in</title>"}
        body = lies.get(self.path, CONTENT)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - begin))
        self.end_headers()
        first = len([one for one in self.asked if one[0] == self.path]) == 1
        end = len(body) // 2 if self.path == "/cut" and first else len(body)
        self.wfile.write(body[begin:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(tmp_path / "store"))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(fetch, "_dead", {})
    Server.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def source(*urls: str) -> Source:
    digest = hashlib.sha256(CONTENT).hexdigest()
    form = Form(file="x.bin", sha256=digest, urls=urls)
    return Source(name="x", version="1", licence="MIT", forms=(form,))


def leftovers(path: Path) -> list[str]:
    return [one.name for one in path.iterdir()]


def test_a_good_file_is_kept_under_its_digest(base: str) -> None:
    wanted = source(f"{base}/good")
    path = fetch.ensure_source(wanted, Console(quiet=True)).path
    assert path.read_bytes() == CONTENT
    assert fetch.ensure_source(wanted, Console(quiet=True), offline=True).path == path
    assert len(Server.asked) == 1


def test_a_wrong_digest_is_refused_and_the_next_place_tried(base: str) -> None:
    path = fetch.ensure_source(source(f"{base}/wrong", f"{base}/good"), Console(quiet=True)).path
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == [path.name]


def test_a_broken_off_download_is_resumed(base: str) -> None:
    path = fetch.ensure_source(source(f"{base}/cut"), Console(quiet=True)).path
    assert path.read_bytes() == CONTENT
    begun = Server.asked[1][1] or ""
    assert 0 < int(begun.removeprefix("bytes=").rstrip("-")) <= len(CONTENT) // 2


def test_when_all_fail_every_place_and_reason_is_listed(base: str, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:1/x"
    with pytest.raises(FetchError) as caught:
        fetch.ensure_source(
            source(f"{base}/gone", f"{base}/page", f"{base}/wrong", dead), Console(quiet=True)
        )
    said = caught.value.what
    for words in ("HTTP 404", "web page", "another sha256", "connection was refused"):
        assert words in said
    assert str(tmp_path / "store" / "downloads") in caught.value.hint
    assert len([one for one in Server.asked if one[0] == "/gone"]) == 1
    assert not leftovers(tmp_path / "store" / "downloads")


def test_offline_says_what_is_missing(base: str) -> None:
    with pytest.raises(FetchError, match=r"x\.bin is not in the store"):
        fetch.ensure_source(source(f"{base}/good"), Console(quiet=True), offline=True)
    assert not Server.asked
