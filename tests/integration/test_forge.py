"""The forge for real: a C toolchain from source, what it makes, and what it must not depend on.

The toolchain is forged once for a store (CI keeps one in the user's cache folder) and shared here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import pytest

from gotoolforge import sources, store
from gotoolforge.console import Console
from gotoolforge.elf import read_elf
from gotoolforge.errors import ToolchainError
from gotoolforge.forge.build import fetch_components
from gotoolforge.forge.host_gcc import prepare_gcc
from gotoolforge.forge.identity import as_toolchain, host_triple
from gotoolforge.forge.manifest import load_manifest
from gotoolforge.forge.probe import check_toolchain
from gotoolforge.forge.recipe import load_recipe
from gotoolforge.forge.stages import target_stages
from gotoolforge.forge.workshop import Workshop
from gotoolforge.forge.wrapping import share_scripts
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.target import find_target

from .conftest import EXAMPLES, Run, gotoolforge

pytestmark = [pytest.mark.forge, pytest.mark.go]
TRIPLE = "x86_64-alpine-linux-musl"
CGO = """\
package main

// #include <stdlib.h>
import "C"

func main() { println(C.abs(-42)) }
"""


@pytest.fixture(scope="module")
def prefix(languages: str) -> Path:
    done = gotoolforge("toolchain", "build", "amd64", "--languages", languages)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.fixture
def gcc(languages: str) -> dict[str, str]:
    """The environment that builds with it."""
    return {"GOTOOLFORGE_LANGUAGES": languages, "GOTOOLFORGE_TOOLCHAIN": "gcc"}


def elf_files(prefix: Path) -> list[Path]:
    """The toolchain's own programs: ELF files outside the target's libraries."""
    return [
        one
        for one in prefix.rglob("*")
        if one.is_file()
        and not one.is_symlink()
        and one.suffix not in {".o", ".a", ".so"}
        and one.read_bytes().startswith(b"\x7fELF")
    ]


def test_it_is_not_forged_twice(prefix: Path, languages: str) -> None:
    done = gotoolforge("toolchain", "build", "amd64", "--languages", languages, "--offline")
    assert (done.returncode, done.stdout.strip()) == (0, str(prefix))
    assert not done.stderr
    words = ("toolchain", "build", "amd64", "--languages", languages, "--json")
    value = json.loads(gotoolforge(*words).stdout)
    row = {"target": "x86_64-alpine-musl", "prefix": str(prefix)}
    assert value == {"version": 1, "toolchains": [row]}


def test_its_own_programs_need_nothing_of_a_host(prefix: Path) -> None:
    programs = elf_files(prefix)
    assert {"cc1", f"{TRIPLE}-gcc", f"{TRIPLE}-ld"} <= {one.name for one in programs}
    done = gotoolforge("verify", "--json", *map(str, programs))
    verdicts = {one["path"]: one["verdict"] for one in json.loads(done.stdout)["files"]}
    assert done.returncode == 0, verdicts
    assert set(verdicts.values()) == {"musl-static"}


def test_the_self_check_names_what_fails(
    prefix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, target = load_manifest(prefix), find_target("amd64")
    whole = as_toolchain(prefix, target, made.digest, made.languages)
    outcomes = check_toolchain(whole, target, store.ensure_dir(tmp_path / "one"), Console())
    assert outcomes[-1].probe == "cgo.go"
    assert not capsys.readouterr().err
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-a", prefix, broken], check=True)
    for file in broken.rglob("libatomic.a"):
        file.unlink()
    strip = broken / "bin" / f"{TRIPLE}-strip"
    strip.unlink()
    shutil.copy("/bin/ls", strip)
    other = as_toolchain(broken, target, made.digest, made.languages)
    with pytest.raises(ToolchainError) as caught:
        check_toolchain(other, target, store.ensure_dir(tmp_path / "two"), Console())
    bad = [line.split(":")[0].split()[0] for line in caught.value.what.splitlines()[1:]]
    assert {"atomics.c", f"bin/{TRIPLE}-strip"} <= set(bad)
    assert not {"threads.c", "cgo.go"} & set(bad)


def test_no_file_holds_a_path_of_the_machine_that_made_it(prefix: Path) -> None:
    needles = [str(store.place()).encode(), str(Path.home()).encode() + b"/"]
    guilty = [
        one.relative_to(prefix).as_posix()
        for one in prefix.rglob("*")
        if one.is_file() and any(needle in one.read_bytes() for needle in needles)
    ]
    assert not guilty
    said = subprocess.run([prefix / "bin" / f"{TRIPLE}-gcc", "-v"], capture_output=True, text=True)
    assert "--with-build-sysroot=/forge/" in said.stderr


@pytest.mark.parametrize("pie", [[], ["--pie"]])
def test_a_cgo_program_is_built_runs_and_is_static(
    prefix: Path, tool: Run, tmp_path: Path, gcc: dict[str, str], pie: list[str]
) -> None:
    out = tmp_path / "sqlite"
    done = tool("build", *pie, "-o", str(out), ".", cwd=EXAMPLES / "sqlite", **gcc)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([out], capture_output=True, text=True, check=True).stdout
    (report,) = json.loads(tool("verify", "--json", str(out)).stdout)["files"]
    assert report["verdict"] == "musl-static"
    assert report["linkage"] == ("static-pie" if pie else "static")
    assert report["stack_size"] == 8 << 20
    # The system calls of what GCC makes of musl can be told; without names, more seems reachable.
    bare = tmp_path / "stripped"
    subprocess.run([prefix / "bin" / f"{TRIPLE}-strip", "-o", bare, out], check=True)
    whole, stripped = list_calls(out), list_calls(bare)
    assert set(whole.reachable) <= set(stripped.reachable)
    assert whole.unsure == ()


def test_cxx_is_built_or_what_it_needs_is_said(
    prefix: Path, tool: Run, tmp_path: Path, gcc: dict[str, str], languages: str
) -> None:
    out = tmp_path / "cxx"
    done = tool("build", "-o", str(out), ".", cwd=EXAMPLES / "cxx", **gcc)
    if languages == "c":
        assert done.returncode == 14
        assert "C++" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        subprocess.run([out], check=True)


@pytest.mark.parametrize("triple", [TRIPLE, "x86_64-linux-musl"])
def test_a_plain_go_build_works_with_either_spelling(
    prefix: Path, tmp_path: Path, triple: str
) -> None:
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text(CGO)
    env = {**os.environ, "CGO_ENABLED": "1", "CC": str(prefix / "bin" / f"{triple}-gcc"),
           "GOCACHE": str(tmp_path / "cache")}  # fmt: skip
    words = ["go", "build", "-ldflags=-linkmode=external -extldflags=-static", "-o", "app", "."]
    subprocess.run(words, cwd=tmp_path, env=env, check=True)
    said = subprocess.run([tmp_path / "app"], capture_output=True, text=True, check=True)
    assert said.stderr == "42\n"


def test_moved_into_a_root_without_any_libc_it_still_compiles_cgo(
    prefix: Path, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for name in ("tool", "go", "src", "tmp", "dev", "proc", "bin"):
        (root / name).mkdir(parents=True)
    shutil.copytree(prefix, root / "tool", symlinks=True, dirs_exist_ok=True)
    (root / "src" / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    (root / "src" / "main.go").write_text(CGO)
    goroot = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True)
    script = (
        f"mount --bind {goroot.stdout.strip()} {root}/go && mount --rbind /dev {root}/dev && "
        f"mount -t proc proc {root}/proc && exec chroot {root} /go/bin/go build -C /src -o app "
        "'-ldflags=-linkmode=external -extldflags=-static' ."
    )
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/tool/bin", "HOME": "/tmp", "CGO_ENABLED": "1",
           "CC": f"/tool/bin/{TRIPLE}-gcc", "GOTOOLCHAIN": "local"}  # fmt: skip
    words = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "sh", "-euc"]
    done = subprocess.run([*words, script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = subprocess.run([root / "src" / "app"], capture_output=True, text=True, check=True)
    assert said.stderr == "42\n"


def test_it_travels_as_one_file(
    prefix: Path, tool: Run, tmp_path: Path, gcc: dict[str, str]
) -> None:
    file, other = tmp_path / "c.tar.zst", str(tmp_path / "other store")
    assert tool("toolchain", "export", "amd64", str(file), **gcc).returncode == 0
    assert file.stat().st_size < 60_000_000
    taken = tool("toolchain", "import", str(file), GOTOOLFORGE_CACHE=other)
    assert taken.returncode == 0, taken.stderr
    out = tmp_path / "resolver"
    done = tool("build", "--cgo", "on", "--offline", "-o", str(out), ".",
                cwd=EXAMPLES / "resolver", GOTOOLFORGE_CACHE=other, **gcc)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert tool("toolchain", "verify", "amd64", GOTOOLFORGE_CACHE=other).returncode == 0


def test_a_config_mak_names_the_target_and_where_to_put_it(
    prefix: Path, languages: str, tool: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.mak").write_text("TARGET = x86_64-linux-musl\nOUTPUT = cross\n")
    words = ("toolchain", "build", "--languages", languages, "--config-mak", "config.mak")
    for _ in range(2):  # the second time over the first copy
        done = tool(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "cross"
    (tmp_path / "one.c").write_text("int main(void) { return 0; }\n")
    compiler = tmp_path / "cross" / "bin" / "x86_64-linux-musl-gcc"
    subprocess.run([compiler, "-static", "one.c", "-o", "one"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "one"], check=True)
    (tmp_path / "config.mak").write_text("TARGET = x86_64-linux-musl\nOUTPUT = .\n")
    refused = tool(*words, cwd=tmp_path)
    assert refused.returncode == 16
    assert "is not a toolchain of the forge" in refused.stderr
    assert (tmp_path / "one.c").is_file()


def test_status_knows_that_it_is_current_and_has_no_known_hole(prefix: Path, tool: Run) -> None:
    rows = json.loads(tool("toolchain", "status", "--json").stdout)["toolchains"]
    (mine,) = [one for one in rows if one["prefix"] == str(prefix)]
    assert mine["current"]
    assert not mine["holes"]


_HOST_ONLY = """
import sys
from gotoolforge import sources
from gotoolforge.console import Console
from gotoolforge.forge.build import fetch_components
from gotoolforge.forge.host import ensure_compiler, ensure_libraries
from gotoolforge.forge.jobserver import JobServer
from gotoolforge.forge.recipe import load_recipe
forge, console = load_recipe(), Console(quiet=True)
fetched = fetch_components(forge, console, offline=True)
names = ("zig", "gmp", "mpfr", "mpc")
trees = {name: sources.ensure_tree(fetched[name], console) for name in names}
host = ensure_compiler(forge, trees["zig"], [trees[name] for name in names[1:]], "", console)
with JobServer(2) as pool:
    ensure_libraries(forge, host, trees, pool, console, launcher=" ".join(sys.argv[1:]))
