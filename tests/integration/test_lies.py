"""Every field of an ELF file can lie: whatever a file says, the answer is a verdict or an error.

The inputs are bit flips, overwritten words and truncations of real files, from a seed.
"""

import importlib.util
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gotoolforge.policy import load_policy
from gotoolforge.verify import verify_file

from ..corpus.cases import Corpus

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.corpus]
SEEDS = ["c-pie", "c-static", "go-amd64", "go-cgo", "musl-gcc-static", "s390x-linux-gnu-dynamic",
         "go-mips", "c-shared-soname", "object", "core"]  # fmt: skip
SMALL = ["c-pie", "c-shared-soname", "object", "archive", "musl-gcc-dynamic", "musl-gcc-tiny",
         "naked"]  # fmt: skip
# Numbers that counts, offsets and sizes are most often wrong about.
WORDS = [0, 1, 0x7F, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 1 << 62]


def lies(raw: bytes, chance: random.Random) -> bytes:
    """One way to spoil a file, most of them in its headers and tables."""
    spoiled = bytearray(raw)
    kind = chance.randrange(4)
    if kind == 0:
        return raw[: chance.randrange(len(raw))]
    for _ in range(chance.randrange(1, 8)):
        place = chance.randrange(min(len(raw), chance.choice([64, 1024, 8192, len(raw)])))
        if kind == 1:
            spoiled[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            size = chance.choice([1, 2, 4, 8])
            word = chance.choice(WORDS) & ((1 << 8 * size) - 1)
            spoiled[place : place + size] = word.to_bytes(size, chance.choice(["little", "big"]))
        else:
            other = chance.randrange(len(raw))
            spoiled[place : place + 16] = spoiled[other : other + 16]
    return bytes(spoiled[: len(raw)])


def inputs(corpus: Corpus, count: int, seed: int) -> Iterator[tuple[str, int, bytes]]:
    chance = random.Random(seed)
    whole = {name: corpus.path(name).read_bytes() for name in SEEDS}
    for number in range(count):
        name = chance.choice(SEEDS)
        yield name, number, lies(whole[name], chance)


def run(corpus: Corpus, folder: Path, count: int, seed: int, most_seconds: float) -> None:
    policy = load_policy("no-host-libc")
    spoiled = folder / "spoiled"
    for name, number, raw in inputs(corpus, count, seed):
        spoiled.write_bytes(raw)
        # Of the processor: a machine that is busy, or stopped, is not the file's doing.
        began = time.process_time()
        report = verify_file(spoiled, policy=policy, hear=False)
        took = time.process_time() - began
        assert (report.verdict is None) == (report.error is not None), (name, number)
        assert took < most_seconds, (name, number, took)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 512 * 1024  # KiB


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


def test_five_hundred_lies(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, tmp_path, 500, seed=1, most_seconds=30)


@pytest.mark.long
def test_a_hundred_thousand_lies(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, tmp_path, 100_000, seed=2, most_seconds=2)


def fuzz(corpus: Corpus, folder: Path, runs: int) -> None:
    """By coverage, in a process of its own: libFuzzer ends it."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: there is no wheel of it for this machine or Python")
    seeds = folder / "seeds"
    seeds.mkdir()
    for name in SMALL:
        shutil.copyfile(corpus.path(name), seeds / name)
    script = Path(__file__).parents[2] / "scripts" / "fuzz_verify.py"
    # libFuzzer's clock is the wall's, which goes on while a busy machine does not.
    argv = [sys.executable, script, seeds, f"-runs={runs}", "-seed=1", "-timeout=300"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {runs} runs" in done.stderr


def test_a_thousand_lies_by_coverage(corpus: Corpus, tmp_path: Path) -> None:
    fuzz(corpus, tmp_path, 1000)


@pytest.mark.long
def test_a_hundred_thousand_lies_by_coverage(corpus: Corpus, tmp_path: Path) -> None:
    fuzz(corpus, tmp_path, 100_000)


def test_ten_thousand_files_in_one_process(corpus: Corpus, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    policy = load_policy("no-host-libc")
    reports = [verify_file(text, policy=policy) for _ in range(10_000)]
    assert {one.verdict for one in reports} == {"not-executable"}
