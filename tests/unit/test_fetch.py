"""Sources from a real local server and from bundles: what is wrong is said, what is cut resumes."""

import hashlib
import io
import shutil
import ssl
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
import trustme

from gotoolforge import bundle, fetch, sources, web
from gotoolforge.console import Console
from gotoolforge.errors import FetchError, StoreError
from gotoolforge.fetch import Fetched
from gotoolforge.recipe import Form, Source

CONTENT = bytes(range(256)) * 4000
QUIET = Console(quiet=True)


class Server(BaseHTTPRequestHandler):
    """/good serves the file with ranges; the other names say how they fail, the first time."""

    asked: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        path = self.path.removeprefix("http://upstream.invalid")
        self.asked.append((self.path, wanted))
        first = len([one for one in self.asked if one[0] == self.path]) == 1
        if path in {"/gone", "/busy"} and (path == "/gone" or first):
            self.send_error(404 if path == "/gone" else 503)
            return
        lies = {"/wrong": b"x" * 100, "/page": b"\n<!DOCTYPE html><title>Log in</title>"}
        body = lies.get(path, CONTENT)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if begin >= len(body):
            self.send_error(416)
            return
        if path == "/norange":
            wanted, begin = None, 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - begin))
        if path == "/gzip":
            # Some servers call every .tar.gz encoded, and a client then unpacks it on the way.
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        end = len(body) // 2 if path in {"/cut", "/stall"} and first else len(body)
        self.wfile.write(body[begin:end])
        if path == "/stall" and first:
            time.sleep(0.7)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(tmp_path / "store"))
    monkeypatch.setattr(web.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(web, "_dead", {})
    Server.asked.clear()
    with serving() as address:
        yield address


@contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
            server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def source(*urls: str, size: int = 0, file: str = "x.bin") -> Source:
    digest = hashlib.sha256(CONTENT).hexdigest()
    form = Form(file=file, sha256=digest, urls=urls, size=size)
    return Source(name="x", version="1", licence="MIT", forms=(form,))


def begun(range_header: str | None) -> int:
    return int((range_header or "bytes=0-").removeprefix("bytes=").rstrip("-"))


def leftovers(path: Path) -> list[str]:
    return [one.name for one in path.iterdir()]


def test_a_good_file_is_kept_under_its_digest(base: str) -> None:
    wanted = source(f"{base}/good")
    path = fetch.ensure_source(wanted, QUIET).path
    assert path.read_bytes() == CONTENT
    assert fetch.ensure_source(wanted, QUIET, offline=True).path == path
    assert len(Server.asked) == 1


def test_a_wrong_digest_is_refused_and_the_next_place_tried(base: str) -> None:
    path = fetch.ensure_source(source(f"{base}/wrong", f"{base}/good"), QUIET).path
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == [path.name]


def test_a_damaged_file_in_the_store_is_replaced(base: str) -> None:
    wanted = source(f"{base}/good")
    path = fetch.ensure_source(wanted, QUIET).path
    path.write_bytes(CONTENT[:-1])
    assert fetch.ensure_source(wanted, QUIET).path.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["cut", "stall"])
