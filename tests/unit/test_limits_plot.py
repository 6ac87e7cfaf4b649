"""A recorded watch: read back, and drawn."""

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from gotoolforge.errors import UnreadableError
from gotoolforge.limits.plot import amount_words, render_page
from gotoolforge.limits.usage import Gauge
from gotoolforge.limits.watching import Look, load_record, looks


def look(at: float, used: int | None, limit: int | None, name: str = "descriptors") -> Look:
    gauge = Gauge(name=name, used=used, limit=limit)
    return Look(pid=7, name="a <b>&c", at=at, gauges=(gauge,), children=0, resident=0, outlook=())


def record(path: Path, *made: Look) -> Path:
    path.write_text("".join(f"{one.to_line()}\n" for one in made))
    return path


def test_a_record_reads_back(tmp_path: Path) -> None:
    made = tuple(looks(os.getpid(), every=0.01, count=2))
    assert load_record(record(tmp_path / "x", *made)) == (made, False)


def test_a_last_line_cut_off_is_left_out_and_told(tmp_path: Path) -> None:
    path = record(tmp_path / "x", look(0, 1, 9), look(1, 2, 9))
    path.write_text(path.read_text()[:-30])
    assert load_record(path) == ((look(0, 1, 9),), True)


@pytest.mark.parametrize(
    "content", ["", "no\n", "[1]\n", "{}\n", look(0, 1, 9).to_line().replace('":1}', '":2}')]
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x").write_text(content)
    with pytest.raises(UnreadableError):
        load_record(tmp_path / "x")
    with pytest.raises(UnreadableError):
        load_record(tmp_path / "none")


def drawn(page: str) -> list[ET.Element]:
    return [ET.fromstring(one) for one in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_use_rises_towards_the_limit_line() -> None:
    page = render_page([look(float(n), 10 * n, 100) for n in range(1, 9)])
    assert "<title>a &lt;b&gt;&amp;c (7)</title>" in page
    assert "at most 80 of 100 (80.0%)" in page
    (picture,) = drawn(page)
    line = picture.find("polyline[@class='used']")
    limit = picture.find("line[@class='limit']")
    assert line is not None
    assert limit is not None
    points = [tuple(map(float, one.split(","))) for one in line.attrib["points"].split()]
    assert len(points) == 8
    assert points == sorted(points, key=lambda one: (one[0], -one[1])), "to the right, and up"
    assert points[-1][1] > float(limit.attrib["y1"]), "below the limit still"


def test_far_limits_are_words_only_and_what_was_never_seen_is_left_out() -> None:
    page = render_page([look(0, 5, 10**6), look(1, None, 10**6)])
    (picture,) = drawn(page)
    assert picture.find("line[@class='limit']") is None
    assert "of 1,000,000" in page
    assert drawn(render_page([look(0, None, 9)])) == []
    assert len(drawn(render_page([look(0, 0, 0)]))) == 1
    assert len(drawn(render_page([look(0, 2**70, None)]))) == 1


def test_bytes_are_told_in_binary_units() -> None:
    assert amount_words("Go heap", 3 << 20) == "3 MiB"
    assert amount_words("descriptors", 20000) == "20,000"
