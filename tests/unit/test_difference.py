"""Where two files differ and why, on copies of a real program with other bytes in one section."""

import sys
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from gotoolforge.difference import explain


def altered(out: Path, section: str, place: int, text: bytes) -> Path:
    raw = bytearray(Path(sys.executable).resolve().read_bytes())
    with Path(sys.executable).resolve().open("rb") as handle:
        begin = ELFFile(handle).get_section_by_name(section)["sh_offset"] + place
    raw[begin : begin + len(text)] = text
    out.write_bytes(raw)
    return out


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (b"\0built 12:34:56\0", b"\0built 12:34:57\0", "__TIME__"),
        (b"\0/home/me/a/x.c\0", b"\0/home/me/b/x.c\0", "__FILE__"),
        (b"\0\1\2\3\4\5\6\7\0", b"\0\1\2\3\4\5\6\x08\0", ""),
    ],
)
def test_a_difference_is_named_by_section_with_its_text_and_cause(
    tmp_path: Path, first: bytes, second: bytes, cause: str
) -> None:
    files = [altered(tmp_path / name, ".dynstr", 1, text)
             for name, text in (("a", first), ("b", second))]  # fmt: skip
    (one,) = explain(*files)
    assert (one.section, bool(one.cause)) == (".dynstr", bool(cause))
    assert cause in one.cause
    assert one.first != one.second
    assert one.address >= one.offset > 1
    assert one.section in one.say()


def test_a_build_id_follows_from_the_rest_and_comes_last(tmp_path: Path) -> None:
    one = altered(tmp_path / "a", ".dynstr", 1, b"\0built 12:34:56\0")
    two = altered(tmp_path / "b", ".dynstr", 1, b"\0built 12:34:57\0")
    with one.open("rb") as handle:
        note = ELFFile(handle).get_section_by_name(".note.gnu.build-id")
        if note is None:
            pytest.skip("this Python's program has no build id")
        begin = note["sh_offset"]
    raw = bytearray(two.read_bytes())
    raw[begin + 16] ^= 1
    two.write_bytes(raw)
    assert [each.follows for each in explain(one, two)] == [False, True]


def test_what_is_no_program_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (one,) = explain(tmp_path / "a", tmp_path / "b")
    assert "cannot be compared" in one.cause
