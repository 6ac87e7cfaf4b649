"""Every example, built by forged toolchains of several machines, judged and run.

Under --run-long, since a machine whose store is empty forges each toolchain first. Real programs of
other people, by the same toolchains, are in test_real_programs.
"""

import json
from pathlib import Path

import pytest

from gotoolforge.target import find_target

from .conftest import EXAMPLES, Run

pytestmark = [
    pytest.mark.forge,
    pytest.mark.go,
    pytest.mark.network,
    pytest.mark.emulation,
    pytest.mark.long,
]
TARGETS = ["amd64", "arm64", "armv7", "riscv64"]
# What each example prints in the end, and the words it wants.
ANSWERS = {
    "sqlite": ("100 rows, sum 5050", ()),
    "zstd": (" and back", ()),
    "cxx": ("c++: sum 2002000, caught 42", ()),
    "resolver": ("localhost: ", ("localhost",)),
}


@pytest.mark.parametrize("pie", [[], ["--pie"]], ids=["static", "static-pie"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("example", ANSWERS)
def test_an_example_by_a_forged_toolchain(
    tool: Run, tmp_path: Path, example: str, target: str, pie: list[str]
) -> None:
    answer, arguments = ANSWERS[example]
    resolver = ["--resolver", "musl"] if example == "resolver" else []
    words = ["--toolchain", "gcc", "--target", target, *pie, *resolver]
    out = tmp_path / example
    done = tool("build", *words, "--json", "-o", str(out), ".", cwd=EXAMPLES / example)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    report = artifact["report"]
    assert report["verdict"] == "musl-static"
    assert report["linkage"] == ("static-pie" if pie else "static")
    assert report["bits"] == find_target(target).elf.bits
    ran = tool("run", *words, ".", "--", *arguments, cwd=EXAMPLES / example)
    assert ran.returncode == 0, ran.stderr
    assert answer in ran.stdout
