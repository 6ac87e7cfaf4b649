"""Warm `gotoolforge build` beside a bare `go build` with the same environment and arguments.

    scripts/bench_build.py [--cold] [--append]

Runs alternate and medians are given, so a drift of the machine's speed touches both sides alike.
--cold adds the time from empty caches to the first static cgo binary; --append writes the table to
BENCHMARKS.md.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = [str(Path(sys.executable).parent / "gotoolforge")]
RUNS = 11
# Both sides as on a machine where Python may keep what it compiled, which is how it comes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def timed(argv: list[str], cwd: Path, env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True)
    return time.perf_counter() - begun


def paired(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Medians of both, run in turn after one warm-up each."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(RUNS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def warm(example: str, family: str, scratch: Path) -> tuple[float, float]:
    cwd = ROOT / "examples" / example
    words = ["--target", "x86_64-alpine-musl", "--toolchain", family]
    planned = subprocess.run(
        [*TOOL, "plan", *words, "--json", "."], cwd=cwd, check=True, capture_output=True
    )
    (plan,) = json.loads(planned.stdout)["targets"]
    merged = {**os.environ, **plan["env"]}
    env = {name: value for name, value in merged.items() if value is not None}
    argv = list(plan["argv"])
    at = argv.index("--")
    bare = [*argv[:at], "-o", str(scratch / f"{example}-bare"), *argv[at:]]
    ours = [*TOOL, "build", *words, "-o", str(scratch / example), "."]
    return paired(lambda: timed(ours, cwd, dict(os.environ)), lambda: timed(bare, cwd, env))


def cold(family: str) -> float:
    with tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "GOTOOLFORGE_CACHE": f"{empty}/store", "GOCACHE": f"{empty}/go"}
        argv = [*TOOL, "build", "--toolchain", family, "-o", f"{empty}/sqlite", "."]
        return timed(argv, ROOT / "examples" / "sqlite", env)


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--append", action="store_true")
    options = parser.parse_args()
    rows = ["| what | gotoolforge | peer | added | ratio |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        cases = {
            "warm build, pure Go (hello), beside go build": lambda: warm("hello", "zig", scratch),
            "warm build, cgo (sqlite, zig), beside go build": lambda: warm(
                "sqlite", "zig", scratch
            ),
            "--help, beside python -c pass": lambda: paired(
                lambda: timed([*TOOL, "--help"], ROOT, dict(os.environ)),
                lambda: timed([sys.executable, "-c", "pass"], ROOT, dict(os.environ)),
            ),
        }
        for what, measure in cases.items():
            ours, peer = measure()
            added = f"{ours - peer:.3f} s"
            rows.append(f"| {what} | {ours:.3f} s | {peer:.3f} s | {added} | {ours / peer:.2f} |")
    if options.cold:
        for family in ("zig", "system"):
            what = f"empty caches to the first static cgo binary, {family}"
            rows.append(f"| {what} | {cold(family):.0f} s | | | |")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    head = f"{datetime.date.today()}, commit {commit}, {cpu_model()}, {os.cpu_count()} cores"
    # Runs in turn bear a busy machine, absolute times do not: say how busy it was.
    head += f", load {os.getloadavg()[0]:.1f}"
    table = f"\n## {head}\n\n" + "\n".join(rows) + "\n"
    print(table)
    if options.append:
        with (ROOT / "BENCHMARKS.md").open("a") as file:
            file.write(table)


if __name__ == "__main__":
    main()
