"""What `verify --json` says of real files, beside what readelf says of them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ..corpus.cases import Corpus
from ..corpus.making import HELLO, LOADS, PURE, archive, cc, go, run
from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.corpus]
FORTIFIED = '#include <stdio.h>\nint old(void) { char b[9]; return sprintf(b, "%d", getchar()); }\n'


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


def told(tool: Run, path: Path) -> dict[str, Any]:
    done = tool("verify", "--json", str(path))
    assert done.returncode in (0, 1), done.stderr
    (report,) = json.loads(done.stdout)["files"]
    return dict(report)


def kinds(report: dict[str, Any]) -> set[str]:
    return {one["kind"] for one in report["loads"]}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("c-pie", ()),
        ("arm-linux-gnueabihf-dynamic", ("EABI version 5", "hard-float ABI")),
        ("riscv64-linux-gnu-dynamic", ("double-float ABI", "compressed instructions (RVC)")),
        ("powerpc64le-linux-gnu-dynamic", ("ABI ELFv2",)),
        ("s390x-linux-gnu-dynamic", ()),
        ("go-mips", ("ABI o32",)),
        ("object", ()),
    ],
)
def test_the_header_is_told_as_readelf_tells_it(
    tool: Run, corpus: Corpus, name: str, words: tuple[str, ...]
) -> None:
    path = corpus.path(name)
    report = told(tool, path)
    said = run(["readelf", "-W", "-h", "-n", path], LC_ALL="C")
    header = dict(re.findall(r"^  ([^:\n]+):\s*(.*)$", said, re.M))
    assert header["Type"].startswith(report["type"])
    assert header["Class"] == f"ELF{report['bits']}"
    assert f"{report['order']} endian" in header["Data"]
    assert int(header["Flags"].split(",")[0], 16) == report["flags"]
    assert set(words) <= set(report["abi"])
    assert bool(report["pie"]) == (report["type"] == "DYN")
    if report["build_id"]:
        assert f"Build ID: {report['build_id']}" in said
    assert len(report["notes"]) == len(re.findall(r"^  \S.*0x[0-9a-f]{8}\s", said, re.M))


def test_go_notes_and_build_info_are_told(tool: Run, corpus: Corpus) -> None:
    path = corpus.path("go-amd64")
    report = told(tool, path)
    assert report["go_build_id"] == run(["go", "tool", "buildid", path]).strip()
    assert "Go's build id" in {one["words"] for one in report["notes"]}
    assert report["go"]["settings"]["CGO_ENABLED"] == "0"


def test_rpath_and_runpath_are_told_apart(tool: Run, tmp_path: Path) -> None:
    new = told(tool, cc(tmp_path / "new", "-Wl,-rpath,$ORIGIN/lib,--enable-new-dtags"))
    old = told(tool, cc(tmp_path / "old", "-Wl,-rpath,$ORIGIN/lib,--disable-new-dtags"))
    assert (new["rpath"], new["runpath"]) == (None, "$ORIGIN/lib")
    assert (old["rpath"], old["runpath"]) == ("$ORIGIN/lib", None)


def test_versions_that_a_library_defines_are_told(tool: Run, tmp_path: Path) -> None:
    script = tmp_path / "versions"
    script.write_text("MINE_1.0 { global: old; };\nMINE_1.1 { global: newer; } MINE_1.0;\n")
    text = "int old(void) { return 1; }\nint newer(void) { return 2; }\n"
    flags = ("-shared", "-fPIC", f"-Wl,--version-script={script}")
    report = told(tool, cc(tmp_path / "lib.so", *flags, text=text))
    assert {"MINE_1.0", "MINE_1.1"} <= set(report["offers"])
    assert not report["pie"]


@pytest.mark.parametrize(
    ("name", "wanted", "unwanted"),
    [
        ("go-std-cgo", {"nss"}, {"dlopen"}),
        ("c-pie", set(), {"nss", "dlopen", "iconv", "locale"}),
        ("c-static", {"iconv", "locale"}, {"nss", "dlopen"}),
        ("c-static-lookup", {"nss"}, {"dlopen"}),
        ("c-static-dlopen", {"iconv"}, {"nss"}),
        ("trixie-static-s", {"iconv", "locale"}, {"nss"}),
        ("musl-gcc-lookup", set(), {"nss", "dlopen", "iconv", "locale"}),
    ],
)
def test_what_is_loaded_at_run_time_is_told_with_evidence(
    tool: Run, corpus: Corpus, name: str, wanted: set[str], unwanted: set[str]
) -> None:
    report = told(tool, corpus.path(name))
    assert wanted <= kinds(report)
    assert not unwanted & kinds(report)
    assert all(one["evidence"] for one in report["loads"])
    if name == "go-std-cgo":
        (nss,) = report["loads"]
        assert any(one.endswith("from package net") for one in nss["evidence"])


def test_dlopen_in_static_musl_is_told_to_fail(tool: Run, tmp_path: Path) -> None:
    (load,) = told(tool, cc(tmp_path / "a", "-static", "-s", by="musl-gcc", text=LOADS))["loads"]
    assert "always fails" in load["says"]


def test_paths_of_the_build_machine(tool: Run, tmp_path: Path) -> None:
    told_by = HELLO.replace('"hello"', "__FILE__")
    for name, flags in (("debug", ("-g",)), ("packed", ("-g", "-gz")), ("plain", ())):
        where = f"-ffile-prefix-map={tmp_path}=/home/somebody/src"
        report = told(tool, cc(tmp_path / name, where, *flags, text=told_by))
        folders = {one["folder"] for one in report["build_paths"]}
        assert any(one.startswith("/home/somebody") for one in folders), name
    clean = told(tool, cc(tmp_path / "clean", f"-ffile-prefix-map={tmp_path}=.", text=told_by))
    assert clean["build_paths"] == []


def test_trimmed_go_names_no_machine_and_untrimmed_does(tool: Run, tmp_path: Path) -> None:
    text = "package main\n\n//line /home/somebody/src/a.go:1\nfunc main() { println() }\n"
    loose = told(tool, go(tmp_path / "loose", source=text, **PURE))
    assert "/home/somebody/src/a.go" in {one["example"] for one in loose["build_paths"]}
    assert told(tool, go(tmp_path / "trimmed", "-trimpath", **PURE))["build_paths"] == []


def test_an_object_and_an_archive_for_glibc_are_told(tool: Run, tmp_path: Path) -> None:
    flags = ("-c", "-O2", "-D_FORTIFY_SOURCE=2")
    made = cc(tmp_path / "old.o", *flags, text=FORTIFIED)
    assert told(tool, made)["glibc_only"] == ["__sprintf_chk"]
    many = archive(tmp_path / "libold.a", *[made] * 50)
    assert told(tool, many)["glibc_only"] == ["__sprintf_chk"]
    assert told(tool, cc(tmp_path / "plain.o", "-c", "-O0"))["glibc_only"] == []
    lying = tmp_path / "lying.a"
    lying.write_bytes(many.read_bytes()[:56] + b"-60       `\n" + bytes(100))
    done = subprocess.run(["ar", "t", lying], capture_output=True)
    assert done.returncode
    assert told(tool, lying)["verdict"] == "not-executable"
