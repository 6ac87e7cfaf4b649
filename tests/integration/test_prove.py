"""Files are started where nothing else exists, and in real roots: not proven is no pass."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..corpus import suites
from ..corpus.cases import Corpus
from ..corpus.making import cc, zig
from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.corpus]
FAILS = "int main(void) { return 7; }\n"
CRASHES = "int main(void) { *(volatile int *)0 = 1; }\n"
SLEEPS = "#include <unistd.h>\nint main(void) { sleep(60); }\n"
READS = '#include <stdio.h>\nint main(void) { return !fopen("/etc/ours", "r"); }\n'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


def proved(tool: Run, *words: str) -> tuple[int, dict[str, object]]:
    done = tool("prove", "--json", *words)
    assert done.stdout, done.stderr
    value = json.loads(done.stdout)["trial"]
    assert isinstance(value, dict)
    return done.returncode, value


@pytest.mark.parametrize("name", ["go-amd64", "c-static", "musl-gcc-static", "go-cgo-musl"])
def test_what_needs_nothing_starts_where_nothing_is(tool: Run, corpus: Corpus, name: str) -> None:
    code, trial = proved(tool, str(corpus.path(name)))
    assert (code, trial["state"], trial["code"]) == (0, "started", 0), trial
    opened = trial["opened"]
    assert isinstance(opened, list)
    assert not [one for one in opened if one["found"] and "dev/null" not in one["path"]]


@pytest.mark.parametrize("name", ["c-pie", "musl-gcc-dynamic", "go-pie"])
def test_what_needs_a_loader_does_not(tool: Run, corpus: Corpus, name: str) -> None:
    code, trial = proved(tool, str(corpus.path(name)))
    assert (code, trial["state"]) == (1, "not started")
    assert "interpreter" in str(trial["why"])


@pytest.mark.parametrize("name", ["go-arm64", "go-s390x", "riscv64-linux-gnu-static"])
def test_foreign_ones_start_under_an_emulator(tool: Run, corpus: Corpus, name: str) -> None:
    code, trial = proved(tool, str(corpus.path(name)))
    assert (code, trial["state"]) == (0, "started"), trial
    assert "qemu" in str(trial["emulator"])


def test_exit_codes_signals_and_time(tool: Run, tmp_path: Path) -> None:
    fails = str(cc(tmp_path / "fails", "-static", text=FAILS))
    assert proved(tool, fails)[1]["code"] == 7
    assert proved(tool, "--expect", "0", fails)[0] == 1
    assert proved(tool, "--expect", "7", fails)[0] == 0
    code, trial = proved(tool, str(cc(tmp_path / "crashes", "-static", text=CRASHES)))
    assert (code, trial["state"]) == (1, "not started")
    assert "signal 11" in str(trial["why"])
    code, trial = proved(
        tool, "--timeout", "2", str(cc(tmp_path / "sleeps", "-static", text=SLEEPS))
    )
    assert (code, trial["running"]) == (0, True)


def test_only_what_is_named_is_seen(tool: Run, tmp_path: Path, corpus: Corpus) -> None:
    reads = str(cc(tmp_path / "reads", "-static", text=READS))
    code, trial = proved(tool, "--expect", "0", reads)
    assert code == 1
    assert {"path": "/etc/ours", "found": False} in trial["opened"]  # type: ignore[operator]
    shown = ("--show", "/lib", "--show", "/lib64", "--show", "/usr/lib")
    assert proved(tool, *shown, str(corpus.path("c-pie")))[1]["code"] == 0
    assert tool("prove", "--show", "/nosuch", reads).returncode == 2


def test_where_namespaces_are_refused_it_is_not_proven(corpus: Corpus, tmp_path: Path) -> None:
    # The kernel makes no user namespace for what is chrooted (create_user_ns), and setpriv takes
    # away the capability that would do without.
    bare = "setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin"
    script = f'mount --rbind / {tmp_path} && cd / && exec chroot {tmp_path} {bare} "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh",
         sys.executable, "-m", "gotoolforge", "prove", "--json", corpus.path("go-amd64")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 21, done.stdout + done.stderr
    trial = json.loads(done.stdout)["trial"]
    assert trial["state"] == "not proven"
    assert "namespaces" in trial["why"]


# What docker and podman answer, without any container: its root is a folder, its start a run here.
ENGINE = """#!/bin/sh
cd "$HOLD"
case $1 in
  info) ;;
  create) echo pulling >&2; echo 0123abcd ;;
  export) tar -cf "$3" -C root . ;;
  cp) cp "$2" app ;;
  start) exec ./app ;;
  inspect) printf '%s\\n\\n' "2026-11-27 19:49:21.66 +0000 UTC" ;;
  rm) echo removed > removed ;;