def test_what_came_before_a_break_is_not_asked_for_again(
    base: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(web, "_TIMEOUT", (5.0, 0.3))
    path = fetch.ensure_source(source(f"{base}/{how}"), QUIET).path
    assert path.read_bytes() == CONTENT
    assert 0 < begun(Server.asked[1][1]) <= len(CONTENT) // 2
    assert len(Server.asked) == 2


def test_a_busy_server_is_asked_again(base: str) -> None:
    assert fetch.ensure_source(source(f"{base}/busy"), QUIET).path.read_bytes() == CONTENT
    assert len(Server.asked) == 2


def test_a_server_without_ranges_starts_over(base: str) -> None:
    wanted = source(f"{base}/norange")
    path = fetch.kept_path(wanted.forms[0])
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").write_bytes(CONTENT[:1000])
    assert fetch.ensure_source(wanted, QUIET).path.read_bytes() == CONTENT
    assert begun(Server.asked[0][1]) == 1000


@pytest.mark.parametrize("part", [b"of another file", CONTENT + b"more", CONTENT])
def test_whatever_an_earlier_run_left_the_file_comes_right(base: str, part: bytes) -> None:
    wanted = source(f"{base}/good")
    path = fetch.kept_path(wanted.forms[0])
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").write_bytes(part)
    assert fetch.ensure_source(wanted, QUIET).path.read_bytes() == CONTENT
    assert leftovers(path.parent) == [path.name]
    assert len(Server.asked) == (0 if part == CONTENT else 2)


def test_a_tarball_is_kept_as_it_lies_on_the_server(base: str) -> None:
    path = fetch.ensure_source(source(f"{base}/gzip", file="x.tar.gz"), QUIET).path
    assert path.read_bytes() == CONTENT


def test_a_file_of_another_size_is_not_downloaded(base: str) -> None:
    with pytest.raises(FetchError, match="100 bytes, not 1024000"):
        fetch.ensure_source(source(f"{base}/wrong", size=len(CONTENT)), QUIET)


def test_when_all_fail_every_place_and_reason_is_listed(base: str, tmp_path: Path) -> None:
    dead = "http://127.0.0.1:1/x"
    unknown = "http://nosuch.invalid/x"
    urls = (f"{base}/gone", f"{base}/page", f"{base}/wrong", dead, unknown)
    with pytest.raises(FetchError) as caught:
        fetch.ensure_source(source(*urls), QUIET)
    said = caught.value.what
    reasons = ("HTTP 404", "web page", "another sha256", "connection was refused", "not resolve")
    for url, words in zip(urls, reasons, strict=True):
        assert any(url in line and words in line for line in said.splitlines()), words
    assert str(tmp_path / "store" / "downloads") in caught.value.hint
    assert len([one for one in Server.asked if one[0] == "/gone"]) == 1
    assert not leftovers(tmp_path / "store" / "downloads")


def test_a_dead_host_is_remembered_for_the_run(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    looked_up = []
    real = socket.getaddrinfo

    def counting(host: str, *rest: object) -> object:
        looked_up.append(host)
        return real(host, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    several = [source(f"http://nosuch.invalid/{i}", file=f"{i}.bin") for i in range(5)]
    with pytest.raises(FetchError) as caught:
        fetch.fetch_all(several, QUIET)
    assert caught.value.what.count("does not resolve") == 5
    assert looked_up.count("nosuch.invalid") == 1


def test_offline_names_everything_that_is_missing_at_once(base: str) -> None:
    several = [source(f"{base}/good", file=f"{i}.bin") for i in range(3)]
    with pytest.raises(FetchError) as caught:
        fetch.fetch_all(several, QUIET, offline=True)
    assert all(f"{i}.bin is not in the store" in caught.value.what for i in range(3))
    assert not Server.asked


def test_a_proxy_is_used(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", base)
    wanted = source("http://upstream.invalid/good")
    assert fetch.ensure_source(wanted, QUIET).path.read_bytes() == CONTENT
    assert Server.asked == [("http://upstream.invalid/good", None)]


def test_a_proxy_that_is_not_there_is_said(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(FetchError, match="proxy"):
        fetch.ensure_source(source("http://upstream.invalid/good"), QUIET)


def test_only_a_trusted_authority_is_believed(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as address:
        wanted = source(f"{address}/good")
        with pytest.raises(FetchError, match="certificate is not trusted"):
            fetch.ensure_source(wanted, QUIET)
        web._dead.clear()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        assert fetch.ensure_source(wanted, QUIET).path.read_bytes() == CONTENT


def test_a_store_that_is_full_is_not_blamed_on_the_place(base: str) -> None:
    wanted = source(f"{base}/good", f"{base}/good2")
    path = fetch.kept_path(wanted.forms[0])
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").symlink_to("/dev/full")
    with pytest.raises(StoreError, match="No space left"):
        fetch.ensure_source(wanted, QUIET)
    assert len(Server.asked) == 1


def made_bundle(tmp_path: Path, content: bytes = CONTENT, name: str = "out.bundle") -> Path:
    file = tmp_path / "x.bin"
    file.write_bytes(content)
    out = tmp_path / name
    bundle.write_bundle([(source().forms[0], file)], out)
    return out


def test_a_bundle_gives_what_it_was_made_of(base: str, tmp_path: Path) -> None:
    out = made_bundle(tmp_path)
    assert out.read_bytes() == made_bundle(tmp_path, name="again").read_bytes()
    assert sorted(leftovers(tmp_path)) == ["again", "out.bundle", "x.bin"]
    path = fetch.ensure_source(source(f"{base}/good"), QUIET, offline=True, given=(out,)).path
    assert path.read_bytes() == CONTENT
    assert leftovers(path.parent) == [path.name]
    assert not Server.asked


@pytest.mark.parametrize("name", ["x.bin", "kept"])
def test_a_folder_gives_files_by_name_and_digest(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wanted = source()
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.setenv("GOTOOLFORGE_SOURCES", f"/nowhere:{folder}")
    file = folder / (bundle.kept_name(wanted.forms[0]) if name == "kept" else name)
    file.write_bytes(b"something else")
    with pytest.raises(FetchError) as caught:
        fetch.ensure_source(wanted, QUIET, offline=True)
    assert f"{file.name} has another sha256" in caught.value.what
    assert "/nowhere" in caught.value.what
    file.write_bytes(CONTENT)
    assert fetch.ensure_source(wanted, QUIET, offline=True).path.read_bytes() == CONTENT


def test_a_bundle_is_not_trusted(base: str, tmp_path: Path) -> None:
    lying = made_bundle(tmp_path, b"y" * 1000, name="lying")
    cut = tmp_path / "cut"
    cut.write_bytes(made_bundle(tmp_path).read_bytes()[:5000])
    text = tmp_path / "text"
    text.write_text("not a bundle")
    devices = tmp_path / "link"
    with tarfile.open(devices, "w") as made:
        member = tarfile.TarInfo(bundle.kept_name(source().forms[0]))
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        made.addfile(member, io.BytesIO())
    with pytest.raises(FetchError) as caught:
        fetch.ensure_source(source(), QUIET, offline=True, given=(lying, cut, text, devices))
    said = caught.value.what.splitlines()
    for place, words in ((lying, "another sha256"), (cut, "not a"), (text, "not a bundle")):
        assert any(str(place) in line and words in line for line in said), said
    assert any(str(devices) in line and "not a file" in line for line in said), said
    assert not leftovers(tmp_path / "store" / "downloads")


def test_a_tree_has_one_name_whichever_form_it_was_unpacked_from(tmp_path: Path) -> None:
    # The name ends up in what is compiled (`__FILE__`, `gcc -v`).
    forms = []
    for suffix, mode in (("gz", "w:gz"), ("xz", "w:xz")):
        path = tmp_path / f"x-1.tar.{suffix}"
        with tarfile.open(path, mode) as made:
            member = tarfile.TarInfo("x-1/file")
            member.size = 2
            made.addfile(member, io.BytesIO(b"ab"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        forms.append(Form(file=path.name, sha256=digest, urls=("http://h.invalid/x",)))
    source = Source(name="x", version="1", licence="MIT", forms=tuple(forms))
    trees = []
    for form in forms:
        fetched = Fetched(source=source, form=form, path=tmp_path / form.file)
        trees.append(sources.ensure_tree(fetched, QUIET))
        assert (trees[-1] / "file").read_bytes() == b"ab"
        shutil.rmtree(trees[-1])
    assert trees[0] == trees[1] == sources.tree_path(source)
    changed = msgspec.structs.replace(source, forms=source.forms[:1])
    assert sources.tree_path(changed) != trees[0]
