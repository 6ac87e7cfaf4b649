"""The forge's values and its way of working, without compiling anything."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from gotoolforge import holes, paths, store
from gotoolforge.beside import meanwhile
from gotoolforge.console import Console
from gotoolforge.errors import RecipeError, StoreError, ToolchainError, UsageError
from gotoolforge.forge import manifest, probe, transfer
from gotoolforge.forge.identity import as_toolchain, host_compiler, toolchain_digest
from gotoolforge.forge.jobserver import JobServer
from gotoolforge.forge.manifest import Component, Manifest, Patch
from gotoolforge.forge.progress import describe, marks_of
from gotoolforge.forge.recipe import (
    Pace,
    chosen_languages,
    chosen_recipe,
    compiled_by,
    load_recipe,
)
from gotoolforge.forge.resume import forget_unfinished
from gotoolforge.forge.sharing import uses_ccache
from gotoolforge.forge.stages import library_stages, target_stages
from gotoolforge.forge.work import Worker
from gotoolforge.forge.workshop import Stage, Workshop
from gotoolforge.run import Command
from gotoolforge.target import find_target, load_targets

BOTH = ("c", "c++")


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(tmp_path / "store"))
    return tmp_path / "store"


def workshop(root: Path) -> Workshop:
    trees = {name: root / "src" / name for name in load_recipe().sources}
    return Workshop(root=root, work=root / "work" / "x", host=root / "host" / "x", sources=trees,
                    host_triple="x86_64-linux-musl")  # fmt: skip


def test_a_digest_names_what_is_made_and_not_where_it_came_from() -> None:
    forge, target = load_recipe(), find_target("amd64")
    digest = toolchain_digest(forge, target, BOTH)
    slower = msgspec.structs.replace(forge, pace={"musl": Pace(seconds=1, lines=1)})
    assert toolchain_digest(slower, target, BOTH) == digest
    others = [
        toolchain_digest(forge, target, ("c",)),
        toolchain_digest(forge, find_target("arm64"), BOTH),
        toolchain_digest(msgspec.structs.replace(forge, patches={}), target, BOTH),
        toolchain_digest(msgspec.structs.replace(forge, format=0), target, BOTH),
    ]
    assert len({digest, *others}) == 5


@pytest.mark.parametrize("word", ["rust", "c++", "c,ada"])
def test_languages_that_cannot_be_forged_are_refused(word: str) -> None:
    with pytest.raises(UsageError):
        chosen_languages(word)


def test_languages_come_from_flag_then_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen_languages() == BOTH
    monkeypatch.setenv("GOTOOLFORGE_LANGUAGES", "c")
    assert chosen_languages() == ("c",)
    assert chosen_languages("C++,c") == BOTH


def test_the_host_compiler_comes_from_flag_then_environment_then_recipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert chosen_recipe() == load_recipe()
    monkeypatch.setenv("GOTOOLFORGE_HOST_COMPILER", "forged")
    assert chosen_recipe().host.compiler == "forged"
    assert chosen_recipe("machine").host.compiler == "machine"
    with pytest.raises(UsageError, match="zig, machine, forged"):
        chosen_recipe("clang")


def test_a_compiler_has_the_flags_that_are_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge = load_recipe()
    flags = {one: compiled_by(forge, one).host.flags for one in ("zig", "machine", "forged")}
    assert flags["zig"] == flags["forged"] == forge.host.cflags != flags["machine"]
    folder = tmp_path / "recipes"
    shutil.copytree(paths.recipes_dir(), folder)
    monkeypatch.setattr(paths, "recipes_dir", lambda: folder)
    text = (folder / "forge.toml").read_text()
    (folder / "forge.toml").write_text(text.replace("{ machine = [", "{ clang = ["))
    with pytest.raises(RecipeError, match="the compiler 'clang' is none of zig, machine, forged"):
        load_recipe()


def gcc_that_says(folder: Path, *, triple: str, version: str, libc: str) -> None:
    """A gcc and a g++ for PATH that only answer questions."""
    folder.mkdir(exist_ok=True)
    text = (
        f"#!/bin/sh\ncase $1 in -dumpmachine) echo {triple};; --version) echo '{version}';; "
        f"*) echo {libc};; esac\n"
    )
    for name in ("gcc", "g++"):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def test_each_host_compiler_has_digests_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge, target = load_recipe(), find_target("arm64")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    libc = tmp_path / "libc.a"
    found = {toolchain_digest(compiled_by(forge, one), target, BOTH) for one in ("zig", "forged")}
    for version, content in (("gcc 1", b"a"), ("gcc 2", b"a"), ("gcc 2", b"b")):
        libc.write_bytes(content)
        said = {"triple": "x86_64-linux-gnu", "version": version, "libc": str(libc)}
        gcc_that_says(tmp_path / "bin", **said)
        machine = compiled_by(forge, "machine")
        found.add(toolchain_digest(machine, target, BOTH))
        words = f"the machine's {version}, with a static glibc: a fallback"
        assert host_compiler(machine).words == words
    assert len(found) == 5


def test_a_machine_that_cannot_compile_the_tools_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = compiled_by(load_recipe(), "machine")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(ToolchainError, match="no gcc and no g"):
        host_compiler(machine)
    gcc_that_says(tmp_path / "bin", triple="x86_64-redhat-linux", version="gcc 15", libc="libc.a")
    with pytest.raises(ToolchainError, match=r"no libc\.a") as caught:
        host_compiler(machine)
    assert "glibc-static" in caught.value.hint
    libc = tmp_path / "libc.a"
    libc.touch()
    gcc_that_says(tmp_path / "bin", triple="x86_64-redhat-linux", version="gcc 15", libc=str(libc))
    assert host_compiler(machine).libc == "glibc"
    gcc_that_says(tmp_path / "bin", triple="x86_64-alpine-linux-musl", version="1", libc=str(libc))
    assert host_compiler(machine).words == "the machine's 1, with a static musl"


def test_the_stages_are_musl_cross_makes_for_every_target(tmp_path: Path) -> None:
    forge, shop = load_recipe(), workshop(tmp_path)
    for target in load_targets():
        stages = target_stages(forge, shop, target, BOTH)
        names = ["binutils", "xgcc", "headers", "libgcc", "musl", "libs", "install"]
        assert [one.name for one in stages] == names
        xgcc, headers = stages[1], stages[2]
        words = [word for one in xgcc.commands for word in one.argv]
        assert f"--target={target.triple}" in words
        assert "--prefix=" in words
        assert set(target.gcc_configure) <= set(words)
        # A library's host is the machine that it runs on.
        assert any(f"--host={target.triple}" in one.argv for one in headers.commands)


def test_sources_are_named_relatively_and_digests_do_not_depend_on_the_place(
    tmp_path: Path,
) -> None:
    forge, target = load_recipe(), find_target("arm64")
    one, other = workshop(tmp_path / "a"), workshop(tmp_path / "b" / "c")
    for made in (lambda shop: target_stages(forge, shop, target, BOTH),
                 lambda shop: library_stages(forge, shop)):  # fmt: skip
        assert [s.digest for s in made(one)] == [s.digest for s in made(other)]
        configures = [
            c.argv[1]
            for s in made(one)
            for c in s.commands
            if c.argv[0] == "sh" and "/configure" in c.argv[1]
        ]
        assert configures
        assert all(word.startswith("..") for word in configures)


def test_a_changed_flag_changes_its_stage_and_all_after_it(tmp_path: Path) -> None:
    forge, target, shop = load_recipe(), find_target("amd64"), workshop(tmp_path)
    part = msgspec.structs.replace(forge.musl, cflags=("-O3",))
    changed = msgspec.structs.replace(forge, musl=part)
    before = target_stages(forge, shop, target, BOTH)
    after = target_stages(changed, shop, target, BOTH)
    same = [a.digest == b.digest for a, b in zip(before, after, strict=True)]
    assert same == [True, True, False, False, False, False, False]


def stage(folder: Path, *scripts: str, resumable: bool = True) -> Stage:
    commands = tuple(Command(argv=("sh", "-euc", text), cwd=folder) for text in scripts)
    return Stage(name="part", folder=folder, commands=commands, digest=store.digest_of(scripts),
                 resumable=resumable, fresh=(folder,))  # fmt: skip


def worker(root: Path, pool: JobServer) -> Worker:
    return Worker(work=root, logs=root / "logs", console=Console(quiet=True), jobs=pool, pace={})


def test_ccache_stands_before_the_host_compiler_and_changes_no_digest(tmp_path: Path) -> None:
    forge, target, shop = load_recipe(), find_target("amd64"), workshop(tmp_path)
    plain = target_stages(forge, shop, target, BOTH)
    cached = target_stages(forge, msgspec.structs.replace(shop, launcher="ccache"), target, BOTH)
    assert [one.digest for one in cached] == [one.digest for one in plain]
    env, without = cached[0].commands[0].env, plain[0].commands[0].env
    # GCC's checksum of itself holds the words of CC.
    assert {name for name in env if env[name] != without.get(name)} == {
        "PATH", "CCACHE_COMPILERCHECK", "CCACHE_COMPILERTYPE",
        "CCACHE_NODEPEND", "CCACHE_SLOPPINESS", "CCACHE_BASEDIR"}  # fmt: skip
    assert str(env["PATH"]).startswith(f"{shop.host}/ccache:{shop.host}/bin:")
    assert env["CCACHE_COMPILERCHECK"] == "string:x"


def test_ccache_is_used_unasked_where_two_targets_are_of_one_family_and_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    quiet, loud = Console(quiet=True), Console()
    strangers = [find_target(one) for one in ("amd64", "386", "arm64", "armv5")]
    relatives = [*strangers, find_target("armv7")]
    assert not uses_ccache(None, strangers, loud)
    assert not uses_ccache(False, relatives, loud)
    assert not capsys.readouterr().err
    assert not uses_ccache(None, relatives, loud)
    said = " ".join(capsys.readouterr().err.split())
    assert "armv5-alpine-musleabi and armv7-alpine-musleabihf would share" in said
    assert "install ccache" in said
    (tmp_path / "ccache").touch(mode=0o755)
    assert uses_ccache(None, relatives, quiet)
    assert not uses_ccache(None, strangers, quiet)
    assert not uses_ccache(False, relatives, quiet)
    assert uses_ccache(True, strangers, quiet)


def test_a_stage_waits_for_what_others_make(tmp_path: Path) -> None:
    waits = {"part": lambda: (tmp_path / "ready").write_text("x") and None}
    with JobServer(2) as pool:
        worker(tmp_path, pool).do_all(
            (stage(tmp_path / "obj", f"test -f {tmp_path}/ready"),), "t", waits=waits
        )


def test_what_runs_beside_has_ended_when_its_body_fails() -> None:
    ended = []

    def work() -> str:
        time.sleep(0.2)
        ended.append(True)
        return "made"

    with pytest.raises(KeyError), meanwhile(work):
        raise KeyError
    assert ended == [True]
    with meanwhile(work) as made:
        pass
    assert (made(), len(ended)) == ("made", 2)


def test_what_fails_beside_is_raised_when_it_is_asked_for_or_in_the_end() -> None:
    def work() -> None:
        raise ToolchainError("no", hint="none")

    with pytest.raises(ToolchainError), meanwhile(work):
        time.sleep(0.05)
    with pytest.raises(ToolchainError), meanwhile(work) as wait:
        wait()


def test_without_a_go_the_self_check_says_what_was_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GOTOOLFORGE_GO", str(tmp_path / "go"))
    target = find_target("amd64")
    broken = as_toolchain(tmp_path, target, "0" * 64, ("c",))
    broken.cc.parent.mkdir()
    broken.cc.write_text("#!/bin/sh\necho no >&2; exit 1\n")
    broken.cc.chmod(0o755)
    with pytest.raises(ToolchainError) as caught:
        probe.check_toolchain(broken, target, tmp_path, Console())
    assert "threads.c" in caught.value.what
    assert "cgo.go" not in caught.value.what
    assert "no cgo program was tried: no such go" in capsys.readouterr().err


def test_a_stage_is_done_once_and_again_when_its_words_change(tmp_path: Path) -> None:
    folder = tmp_path / "obj"
    with JobServer(2) as pool:
        for _ in range(2):
            timings = worker(tmp_path, pool).do_all((stage(folder, "echo x >> made"),), "t")
            assert timings["part"].lines == 1
        assert (folder / "made").read_text() == "x\n"
        worker(tmp_path, pool).do_all((stage(folder, "echo y >> made"),), "t")
    assert (folder / "made").read_text() == "y\n"


def test_a_failure_shows_the_end_of_the_log_and_the_next_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "obj"
    scripts = ("echo one >> made", "echo why it failed; test -e allowed; echo two >> made")
    with JobServer(2) as pool:
        with pytest.raises(ToolchainError) as caught:
            worker(tmp_path, pool).do_all((stage(folder, *scripts),), "t")
        assert "why it failed" in caught.value.what
        assert Path(caught.value.log).read_text().endswith("why it failed\n")
        old = time.time() - 600
        os.utime(folder / "made", (old, old))
        (tmp_path / "obj" / "allowed").touch()
        os.utime(folder / "allowed", (old, old))
        worker(tmp_path, pool).do_all((stage(folder, *scripts),), "t")
    assert (folder / "made").read_text() == "one\ntwo\n"


_KILLED = """
import sys
from pathlib import Path
from tests.unit.test_forge import JobServer, stage, worker
root = Path(sys.argv[1])
with JobServer(1) as pool:
    worker(root, pool).do_all((stage(root / "obj", *sys.argv[2:]),), "t")
