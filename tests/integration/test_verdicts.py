"""The corpus: files made by real compilers, each with a verdict known from how it was made."""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from gotoolforge.policy import load_policy
from gotoolforge.verify import verify_file

from ..corpus.cases import CASES, Corpus
from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.corpus]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if case.slow else name
        for name, case in CASES.items()
    ],
)
def test_verdict(corpus: Corpus, name: str) -> None:
    case = CASES[name]
    made = corpus.path(name)
    report = verify_file(made, policy=load_policy("no-host-libc"))
    assert (report.verdict, report.linkage) == (case.verdict, case.linkage), report
    assert report.evidence
    assert not [one for one in report.witnesses if one.state == "contradicts"]
    assert report.passed == (case.verdict in {"no-libc", "musl-static"} or name in _UNKNOWN)
    if case.floor:
        assert report.floor == case.floor


_UNKNOWN = {
    name for name, case in CASES.items() if case.verdict == "unknown" and case.linkage != "dynamic"
}


def test_the_command_says_the_same_of_many_files_at_once(tool: Run, corpus: Corpus) -> None:
    names = ["c-pie", "c-static", "go-amd64", "musl-gcc-static", "object", "text"]
    done = tool("verify", "--json", *(str(corpus.path(name)) for name in names))
    assert done.returncode == 1
    for name, report in zip(names, json.loads(done.stdout)["files"], strict=True):
        assert report["verdict"] == CASES[name].verdict
        assert report["path"] == str(corpus.path(name))
    assert tool("verify", str(corpus.path("go-amd64"))).returncode == 0


@pytest.mark.parametrize("name", ["c-pie", "go-std-cgo", "trixie-dynamic", "bullseye-dynamic"])
def test_the_floor_is_the_highest_version_by_number(corpus: Corpus, name: str) -> None:
    report = verify_file(corpus.path(name), policy=load_policy("no-host-libc"))
    argv = ["readelf", "-W", "-V", corpus.path(name)]
    said = subprocess.run(argv, capture_output=True, text=True).stdout
    words = {word for word in said.split() if word.startswith("GLIBC_2")}
    highest = max(tuple(map(int, one.removeprefix("GLIBC_").split("."))) for one in words)
    assert report.floor == ".".join(map(str, highest))


def test_a_truncated_file_and_a_missing_one_are_errors_not_verdicts(
    tool: Run, tmp_path: Path, corpus: Corpus
) -> None:
    whole = corpus.path("c-pie")
    for size in (17, 63, 100, 700, 5000):
        part = tmp_path / f"part{size}"
        part.write_bytes(whole.read_bytes()[:size])
        done = tool("verify", "--json", str(part), str(tmp_path / "missing"), str(tmp_path))
        assert done.returncode == 3, done.stderr
        assert "Traceback" not in done.stderr
        for report in json.loads(done.stdout)["files"]:
            assert report["verdict"] is None
            assert report["error"]


def test_what_is_no_regular_file_is_refused_at_once(tool: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    files = [str(tmp_path / "fifo"), str(tmp_path / "loop"), "/dev/zero"]
    done = tool("verify", "--json", *files)
    assert done.returncode == 3
    assert all(report["error"] for report in json.loads(done.stdout)["files"])


def test_a_file_made_shorter_while_it_is_read_ends_nothing(corpus: Corpus, tmp_path: Path) -> None:
    whole = corpus.path("go-amd64").read_bytes()
    victim = tmp_path / "victim"
    stop = threading.Event()

    def spoil() -> None:
        while not stop.is_set():
            os.truncate(victim, 4096)
            time.sleep(0.001)
            victim.write_bytes(whole)

    victim.write_bytes(whole)
    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    try:
        policy = load_policy("no-host-libc")
        reports = [verify_file(victim, policy=policy) for _ in range(20)]
    finally:
        stop.set()
        spoiler.join()
    assert all(report.error or report.verdict for report in reports)


def test_the_wrong_machine_is_a_finding(tool: Run, corpus: Corpus) -> None:
    made = str(corpus.path("go-arm64"))
    assert tool("verify", "--target", "arm64", made).returncode == 0
    done = tool("verify", "--target", "amd64", made)
    assert done.returncode == 1
    assert "wrong-machine" in done.stderr