print(host)
"""


def make_host(place: Path, *launcher: str, **env: str) -> Path:
    """The host compiler and its libraries, made in a store that has only what was downloaded."""
    for shared in ("downloads", "zig"):
        if place != store.place() and not (place / shared).exists():
            store.ensure_dir(place)
            (place / shared).symlink_to(store.place(shared))
    done = subprocess.run(
        [sys.executable, "-c", _HOST_ONLY, *launcher],
        env={**os.environ, "GOTOOLFORGE_CACHE": str(place), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def forge_the_cheap_stages(place: Path, *launcher: str, **env: str) -> dict[str, str]:
    """Digests of the host libraries."""
    lib = make_host(place, *launcher, **env) / "lib"
    return {one: store.file_sha256(lib / one) for one in ("libgmp.a", "libmpfr.a", "libmpc.a")}


def test_the_cheap_stages_come_out_the_same_in_another_folder(prefix: Path, tmp_path: Path) -> None:
    # The first time is that of the store.
    first = forge_the_cheap_stages(store.place())
    assert forge_the_cheap_stages(tmp_path / "another" / "place") == first


def test_a_further_target_is_told_what_the_host_can_do(prefix: Path, tmp_path: Path) -> None:
    forge, console = load_recipe(), Console(quiet=True)
    fetched = fetch_components(forge, console, offline=True)["binutils"]
    tree = sources.ensure_tree(fetched, console, sources.Changes(skip=forge.skip["binutils"]))
    # A host that has forged nothing yet.
    host = tmp_path / "host"
    shutil.copytree(make_host(store.place()), host, ignore=shutil.ignore_patterns("answers", "lib"))
    (host / "answers").mkdir()
    made: list[str] = []
    said: list[int] = []
    for target in (find_target("amd64"), find_target("arm64")):
        shop = Workshop(
            root=tmp_path,
            work=tmp_path / target.name,
            host=host,
            sources=dict.fromkeys(forge.sources, tree),
            host_triple=host_triple(),
        )
        store.ensure_dir(shop.answers)
        stage = target_stages(forge, shop, target, ("c",))[0]
        folder = store.ensure_dir(stage.folder)
        configure, share = stage.commands[0], stage.commands[-1]
        env = {**os.environ, **{name: value or "" for name, value in configure.env.items()}}
        for argv in (configure.argv, ("make", "configure-libiberty"), share.argv):
            done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            said.append(done.stdout.count("(cached)"))
        made.append((folder / "libiberty" / "config.h").read_text())
    assert said[1] < 50 < 100 < said[4]
    assert made[0] == made[1]
    (answers,) = (host / "answers").iterdir()
    assert "alpine" not in answers.read_text()


def test_what_the_recipe_empties_would_compile_to_nothing(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge, console = load_recipe(), Console(quiet=True)
    fetched = fetch_components(forge, console, offline=True)["gcc"]
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(tmp_path))
    rest = ("[!g]*", "gcc/[!aM]*", "gcc/a[!n]*")
    tree = sources.ensure_tree(fetched, console, sources.Changes(skip=rest))
    emptied = [path for pattern in forge.empty["gcc"] for path in tree.glob(pattern)]
    assert len(emptied) == 47
    for path in emptied:
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(), flags=re.DOTALL)
        before, body = text.split("#if ENABLE_ANALYZER", 1)
        assert {line.split(" ")[0] for line in before.splitlines()} <= {"", "#include", "#define"}
        ends = [{"#if": 1, "#en": -1}.get(line[:3], 0) for line in body.strip().splitlines()]
        # Only its last line ends it.
        assert list(accumulate(ends)).index(-1) == len(ends) - 1, path


@pytest.mark.long
def test_ccache_makes_the_same_and_knows_it_the_second_time(prefix: Path, tmp_path: Path) -> None:
    assert shutil.which("ccache"), "scripts/test --run-long installs it"
    env = {"CCACHE_DIR": str(tmp_path / "ccache")}
    place, made = tmp_path / "place", []
    for _ in range(2):
        shutil.rmtree(place / "forge", ignore_errors=True)
        made.append(forge_the_cheap_stages(place, "ccache", **env))
    assert made[0] == made[1] == forge_the_cheap_stages(store.place())
    said = subprocess.run(["ccache", "--print-stats"], env={**os.environ, **env},
                          capture_output=True, text=True, check=True)  # fmt: skip
    stats = dict(line.split("\t") for line in said.stdout.splitlines())
    hits = int(stats["direct_cache_hit"]) + int(stats["preprocessed_cache_hit"])
    assert hits > int(stats["cache_miss"]) * 0.9


@pytest.mark.long
def test_two_of_one_family_share_what_is_alike_and_are_what_they_are_alone(
    tool: Run, tmp_path: Path
) -> None:
    assert shutil.which("ccache"), "scripts/test --run-long installs it"
    together, alone = tmp_path / "together", tmp_path / "alone"
    for place in (together, alone):
        place.mkdir()
        (place / "downloads").symlink_to(store.place("downloads"))
    words = ("toolchain", "build", "--languages", "c")
    both = tool(*words, "armv6", "armv5", GOTOOLFORGE_CACHE=str(together),
                CCACHE_DIR=str(tmp_path / "ccache"))  # fmt: skip
    one = tool(*words, "armv5", GOTOOLFORGE_CACHE=str(alone))
    assert (both.returncode, one.returncode) == (0, 0), both.stderr + one.stderr
    first, second = (Path(line) for line in both.stdout.split())
    plain = Path(one.stdout.strip())
    assert json.loads((second / "files.json").read_text()) == json.loads(
        (plain / "files.json").read_text()
    )
    spent = [load_manifest(made).cpu_seconds["xgcc"] for made in (first, second, plain)]
    # Not how long it takes, but that most of GCC was not compiled again.
    assert spent[1] < 0.6 * min(spent[0], spent[2]), spent


def test_the_machines_gcc_compiles_static_programs_that_name_no_folder(tmp_path: Path) -> None:
    source = tmp_path / "file.cc"
    source.write_text("#include <string>\nint main() { return std::string(__FILE__).empty(); }\n")
    prepare_gcc("", tmp_path / "host")
    subprocess.run([tmp_path / "host/bin/host-c++", source, "-o", tmp_path / "made"], check=True)
    subprocess.run([tmp_path / "made"], check=True)
    facts = read_elf(tmp_path / "made")
    assert (facts.interpreter, tuple(facts.needed)) == (None, ())
    refused = tmp_path / "x86_64-none-g++"
    refused.write_text("#!/bin/sh\necho cannot find -lstdc++ >&2; exit 1\n")
    refused.chmod(0o755)
    with pytest.raises(ToolchainError, match="cannot find -lstdc"):
        prepare_gcc(f"{tmp_path}/x86_64-none-", tmp_path / "other")


@pytest.mark.parametrize("name", ["zig", "machine"])
def test_precompiled_headers_change_nothing_that_is_compiled(
    name: str, prefix: Path, tmp_path: Path
) -> None:
    if name == "zig":
        shutil.copytree(make_host(store.place()), tmp_path / "host", symlinks=True)
    else:
        store.ensure_dir(tmp_path / "host")
        prepare_gcc("", tmp_path / "host")
    share_scripts(tmp_path / "host")
    headers = store.ensure_dir(tmp_path / "headers")
    src = store.ensure_dir(tmp_path / "src")
    once = "#pragma once\n"
    named = "inline const char *beside() { return __FILE__; }\n"
    (tmp_path / "config.h").write_text(f"{once}#include <string>\n{named}")
    (src / "system.h").write_text(f"{once}inline const char *here() {{ return __FILE__; }}\n")
    (tmp_path / "coretypes.h").write_text(f"{once}inline int line() {{ return __LINE__; }}\n")
    begins = "".join(f'#include "{one}.h"\n' for one in ("config", "system", "coretypes"))
    rest = "std::string f() { return here() + std::to_string(line() + __LINE__) + beside(); }\n"
    for place in (src, tmp_path):
        (place / "x.cc").write_text(f"// first\n{begins}{rest}")

    def compiled(headers: str, source: str = "src/x.cc") -> bytes:
        compiler = tmp_path / "host/bin/host-c++"
        argv = (compiler, "-O1", "-I.", "-Isrc", "-c", source, "-o", "x.o")
        env = {**os.environ, "FORGE_HEADERS": headers}
        subprocess.run(argv, cwd=tmp_path, env=env, check=True)
        return (tmp_path / "x.o").read_bytes()

    first = compiled("")
    assert all(compiled(str(headers)) == first for _ in range(3))
    (precompiled,) = headers.glob("*.gch")
    # Without it the source is compiled all the same.
    precompiled.write_bytes(b"no header")
    assert compiled(str(headers)) == first
    beside = compiled("", "x.cc")
    assert all(compiled(str(headers), "x.cc") == beside for _ in range(3))
    assert len(list(tmp_path.glob("*.gch"))) == 1


@pytest.mark.long
@pytest.mark.parametrize(("name", "libc"), [("machine", "glibc"), ("forged", "musl")])
def test_another_host_compiler_makes_the_same_code(
    name: str, libc: str, prefix: Path, tmp_path: Path
) -> None:
    words = ("toolchain", "build", "amd64", "--languages", "c", "--host-compiler", name)
    done = gotoolforge(*words)
    assert done.returncode == 0, done.stderr
    assert ("which is a fallback" in done.stderr) == (libc == "glibc")
    other = Path(done.stdout.strip())
    assert other != prefix
    programs = [read_elf(one) for one in elf_files(other)]
    assert len(programs) > 20
    assert not any(one.interpreter or one.needed for one in programs)
    made = load_manifest(other)
    assert (made.host_compiler, f"static {libc}" in made.host_words) == (name, True)
    # What is compiled for the target does not depend on what compiled the compiler.
    crt = f"{TRIPLE}/lib/libc.a"
    assert store.file_sha256(other / crt) == store.file_sha256(prefix / crt)
    rows = json.loads(gotoolforge("toolchain", "status", "--json").stdout)["toolchains"]
    assert next(one for one in rows if one["prefix"] == str(other))["current"]
    source = tmp_path / "main.go"
    source.write_text(CGO)
    env = {"GOTOOLFORGE_HOST_COMPILER": name, "GOTOOLFORGE_LANGUAGES": "c"}
    built = gotoolforge("build", "--toolchain", "gcc", "--target", "amd64", "-o",
                        str(tmp_path / "app"), str(source), **env)  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert subprocess.run([tmp_path / "app"], capture_output=True).stderr == b"42\n"
