"""Faults while sources are fetched and unpacked: killed, a full disk, a store that is read-only."""

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from gotoolforge import archive, bundle, distro, recipe
from gotoolforge.errors import FetchError, StoreError
from gotoolforge.recipe import Form

CONTENT = os.urandom(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
# What a forging does with one source, with the errors that a command would print.
CHILD = """\
import sys
from gotoolforge import fetch, sources
from gotoolforge.console import Console
from gotoolforge.errors import GotoolforgeError
from gotoolforge.recipe import Form, Source
url, digest, what = sys.argv[1:]
form = Form(file="x.tar", sha256=digest, urls=(url,))
source = Source(name="x", version="1", licence="MIT", forms=(form,))
try:
    got = fetch.ensure_source(source, Console())
    print(sources.ensure_tree(got, Console()) if what == "unpack" else got.path)
except GotoolforgeError as error:
    sys.exit(f"{type(error).__name__}: {error.what} -> {error.hint}")
"""


def child(url: str, digest: str, what: str, *before: str) -> list[str]:
    return [*before, sys.executable, "-c", CHILD, url, digest, what]


def put_into(store: Path, content: bytes, name: str = "x.tar") -> str:
    """The file as if it had been fetched before; its digest."""
    form = Form(file=name, sha256=hashlib.sha256(content).hexdigest())
    for folder in ("downloads", "locks", "forge/src"):
        (store / folder).mkdir(parents=True)
    (store / "downloads" / bundle.kept_name(form)).write_bytes(content)
    return form.sha256


def tarball(*files: tuple[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as made:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return sink.getvalue()


class Slow(BaseHTTPRequestHandler):
    """Sends a half of the file and waits; what is asked for with a range comes whole."""

    asked: ClassVar[list[str | None]] = []
    half = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(CONTENT) - begin))
        self.send_header("Content-Range", f"bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        if wanted:
            self.wfile.write(CONTENT[begin:])
            return
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.wfile.flush()
        self.half.set()
        self.over.wait(60)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_download_killed_by_sigkill_goes_on_where_it_was(tmp_path: Path) -> None:
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(tmp_path)}
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_address[1]}/x.tar"
        first = subprocess.Popen(child(url, DIGEST, "fetch"), env=env, stderr=subprocess.DEVNULL)
        assert Slow.half.wait(60)
        while not any(one.stat().st_size for one in tmp_path.glob("downloads/*.part")):
            assert first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        Slow.over.set()
        words = child(url, DIGEST, "fetch")
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        server.shutdown()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == CONTENT
    assert (Slow.asked[1] or "bytes=0-") > "bytes=0-"
    assert not [*tmp_path.glob("downloads/*.part")]


def in_namespace(script: str, *words: str) -> list[str]:
    """A shell script with mounts of its own, which end with it."""
    mapped = [] if os.getuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", "--propagation", "private", *mapped, "sh", "-euc", script,
            "sh", *words]  # fmt: skip


def test_a_full_disk_while_unpacking_leaves_nothing_half_made(tmp_path: Path) -> None:
    small = tmp_path / "store"
    small.mkdir()
    content = tarball(("x/one", b"1" * 1_500_000), ("x/two", b"2" * 1_500_000))
    (tmp_path / "outside").mkdir()
    digest = put_into(tmp_path / "outside", content)
    script = (
        'mount -t tmpfs -o size=5m tmpfs "$1"; cp -r "$2"/downloads "$1"; d=$1; shift 2; '
        '"$@" && exit 99; find "$d" -type f -name "one" -o -name "two"; ls "$d"/forge/src'
    )
    words = in_namespace(script, str(small), str(tmp_path / "outside"),
                         *child("http://127.0.0.1:1/x", digest, "unpack"))  # fmt: skip
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(small)}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "StoreError: cannot unpack" in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("how", ["permissions", "mount"])
def test_a_read_only_store_is_said_and_still_read(tmp_path: Path, how: str) -> None:
    store = tmp_path / "store"
    content = tarball(("x/one", b"1"))
    digest = put_into(store, content)
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(store)}

    def run(digest: str, what: str) -> subprocess.CompletedProcess[str]:
        words = child("http://127.0.0.1:1/x", digest, what)
        if how == "mount":
            script = 'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; shift; exec "$@"'
            words = in_namespace(script, str(store), *words)
        elif os.getuid() == 0:
            # Root without any capability is held to permissions like everybody else.
            words = ["setpriv", "--bounding-set=-all", *words]
        return subprocess.run(words, env=env, capture_output=True, text=True)

    folders = [store, *(store / one for one in ("downloads", "locks", "forge", "forge/src"))]
    for folder in folders:
        folder.chmod(0o555)
    there, lacking, unpacking = run(digest, "fetch"), run("0" * 64, "fetch"), run(digest, "unpack")
    for folder in folders:
        folder.chmod(0o755)
    assert there.returncode == 0, there.stderr
    for done in (lacking, unpacking):
        assert done.returncode == 1
        assert "StoreError: the store cannot be written" in done.stderr
        assert "GOTOOLFORGE_CACHE" in done.stderr


def member(name: str, kind: bytes, link: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    "bad",
    [
        member("x/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("x/link", tarfile.SYMTYPE, "../../outside"),
        member("x/link", tarfile.LNKTYPE, "/etc/passwd"),
        member("x/link", tarfile.LNKTYPE, "../outside"),
        member("x/device", tarfile.CHRTYPE, ""),
    ],
)
def test_a_tarball_whose_links_lead_out_is_refused(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as made:
        made.addfile(bad)
    with pytest.raises(FetchError, match="is refused"):
        archive.unpack(path, tmp_path / "out")
    assert not [*(tmp_path / "out").iterdir()]


def test_a_tarball_that_ends_too_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(tarball(("x/one", b"1" * 100_000))[:50_000])
    with pytest.raises(FetchError, match="not a whole archive"):
        archive.unpack(path, tmp_path / "out")


def test_a_full_store_is_named_where_a_bundle_is_taken_in(tmp_path: Path) -> None:
    form = Form(file="x.bin", sha256=DIGEST)
    file = tmp_path / "x.bin"
    file.write_bytes(CONTENT)
    out = tmp_path / "bundle"
    bundle.write_bundle([(form, file)], out)
    code = (
        "import sys; from pathlib import Path; from gotoolforge import bundle;"
        "from gotoolforge.recipe import Form; bundle.take(Path(sys.argv[1]),"
        "Form(file='x.bin', sha256=sys.argv[2]), Path(sys.argv[3], 'x'))"
    )
    small = tmp_path / "small"
    small.mkdir()
    script = 'mount -t tmpfs -o size=1m tmpfs "$1"; d=$1; shift; "$@" && exit 99; ls -A "$d"'
    words = in_namespace(script, str(small), sys.executable, "-c", code, str(out), DIGEST,
                         str(small))  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{StoreError.__name__}: cannot write" in done.stderr
    assert done.stdout == ""


@pytest.mark.network
def test_a_distribution_without_apts_lists_gives_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An image's layers come so: `apt-get install` there ends with `rm -rf /var/lib/apt/lists/*`.
    (tmp_path / "lists" / "partial").mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(f'Dir::State::Lists "{tmp_path / "lists"}";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(tmp_path / "store"))
    form = recipe.load_source("mpc", "").forms[-1]
    assert form.distro
    (tmp_path / "got").mkdir()
    place = form.distro.package, form.distro.suites, form.sha256, tmp_path / "got"
    assert distro.fetch_source(*place).stat().st_size == form.size
