"""The data in recipes/: every file loads, and what is wrong is refused with file and key."""

import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path
from zipfile import ZipFile

import pytest

from gotoolforge import archive, evidence, paths, recipe, run, symptoms
from gotoolforge.beside import ahead
from gotoolforge.compilers import zig
from gotoolforge.errors import (
    FetchError,
    InterruptedRunError,
    RecipeError,
    StoreError,
    UsageError,
)
from gotoolforge.policy import load_policy
from gotoolforge.settings import Settings
from gotoolforge.tables import load_table
from gotoolforge.target import load_targets


def test_every_recipe_loads() -> None:
    for path in (paths.recipes_dir() / "sources").glob("*.toml"):
        assert recipe.load_source(path.stem).forms
    for path in (paths.recipes_dir() / "policies").glob("*.toml"):
        assert load_policy(path.stem).name == path.stem
    assert zig.load_recipe().version


def test_every_machine_of_the_table_has_start_code_of_both_libcs() -> None:
    known = {(one.libc, one.machine, one.bits, one.order) for one in evidence.load_evidence().start}
    for row in load_targets():
        for libc in ("musl", "glibc"):
            assert (libc, row.elf.machine, row.elf.bits, row.elf.order) in known, row.name


def test_start_code_is_matched_with_its_gaps() -> None:
    assert evidence.matches("48??ed", "4831edff")
    assert not evidence.matches("48??ed", "4831ee")
    assert not evidence.matches("48??ed", "48")


@pytest.mark.parametrize(
    ("text", "word"),
    [("nosuch = 1\n", "nosuch"), ("targets = 3\n", "targets"), ("= 1\n", "settings.toml")],
)
def test_a_wrong_file_is_refused_with_its_name_and_key(
    tmp_path: Path, text: str, word: str
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_table(path, Settings)
    assert "settings.toml" in caught.value.what
    assert word in caught.value.what


def test_an_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        load_policy("nosuch")
    assert "no-host-libc" in caught.value.hint


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("error obtaining VCS status: exit status 128", "-buildvcs=false"),
        ("ld.lld: error: undefined symbol: __memcpy_chk", "FORTIFY"),
        ("ld.lld: error: undefined symbol: backtrace_symbols", "libexecinfo"),
        ("x.c:2:10: fatal error: 'fts.h' file not found", "musl-fts"),
        ("undefined reference to `std::__cxx11::basic_string<char>'", "GCC family"),
        ("ld.lld: error: duplicate symbol: LZ4_compress", "drop one"),
        ("relocation R_X86_64_32 against `.rodata' can not be used", "-fPIC"),
        ("warning: Using 'getaddrinfo' in statically linked applications", "musl toolchain"),
        ("error: unsupported linker arg: --foo", "take the flag away"),
        ("Error: unknown prefixed ISA extension `zicsr'", "binutils"),
        ("sqlite3: relocation target fcntl64 not defined", "-linkmode=internal"),
        ("gcc: fatal error: Killed signal terminated program cc1", "-p=1"),
        ("checking cache failed: file_open ProcessFdQuotaExceeded /x.c", "ulimit"),
        ("fork/exec ./gen: exec format error", "generators"),
        ("ld.lld: error: undefined symbol: __atomic_load_8", "-latomic"),
        ("ld: cannot find -lfoo", "--with-prefix"),
        ("x.c:1:10: fatal error: 'foo.h' file not found", "--with-prefix"),
        ("write /tmp/x: no space left on device", "GOTOOLFORGE_CACHE"),
        ("ld.lld: error: undefined symbol: pread64", "rebuild"),
    ],
)
def test_known_symptoms_are_recognised(output: str, word: str) -> None:
    found = symptoms.recognise(output)
    assert found
    assert word in found.fix


def test_an_archive_that_climbs_out_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "x"
    inside.write_text("x")
    for name in ("../climbs", "/absolute/../../climbs"):
        tarball = tmp_path / "bad.tar"
        with tarfile.open(tarball, "w") as made:
            made.add(inside, arcname="ok")
            member = made.gettarinfo(inside)
            member.name = name
            with inside.open("rb") as content:
                made.addfile(member, content)
        folder = tmp_path / f"out{len(name)}"
        with pytest.raises(FetchError, match="refused"):
            archive.unpack(tarball, folder)
    assert not (tmp_path / "climbs").exists()


@pytest.mark.parametrize("name", ["x.tar", "x.whl"])
def test_what_is_skipped_is_not_unpacked(name: str, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("x")
    with tarfile.open(tmp_path / "x.tar", "w") as made, ZipFile(tmp_path / "x.whl", "w") as zipped:
        for inside in ("top/a", "top/b/c", "top/bc"):
            made.add(tmp_path / "one", inside)
            zipped.write(tmp_path / "one", inside)
    archive.unpack(tmp_path / name, tmp_path / "out", skip=("b",))
    found = {str(one.relative_to(tmp_path / "out")) for one in tmp_path.glob("out/**/[abc]*")}
    assert found == {"top/a", "top/bc"}


def test_a_stopped_run_does_not_finish_unpacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody ever writes into it, so nothing but the stop ends this.
    os.mkfifo(tmp_path / "x.tar")
    monkeypatch.setattr(run, "_stopping", threading.Event())
    wait = ahead(lambda: archive.unpack(tmp_path / "x.tar", tmp_path / "out"))
    while not (tmp_path / "out").exists():
        time.sleep(0.01)
    run.stop_all()
    with pytest.raises(InterruptedRunError):
        wait()


def test_an_unpacking_that_breaks_down_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no memory >&2; kill -9 $$\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    said = r"cannot unpack x\.tar: exit code -9: no memory"
    with pytest.raises(StoreError, match=said) as caught:
        archive.unpack(tmp_path / "x.tar", tmp_path / "out")
    assert "memory" in caught.value.hint


RACE = """
import sys, threading
from pathlib import Path
import msgspec
from gotoolforge.tables import Row, load_table
sys.setswitchinterval(1e-6)
for _ in range(20):
    fields = [(f"k{i}", "str") for i in range(30)]
    row = msgspec.defstruct("One", fields, bases=(Row,), kw_only=True, frozen=True)
    table = msgspec.defstruct("Two", [("row", tuple[row, ...])], bases=(Row,), kw_only=True)
    threads = [threading.Thread(target=load_table, args=(Path(sys.argv[1]), table)) for _ in "abc"]
    for one in threads: one.start()
    for one in threads: one.join()
"""


def test_two_threads_may_read_the_same_kind_of_table_first(tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text("[[row]]\n" + "".join(f'k{place} = "x"\n' for place in range(30)))
    done = subprocess.run([sys.executable, "-c", RACE, table], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
