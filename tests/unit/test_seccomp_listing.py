"""The listing on machine code written out by hand, in the smallest ELF files that hold it."""

import struct
from pathlib import Path

import pytest

from gotoolforge.errors import TargetError, UnreadableError
from gotoolforge.seccomp import numbers
from gotoolforge.seccomp.listing import Listing, list_calls

BASE = 0x400000
CODE = BASE + 0x1000


def elf(path: Path, code: bytes, *, machine: int = 62, bits: int = 64, order: str = "<") -> Path:
    """A static program without sections: a header, one executable segment, code at CODE."""
    size, kind = len(code), b"\x01\x01" if order == "<" else b"\x02\x01"
    if bits == 64:
        ident = b"\x7fELF\x02" + kind + bytes(9)
        head = struct.pack(
            f"{order}HHIQQQIHHHHHH", 2, machine, 1, CODE, 64, 0, 0, 64, 56, 1, 0, 0, 0
        )
        load = struct.pack(f"{order}IIQQQQQQ", 1, 5, 0x1000, CODE, CODE, size, size, 4096)
    else:
        ident = b"\x7fELF\x01" + kind + bytes(9)
        head = struct.pack(
            f"{order}HHIIIIIHHHHHH", 2, machine, 1, CODE, 52, 0, 0, 52, 32, 1, 0, 0, 0
        )
        load = struct.pack(f"{order}IIIIIIII", 1, 0x1000, CODE, CODE, size, size, 5, 4096)
    path.write_bytes((ident + head + load).ljust(0x1000, b"\0") + code)
    return path


def listed(tmp_path: Path, code: str) -> Listing:
    return list_calls(elf(tmp_path / "program", bytes.fromhex(code).ljust(80, b"\x90")))


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("b83c000000 0f05", {"exit"}),
        ("6a3c 58 0f05", {"exit"}),
        ("31c0 b03c 0f05", {"exit"}),
        ("31c0 0f05", {"read"}),
        ("4831c0 4883c800 0f05", set()),
        # a branch: two numbers reach one place
        ("b801000000 85ff 7405 b83c000000 0f05", {"write", "exit"}),
        # cmov leaves both possible
        ("b801000000 b93c000000 85ff 0f44c1 0f05", {"write", "exit"}),
        # a wrapper with the number in its first argument, called twice
        ("bf01000000 e80c000000 bf3c000000 e802000000 0f0b 89f8 0f05 c3", {"write", "exit"}),
        # a wrapper with the number on the stack, as Go's ABI0 passes it
        ("4883ec10 48c704243c000000 e802000000 0f0b 488b442408 0f05 c3", {"exit"}),
        # inc of a known number
        ("31c0 ffc0 0f05", {"write"}),
        # test and je: where it is taken, the register is zero
        ("488b07 4885c0 7402 0f0b 0f05 c3", {"read"}),
        # what follows a call that never comes back is not led to by it
        ("b801000000 85ff 7405 e803000000 0f05 c3 0f0b", {"write"}),
        # bytes of `syscall` inside an immediate are no system call
        ("b80f050000 c3", set()),
    ],
)  # fmt: skip
def test_numbers_are_found_by_walking_back(tmp_path: Path, code: str, names: set[str]) -> None:
    found = listed(tmp_path, code)
    assert set(found.in_file) == names
    assert bool(found.unresolved) == (not names and found.sites > 0)


@pytest.mark.parametrize(
    "code",
    [
        # a jump that passes the start of a function, to what follows a call that never comes back
        "e906000000 e80a000000 90 b83c000000 0f05 0f0b 0f0b e8eaffffff c3",
        # what fills a gap swallows the first byte of a function that is called
        "e807000000 0f0b 0000000000 b83c000000 0f05 c3",
    ],
)
def test_code_without_names_is_cut_where_it_is_entered(tmp_path: Path, code: str) -> None:
    assert listed(tmp_path, code).reachable == ("exit",)


def test_a_number_that_cannot_be_found_is_listed_with_its_function(tmp_path: Path) -> None:
    found = listed(tmp_path, "488b07 0f05 c3")
    assert not found.uses
    (one,) = found.open_ends
    assert (one.address, one.reachable) == (CODE + 3, True)
    assert "loaded from" in one.reason


def test_what_nothing_reaches_is_in_the_file_and_not_reachable(tmp_path: Path) -> None:
    found = listed(tmp_path, "b83c000000 0f05 c3" + "90" * 9 + "b801000000 0f05 c3")
    assert found.in_file == ("exit", "write")
    assert found.reachable == ("exit",)


def test_bytes_that_are_no_code_are_survived(tmp_path: Path) -> None:
    garbage = bytes((index * 167 + index // 7) % 256 for index in range(20_000))
    found = list_calls(elf(tmp_path / "garbage", garbage))
    assert found.functions
    assert found.arch == "amd64"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"#!/bin/sh\n", "not an ELF file"), (b"", "not an ELF file"), (b"\x7fELF\x02\x01", "ELF")],
)
def test_files_that_are_no_programs_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UnreadableError, match=words):
        list_calls(tmp_path / "file")


def test_packed_and_foreign_programs_are_refused_in_words(tmp_path: Path) -> None:
    packed = elf(tmp_path / "packed", b"\x90" * 80)
    packed.write_bytes(packed.read_bytes()[:200] + b"UPX!" + packed.read_bytes()[204:])
    with pytest.raises(UnreadableError, match="packed by UPX"):
        list_calls(packed)
    with pytest.raises(TargetError, match="no architecture"):
        list_calls(elf(tmp_path / "sparc", b"\0" * 80, machine=43))


def test_the_tables_agree_with_what_every_kernel_says() -> None:
    assert numbers.calls_of("amd64")["openat"] == 257
    assert numbers.calls_of("386")["futex_time64"] == 422
    assert numbers.calls_of("arm64")["clone3"] == 435
    assert numbers.calls_of("arm")["cacheflush"] == 0xF0002
    assert numbers.calls_of("mips64le")["read"] == 5000
    for goarch in numbers.architectures():
        assert numbers.names_of(goarch)[numbers.calls_of(goarch)["execve"]] == "execve"
