"""The main job on real programs: planner to verdict, with real compilers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [pytest.mark.go]


def gotoolforge(
    *words: str, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gotoolforge", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
    )


@pytest.mark.network
def test_the_main_job_sqlite_with_zig(tmp_path: Path) -> None:
    out = tmp_path / "sqlite"
    done = gotoolforge(
        "build", "--target", "x86_64-alpine-musl", "--toolchain", "zig", "--json",
        "-C", str(EXAMPLES / "sqlite"), "-o", str(out), ".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    report = artifact["report"]
    assert report["verdict"] == "musl-static"
    assert report["linkage"] == "static"
    assert report["stack_size"] == 8 * 1024 * 1024
    assert artifact["path"] == str(out)
    assert "start-up code" in " ".join(report["evidence"])
    ran = subprocess.run([out], capture_output=True, text=True)
    assert ran.stdout.startswith("sqlite 3.")
    assert ran.stdout.endswith("100 rows, sum 5050\n")
    facts = json.loads((tmp_path / "sqlite.provenance.json").read_text())
    assert facts["verdict"] == "musl-static"
    assert facts["toolchain"]["family"] == "zig"
    assert str(Path.home()) + "/" not in json.dumps(facts["env"])


def test_pure_go_needs_no_compiler(tmp_path: Path) -> None:
    words = ("-C", str(EXAMPLES / "hello"), "-o", f"{tmp_path}/", ".")
    done = gotoolforge("build", "--target", "linux/arm64", "--target", "linux/arm/v7", *words)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in tmp_path.iterdir() if "." not in path.name)
    assert names == ["hello_linux_arm64", "hello_linux_armv7"]
    assert done.stdout.split() == [str(tmp_path / name) for name in names]
    sums = (tmp_path / "checksums.txt").read_text().splitlines()
    assert [line.split("  ")[1] for line in sums] == names
    verdicts = gotoolforge("verify", "--json", *done.stdout.split())
    assert [one["verdict"] for one in json.loads(verdicts.stdout)["files"]] == ["no-libc"] * 2