"""


def test_after_sigkill_children_end_and_the_next_run_goes_on(tmp_path: Path) -> None:
    scripts = (
        "echo one >> made; touch -d '10 minutes ago' made",
        "echo $$ > pid; test -e second || { touch second; sleep 60; }; echo two > last",
    )
    words = [sys.executable, "-c", _KILLED, str(tmp_path), *scripts]
    child = subprocess.Popen(words)
    pid, deadline = tmp_path / "obj" / "second", time.monotonic() + 30
    while not pid.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    inner = int((tmp_path / "obj" / "pid").read_text())
    child.send_signal(signal.SIGKILL)
    child.wait()
    while _runs(inner) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(inner)
    # What the stopped command wrote is in doubt and removed, so it would wait again: let it not.
    again = (scripts[0], scripts[1])
    (tmp_path / "obj" / "second").touch()
    old = time.time() - 600
    os.utime(tmp_path / "obj" / "second", (old, old))
    with JobServer(1) as pool:
        worker(tmp_path, pool).do_all((stage(tmp_path / "obj", *again),), "t")
    assert (tmp_path / "obj" / "made").read_text() == "one\n"
    assert (tmp_path / "obj" / "last").read_text() == "two\n"


def _runs(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    try:
        return "State:\tZ" not in status.read_text()
    except OSError:
        return False


def test_what_was_written_last_is_made_again_and_older_work_stays(tmp_path: Path) -> None:
    now = time.time()
    ages = {"old.o": 300, "young.o": 5, "part/config.status": 10, "part/Makefile": 10,
            "part/before.o": 300, "settled/.deps/x.Po": 1, "settled/config.status": 300,
            "settled/young.o": 1}  # fmt: skip
    for name, age in ages.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (now - age, now - age))
    assert forget_unfinished(tmp_path, now - 200) == 3
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert left == {"old.o", "settled/config.status", "settled/.deps", "settled/.deps/x.Po"}


def test_nothing_from_before_the_stage_is_doubted(tmp_path: Path) -> None:
    (tmp_path / "configured").touch()
    assert forget_unfinished(tmp_path, time.time() + 10) == 0


def test_every_make_takes_its_jobs_from_one_pool(tmp_path: Path) -> None:
    with JobServer(3) as pool:
        env = {**os.environ, "MAKEFLAGS": pool.makeflags}
        (tmp_path / "Makefile").write_text("all: a b c\na b c:\n\t@echo $@\n")
        done = subprocess.run(["make"], cwd=tmp_path, env=env, pass_fds=tuple(pool.descriptors),
                              capture_output=True, text=True)  # fmt: skip
        read, _ = sorted(pool.descriptors)
        # Every token is given back.
        assert os.read(read, 10) == b"++"
    assert "jobserver unavailable" not in done.stderr
    assert sorted(done.stdout.split()) == ["a", "b", "c"]


def test_a_logged_command_inherits_the_pool(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text("all: ; @$(MAKE) inner\ninner: a b\na b: ; @echo $@\n")
    made = stage(tmp_path / "obj", f"make -C {tmp_path}")
    with JobServer(2) as pool:
        worker(tmp_path, pool).do_all((made,), "t")
    assert "jobserver unavailable" not in (tmp_path / "logs" / "part.log").read_text()


def test_progress_is_told_by_the_last_time() -> None:
    pace = Pace(seconds=100, lines=1000)
    assert describe(500, 60, pace) == "50%, 1:00 gone, about 1:00 left"
    assert describe(600, 60, pace, before=400) == "60%, 1:00 gone, about 2:00 left"
    assert describe(5000, 60, pace).startswith("99%")
    assert describe(5, 61, None) == "1:01 gone"


def test_progress_knows_that_configure_writes_more_lines_than_a_compiler() -> None:
    # Of 1,000 lines, 750 are written in the first 10 of 100 seconds.
    seen = [(float(second), min(75 * second, 750) + max(0, second - 10) * 250 // 90)
            for second in range(1, 101)]  # fmt: skip
    pace = Pace(seconds=100, lines=1000, marks=marks_of(seen, 100, 1000))
    assert describe(750, 10, pace).startswith("10%")
    # Too early to believe its own speed.
    assert describe(750, 20, pace) == "10%, 0:20 gone, about 1:30 left"
    assert describe(875, 55, pace) == "55%, 0:55 gone, about 0:44 left"
    # Gone on where it was stopped: what is left is still told by its own speed.
    assert describe(875, 90, pace, before=750) == "55%, 1:30 gone, about 1:29 left"
    assert marks_of(seen[:5], 5, 375) == ()


def test_a_hole_is_open_by_version_unless_our_patch_closes_it() -> None:
    patched = ("musl-1.2.5/0001-iconv.patch", "musl-1.2.5/0002-qsort.patch")
    assert not holes.open_holes([("musl", "1.2.5", patched)])
    bare = {one.id for one in holes.open_holes([("musl", "1.2.5", ())])}
    assert bare == {"CVE-2025-26519", "CVE-2026-40200", "CVE-2026-6042"}
    newer = {one.id for one in holes.open_holes([("musl", "1.2.6", ())])}
    assert newer == {"CVE-2026-40200", "CVE-2026-6042"}
    assert not holes.open_holes([("gmp", "1.0", ())])


def made_toolchain(folder: Path) -> Path:
    prefix = folder / "x86_64-alpine-musl-gcc-abc"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin" / "tool").write_text("tool")
    (prefix / "bin" / "tool").chmod(0o755)
    (prefix / "bin" / "alias").symlink_to("tool")
    (prefix / "bin" / "twin").hardlink_to(prefix / "bin" / "tool")
    part = Component(name="musl", version="1.2.5", licence="MIT", file="m", sha256="0" * 64,
                     patches=(Patch(file="p", sha256="1" * 64),))  # fmt: skip
    value = Manifest(target="x86_64-alpine-musl", triple="x86_64-alpine-linux-musl",
                     languages=("c",),
                     digest="ab" * 32, host="x86_64-linux-musl", components=(part,))  # fmt: skip
    manifest.write_all(prefix, value)
    return prefix


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.zst"])
def test_an_export_is_the_same_each_time_and_comes_back_whole(
    tmp_path: Path, own_store: Path, suffix: str
) -> None:
    quiet = Console(quiet=True)
    prefix = made_toolchain(tmp_path / "a")
    first, second = tmp_path / f"1{suffix}", tmp_path / f"2{suffix}"
    transfer.export_toolchain(prefix, first, quiet)
    os.utime(prefix / "bin" / "tool", (1, 1))
    transfer.export_toolchain(prefix, second, quiet)
    assert first.read_bytes() == second.read_bytes()
    final, made = transfer.import_toolchain(first, quiet)
    assert final.parent == own_store / "toolchains"
    assert made.components[0].patches[0].file == "p"
    assert not manifest.changed_files(final)
    assert os.access(final / "bin" / "twin", os.X_OK)


def test_a_damaged_export_is_refused(tmp_path: Path, own_store: Path) -> None:
    quiet = Console(quiet=True)
    prefix = made_toolchain(tmp_path / "a")
    (prefix / "bin" / "tool").write_text("something else")
    file = tmp_path / "x.tar.xz"
    transfer.export_toolchain(prefix, file, quiet)
    with pytest.raises(ToolchainError, match="bin/tool has changed"):
        transfer.import_toolchain(file, quiet)
    assert not [*(own_store / "toolchains").glob("*")]


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.zst"])
def test_a_cut_export_is_named_and_how_to_get_a_whole_one_is_said(
    tmp_path: Path, own_store: Path, suffix: str
) -> None:
    quiet = Console(quiet=True)
    prefix = made_toolchain(tmp_path / "a")
    (prefix / "bin" / "tool").write_bytes(os.urandom(1 << 20))
    file = tmp_path / f"cut{suffix}"
    transfer.export_toolchain(prefix, file, quiet)
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(ToolchainError, match=r"cut\.tar\.\w+ is not a whole archive") as caught:
        transfer.import_toolchain(file, quiet)
    assert "export it again" in str(caught.value.hint)
    assert not [*(own_store / "toolchains").glob("*")]


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.zst"])
def test_an_export_for_which_there_is_no_room_is_not_called_damaged(
    tmp_path: Path, own_store: Path, suffix: str
) -> None:
    prefix, file = made_toolchain(tmp_path / "a"), tmp_path / f"x{suffix}"
    (prefix / "bin" / "tool").write_bytes(bytes(1 << 20))
    manifest.write_all(prefix, manifest.load_manifest(prefix))
    transfer.export_toolchain(prefix, file, Console(quiet=True))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(StoreError, match="File too large") as caught:
            transfer.import_toolchain(file, Console(quiet=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "GOTOOLFORGE_CACHE" in str(caught.value.hint)
    assert not [*(own_store / "toolchains").glob("*")]


def test_changed_missing_and_new_files_are_told_apart(tmp_path: Path) -> None:
    prefix = made_toolchain(tmp_path)
    (prefix / "bin" / "alias").unlink()
    (prefix / "bin" / "new").touch()
    (prefix / "bin" / "tool").chmod(0o644)
    assert sorted(manifest.changed_files(prefix)) == [
        "bin/alias is missing",
        "bin/new was not there",
        "bin/tool has changed",
        "bin/twin has changed",
    ]


def test_the_sbom_names_components_licences_and_patches(tmp_path: Path) -> None:
    text = json.loads((made_toolchain(tmp_path) / manifest.SBOM).read_text())
    assert text["bomFormat"] == "CycloneDX"
    (row,) = text["components"]
    assert row["licenses"] == [{"expression": "MIT"}]
    assert row["pedigree"]["patches"][0]["diff"]["url"] == "p"
