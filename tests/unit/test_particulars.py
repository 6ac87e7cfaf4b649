"""What is told of a file beside its verdict, on facts made up for each."""

import zlib
from pathlib import Path

import msgspec
import pytest

from gotoolforge import particulars
from gotoolforge.buildpaths import find_build_paths
from gotoolforge.dynsym import Symbol
from gotoolforge.filebytes import FileBytes
from gotoolforge.notes import Note

from .test_judgement import PLAIN, checks


@pytest.mark.parametrize(
    ("machine", "bits", "flags", "words"),
    [
        ("EM_ARM", 32, 0x5000400, ("EABI version 5", "hard-float ABI")),
        ("EM_ARM", 32, 0x5000200, ("EABI version 5", "soft-float ABI")),
        ("EM_ARM", 32, 0x5000000, ("EABI version 5", "float ABI not said")),
        ("EM_MIPS", 32, 0x70001007, ("ABI o32", "ISA MIPS32 release 2")),
        ("EM_MIPS", 64, 0x80000007, ("ABI n64", "ISA MIPS64 release 2")),
        ("EM_MIPS", 32, 0x60000020, ("ABI n32", "ISA MIPS64")),
        ("EM_RISCV", 64, 0x5, ("double-float ABI", "compressed instructions (RVC)")),
        ("EM_RISCV", 64, 0x0, ("soft-float ABI",)),
        ("EM_LOONGARCH", 64, 0x43, ("double-float ABI", "object ABI version 1")),
        ("EM_PPC64", 64, 2, ("ABI ELFv2",)),
        ("EM_X86_64", 32, 0, ("ABI x32",)),
        ("EM_X86_64", 64, 0, ()),
        ("EM_AARCH64", 64, 0, ()),
    ],
)
def test_flags_in_words(machine: str, bits: int, flags: int, words: tuple[str, ...]) -> None:
    facts = msgspec.structs.replace(PLAIN, machine=machine, bits=bits, flags=flags)
    assert particulars.abi_words(facts) == words


def test_a_mips_file_names_its_float_abi_in_a_segment() -> None:
    facts = msgspec.structs.replace(PLAIN, machine="EM_MIPS", bits=32, flags=0x1000, mips_float=3)
    assert particulars.abi_words(facts)[-1] == "soft-float ABI"


def test_notes_in_words_and_build_ids() -> None:
    tag = b"".join(one.to_bytes(4, "little") for one in (0, 3, 2, 0)).hex()
    notes = (Note("GNU", 1, tag), Note("GNU", 3, "abcd"), Note("Go", 4, b"a/b/c/d".hex()),
             Note("GNU", 1, "00"), Note("x", 9, "00"))  # fmt: skip
    facts = msgspec.structs.replace(PLAIN, notes=notes)
    assert [one.words for one in particulars.told_notes(facts)] == [
        "ABI tag: for Linux 3.2.0 or newer", "build id", "Go's build id", "ABI tag: cut short", "",
    ]  # fmt: skip
    assert particulars.build_id(facts) == "abcd"
    assert particulars.go_build_id(facts) == "a/b/c/d"
    assert particulars.go_build_id(PLAIN) is None


def test_what_is_loaded_depends_on_the_libc_and_the_linkage() -> None:
    asked = (Symbol(name="dlopen", version="GLIBC_2.34"), Symbol(name="getaddrinfo"),
             Symbol(name="iconv_open", defined=True))  # fmt: skip
    dynamic = msgspec.structs.replace(PLAIN, dynamic_symbols=asked)
    told = {one.kind: one.evidence for one in particulars.loads(dynamic, "glibc-dynamic")}
    assert told == {"dlopen": ("it asks for dlopen@GLIBC_2.34",), "nss": (
        "it asks for getaddrinfo",)}  # fmt: skip
    assert [one.kind for one in particulars.loads(dynamic, "musl-dynamic")] == ["dlopen"]
    static = msgspec.structs.replace(PLAIN, dynamic_symbols=(), strings=("libnss_",))
    (only,) = particulars.loads(static, "glibc-static")
    assert (only.kind, only.evidence) == ("nss", ("it has the string 'libnss_'",))
    assert particulars.loads(static, "no-libc") == ()


def test_glibc_only_symbols_are_those_left_undefined() -> None:
    names = (Symbol(name="__printf_chk"), Symbol(name="fopen64", defined=True),
             Symbol(name="__stack_chk_fail"), Symbol(name="open64"))  # fmt: skip
    facts = msgspec.structs.replace(PLAIN, dynamic_symbols=names)
    assert particulars.glibc_only(facts) == ("__printf_chk", "open64")


def test_rpath_and_runpath_are_told_apart() -> None:
    assert checks(rpath="/home/me/lib") == ["runpath-of-builder"]
    assert checks(rpath="/tmp/a", runpath="/home/me/lib") == ["runpath-of-builder"] * 2


def found(path: Path, raw: bytes, sections: dict[str, object] | None = None) -> dict[str, int]:
    path.write_bytes(raw)
    with path.open("rb") as handle:
        data = FileBytes(handle.fileno())
        rows = find_build_paths(data, [(0, data.size)], sections or {}, bits=64, ends="<")
        return {one.folder: one.names for one in rows}


def test_paths_of_the_build_machine_are_source_files_below_known_folders(tmp_path: Path) -> None:
    words = [b"/home/alice/src/a.c", b"/home/alice/src/b.h", b"/usr/src/linux/x.S", b"/etc/passwd",
             b"/home/alice/.config", b"/tmp/go-build/cgo.c", b"/_/x/y.go", b"net/home/x/y.go",
             b"github.com/x/src/z/y.go"]  # fmt: skip
    assert found(tmp_path / "a", b"\0".join(words) + b"\0") == {
        "/home/alice/src": 2, "/usr/src/linux": 1,
    }  # fmt: skip


def test_a_path_across_two_pieces_is_whole_and_counted_once(tmp_path: Path) -> None:
    raw = bytes((1 << 20) - 5) + b"/home/alice/src/deep/a.c\0" + bytes(2000)
    assert found(tmp_path / "a", raw) == {"/home/alice/src": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_debug_sections_name_folders_too_compressed_or_not(tmp_path: Path, packed: bool) -> None:
    text = b"\0/home/bob/work\0/etc/x\0"
    raw = b"\1\0\0\0" + bytes(20) + zlib.compress(text) if packed else text
    header = {"sh_offset": 0, "sh_size": len(raw), "sh_type": "SHT_PROGBITS",
              "sh_flags": 0x800 if packed else 0}  # fmt: skip
    assert found(tmp_path / "a", raw, {".debug_str": header}) == {"/home/bob": 1}
