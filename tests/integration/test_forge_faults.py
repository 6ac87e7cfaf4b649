"""What goes wrong while forging: said in words, nothing lost, and the next run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gotoolforge import errors, store

from .conftest import Run

pytestmark = [pytest.mark.forge]
# Never forged to its end here, so that it is always there to be begun.
VICTIM = ("toolchain", "build", "s390x", "--languages", "c")
# A stage's note that it was begun lies there until it has ended.
BEGUN = "forge/*/*/stamps/*.begun.json"


def assert_error(done: subprocess.CompletedProcess[str], kind: type, *words: str) -> None:
    assert done.returncode == kind.exit_code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def fetched(tool: Run, tmp_path: Path) -> Iterator[Path]:
    """An empty store that has the downloads, on a small disk of its own."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", place], check=True)
    (place / "downloads").symlink_to(store.place("downloads"))
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_said_and_nothing_half_made_stays(tool: Run, fetched: Path) -> None:
    if os.getuid():
        pytest.fail("this test mounts a small disk: run it as root")
    done = tool(*VICTIM, GOTOOLFORGE_CACHE=str(fetched))
    assert_error(done, errors.StoreError, "No space left", "GOTOOLFORGE_CACHE")
    assert not [*fetched.glob("forge/src/.*")]


def test_a_missing_make_is_named_with_what_installs_it(tool: Run, tmp_path: Path) -> None:
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).glob("*") if Path(folder).is_dir() else ():
            link = tmp_path / program.name
            if program.name not in {"make", "gmake"} and not link.is_symlink():
                link.symlink_to(program)
    store_dir = str(tmp_path / "store")
    done = tool(*VICTIM, PATH=str(tmp_path), GOTOOLFORGE_CACHE=store_dir)
    assert_error(done, errors.ToolchainError, "forging needs make", "install make")


def test_a_store_that_make_cannot_work_in_is_refused(tool: Run, tmp_path: Path) -> None:
    done = tool(*VICTIM, GOTOOLFORGE_CACHE=str(tmp_path / "a folder"))
    assert_error(done, errors.ToolchainError, "a folder", "GOTOOLFORGE_CACHE")


def test_offline_without_the_sources_names_them(tool: Run, tmp_path: Path) -> None:
    done = tool(*VICTIM, "--offline", GOTOOLFORGE_CACHE=str(tmp_path / "store"))
    assert_error(done, errors.FetchError, "--offline")


def test_a_store_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    place = tmp_path / "store"
    place.mkdir(mode=0o555)
    # Root without any capability is held to permissions like everybody else.
    plain = ["setpriv", "--bounding-set=-all"] if os.getuid() == 0 else []
    words = [*plain, sys.executable, "-m", "gotoolforge", *VICTIM]
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(place)}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert_error(done, errors.StoreError, "cannot be written", "GOTOOLFORGE_CACHE")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stop_ends_every_child_and_the_next_run_goes_on(number: signal.Signals) -> None:
    stamp = _begin()
    child, work = stamp
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    if number != signal.SIGKILL:
        assert child.returncode == errors.InterruptedRunError.exit_code, err
        assert "Traceback" not in err
    _wait(lambda: not _working_below(work))
    assert not _working_below(work)
    again, _ = _begin()
    again.send_signal(signal.SIGTERM)
    _, err = again.communicate(timeout=30)
    assert "binutils" in err
    _wait(lambda: not _working_below(work))


def test_a_target_that_fails_does_not_stop_the_others(tool: Run, tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text("#!/bin/sh\necho 'make: *** out of order' >&2; exit 2\n")
    make.chmod(0o755)
    words = ("toolchain", "build", "s390x", "ppc64le", "--languages", "c")
    done = tool(*words, PATH=f"{tmp_path}:{os.environ['PATH']}")
    named = ("s390x-alpine-musl: binutils", "powerpc64le-alpine-musl: binutils")
    assert_error(done, errors.ToolchainError, *named, "2 of 2 targets failed", "out of order")


def test_a_second_forger_waits_for_the_first() -> None:
    first, _ = _begin()
    words = [sys.executable, "-m", "gotoolforge", *VICTIM]
    second = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    line = second.stderr.readline()
    for one in (second, first):
        one.send_signal(signal.SIGTERM)
        one.communicate(timeout=30)
    assert "another gotoolforge works on" in line


def _begin() -> tuple[subprocess.Popen[str], Path]:
    """A forging under way, in the middle of binutils; its build folder."""
    words = [sys.executable, "-m", "gotoolforge", *VICTIM]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    works = store.place("forge", "work")
    _wait(lambda: any(_working_below(one) for one in works.glob("s390x-*")), 600)
    (work,) = works.glob("s390x-*")
    return child, work


def _working_below(folder: Path) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if Path(process, "cwd").resolve().is_relative_to(folder):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def _wait(ready: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.long
def test_killed_in_every_stage_it_makes_the_same_in_the_end(tool: Run, tmp_path: Path) -> None:
    words = ("toolchain", "build", "amd64", "--languages", "c")
    whole = tool(*words)
    assert whole.returncode == 0, whole.stderr
    (tmp_path / "downloads").symlink_to(store.place("downloads"))
    left = set("gmp mpfr mpc binutils xgcc headers libgcc musl libs install".split())
    argv = [sys.executable, "-m", "gotoolforge", *words]
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(tmp_path)}
    while left:
        child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        here: set[str] = set()
        while child.poll() is None and not here:
            time.sleep(0.05)
            here = left & {one.name.split(".")[0] for one in tmp_path.glob(BEGUN)}
        # The short stages are hit at once, the long ones in their middle.
        time.sleep(0 if here & {"headers", "install"} else 5)
        child.kill()
        _, err = child.communicate()
        assert here, f"it ended before {left}: {err.decode()[-600:]}"
        left -= here
        _wait(lambda: not _working_below(tmp_path / "forge"))
    done = tool(*words, GOTOOLFORGE_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    made, first = (Path(one.stdout.strip(), "files.json") for one in (done, whole))
    assert made != first
    assert json.loads(made.read_text()) == json.loads(first.read_text())