esac
"""
SILENT = "#!/bin/sh\necho 'Cannot connect to the daemon. Is it running?' >&2\nexit 1\n"


def with_engine(folder: Path, name: str, text: str) -> str:
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(text)
    (folder / "bin" / name).chmod(0o755)
    return f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"


def test_an_image_known_by_name_is_tried_by_an_engine(
    tool: Run, corpus: Corpus, tmp_path: Path
) -> None:
    with_engine(tmp_path, "docker", SILENT)
    path = with_engine(tmp_path, "podman", ENGINE)
    (tmp_path / "root").mkdir()
    words = ("prove", "--json", "--image", "debian:12-slim", str(corpus.path("c-static")))
    done = tool(*words, PATH=path, HOLD=str(tmp_path))
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)["lines"][0]
    assert (line["image"], line["symbols"], line["libc"]) == ("debian:12-slim", "runs", "none")
    assert (line["trial"]["state"], line["trial"]["code"]) == ("started", 0)
    assert (tmp_path / "removed").exists()


def test_a_client_without_its_engine_proves_nothing(
    tool: Run, corpus: Corpus, tmp_path: Path
) -> None:
    for name in ("docker", "podman", "nerdctl"):
        path = with_engine(tmp_path, name, SILENT)
    done = tool("prove", "--json", "--image", "x:1", str(corpus.path("c-static")), PATH=path)
    assert done.returncode == 21, done.stderr
    tried, scratch, *_ = json.loads(done.stdout)["lines"]
    assert tried["trial"]["state"] == "not proven"
    assert "docker is here, and its engine does not answer: Cannot connect" in tried["trial"]["why"]
    assert scratch["trial"]["state"] == "started"


@pytest.mark.long
def test_the_matrix_runs_it_in_real_roots(tool: Run, corpus: Corpus, tmp_path: Path) -> None:
    newer = zig(tmp_path / "newer", "x86_64-linux-gnu.2.38", text="""#include <stdlib.h>
int main(int c, char **v) { return strtol(v[0], 0, 0) + 1 - 1; }\n""")  # fmt: skip
    # Two Debian roots are downloaded the first time, about 30 MB each.
    words = ("--debian", "bookworm", "--debian", "trixie", "--musl", str(newer))
    done = tool("prove", "--json", *words)
    assert done.returncode == 1, done.stderr
    lines = {one["image"]: one for one in json.loads(done.stdout)["lines"]}
    tried = {name: one["trial"]["state"] for name, one in lines.items() if one["trial"]}
    assert tried == {
        "Debian bookworm": "not started", "Debian trixie": "started",
        "musl alone": "not started", "scratch": "not started",
    }  # fmt: skip
    assert lines["Debian trixie"]["symbols"] == "runs"
    assert lines["Debian bookworm"]["symbols"] == "does not run"
    assert lines["RHEL 9"]["judged"] == "table"
    static = tool("prove", "--json", "--debian", "trixie", "--musl", str(corpus.path("go-amd64")))
    assert static.returncode == 0, static.stderr
    musl = tool("prove", "--json", "--musl", str(corpus.path("musl-gcc-dynamic")))
    lines = {one["image"]: one for one in json.loads(musl.stdout)["lines"]}
    assert lines["musl alone"]["trial"]["code"] == 0


def test_a_matrix_of_the_files_of_other_suites(tool: Run, corpus: Corpus, tmp_path: Path) -> None:
    roots = [str(suites.unpacked(suite, suites.LIBC)) for suite in ("bullseye", "trixie")]
    for root in roots:
        (Path(root) / "tmp").mkdir(exist_ok=True)
    words = ("--root", roots[0], "--root", roots[1], str(corpus.path("trixie-dynamic")))
    done = tool("prove", "--json", *words)
    assert done.returncode == 1, done.stderr
    lines = [one for one in json.loads(done.stdout)["lines"] if one["trial"]]
    assert [one["trial"]["state"] for one in lines] == ["not started", "started", "not started"]
    assert [one["symbols"] for one in lines] == ["does not run", "runs", "does not run"]
    assert "GLIBC_2.34" in lines[0]["trial"]["why"]
    # It is tried from scratch too, which decides where nobody named a place, or all were asked for.
    assert tool("prove", "--json", *words[2:]).returncode == 0
    assert tool("prove", "--json", "--matrix", *words[2:]).returncode == 1
    (tmp_path / "scratch" / "tmp").mkdir(parents=True)
    named = tool("prove", "--json", "--root", "scratch", words[4], cwd=tmp_path)
    assert named.returncode == 1
    static = tool("prove", "--json", "--matrix", *words[:4], str(corpus.path("go-amd64")))
    assert static.returncode == 0, static.stderr
