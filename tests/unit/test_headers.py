"""Headers that lie: rows that are not there, and segments that cover the same bytes."""

import struct
from pathlib import Path

import pytest

from gotoolforge.filebytes import FileBytes
from gotoolforge.headers import FileHeader, merged, program_rows, section_rows, without_code
from gotoolforge.policy import load_policy
from gotoolforge.verify import FileReport, verify_file

R, RX, RW = 4, 5, 6


def load(begin: int, size: int, flags: int = R) -> dict[str, object]:
    return {"p_type": "PT_LOAD", "p_offset": begin, "p_filesz": size, "p_flags": flags}


def judged(path: Path, rows: list[tuple[int, ...]], *, count: int | None = None) -> FileReport:
    """A file of these program headers (type, flags, offset, address, size), and zeros."""
    many = len(rows) if count is None else count
    head = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400100, 64, 0, 0, 64, 56, many, 64, 0, 0)
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, flags, place, address, address, size, size, 1)
        for kind, flags, place, address, size in rows
    )
    path.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + head + table + bytes(1 << 20))
    return verify_file(path, policy=load_policy("no-host-libc"), hear=False)


def test_bytes_that_many_segments_cover_are_looked_at_once(tmp_path: Path) -> None:
    assert merged([load(10, 5), load(0, 12), load(40, 2)]) == [(0, 15), (40, 42)]
    rows = [(1, R, one, 0x400000 + one, 1 << 20) for one in range(1170)]
    assert judged(tmp_path / "a", rows).verdict == "unknown"


def test_code_is_left_out_only_where_data_has_a_segment_of_its_own() -> None:
    assert without_code([load(0, 10, RX), load(10, 10, R), load(20, 5, RW)], 30) == [(10, 30)]
    assert without_code([load(0, 10, RX), load(10, 10, RW)], 30) == [(0, 30)]


def test_more_program_headers_than_a_kernel_takes_are_refused(tmp_path: Path) -> None:
    report = judged(tmp_path / "a", [(1, R, 0, 0x400000, 100)] * 1171)
    assert report.verdict is None
    assert "1171 program headers" in str(report.error)


def test_rows_beyond_the_end_and_of_odd_sizes(tmp_path: Path) -> None:
    assert judged(tmp_path / "a", [], count=0).verdict == "unknown"
    short = tmp_path / "short"
    short.write_bytes(bytes(100))
    with short.open("rb") as handle:
        data = FileBytes(handle.fileno())
        for begin, count, size in ((64, 1, 56), (0, 1, 57), (1 << 62, 1, 56)):
            header = FileHeader(bits=64, ends="<", type="EXEC", machine="EM_X86_64", system="",
                                entry=0, flags=0, programs=(begin, count, size),
                                sections=(0, 0, 0), names=0)  # fmt: skip
            with pytest.raises(ValueError, match="headers"):
                program_rows(data, header)
        assert section_rows(data, 0, 1, 63, bits=64, ends="<") == []


@pytest.mark.parametrize("place", [1 << 63, (1 << 64) - 1, 1 << 40])
def test_an_archive_whose_object_lies_is_no_more_than_an_archive(
    tmp_path: Path, place: int
) -> None:
    # The first came from scripts/fuzz_verify.py.
    head = struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, place, 0, 64, 0, 0, 64, 3, 0)
    thing = b"\x7fELF\x02\x01\x01" + bytes(9) + head
    row = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (b"a.o/", 0, 0, 0, b"644", len(thing))
    archive = tmp_path / "a.a"
    archive.write_bytes(b"!<arch>\n" + row + thing)
    report = verify_file(archive, policy=load_policy("no-host-libc"), hear=False)
    assert (report.verdict, report.glibc_only) == ("not-executable", ())
