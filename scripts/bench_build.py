"""Warm `gotoolforge build` beside a bare `go build` with the same environment and arguments.

    scripts/bench_build.py [--cold] [--append]

It measures what a user installs: an environment of its own with the `kit` extra, without the
packages of the developers' (msgspec imports typing_extensions where it finds it, 10 ms). Runs
alternate and medians are given, so a drift of the machine's speed touches both sides alike.
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
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = 21
# Both sides as on a machine where Python may keep what it compiled, which is how it comes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class Installed:
    """An environment with gotoolforge and its kit in it."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True)
        self.python = str(folder / "bin" / "python")
        self.tool = [str(folder / "bin" / "gotoolforge")]
        argv = [self.python, "-m", "pip", "install", "-q", f"{ROOT}[kit]"]
        subprocess.run(argv, check=True)
        self.env = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}


def timed(argv: list[str], cwd: Path, env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env=env, check=True, capture_output=True)
    return time.perf_counter() - begun


def paired(ours: Callable[[], float], peer: Callable[[], float]) -> tuple[float, float]:
    """Medians of both, run in turn after one warm-up each."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(RUNS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def warm(installed: Installed, example: str, family: str, scratch: Path) -> tuple[float, float]:
    cwd = ROOT / "examples" / example
    words = ["--target", "x86_64-alpine-musl", "--toolchain", family]
    planned = subprocess.run(
        [*installed.tool, "plan", *words, "--json", "."],
        cwd=cwd,
        env=installed.env,
        check=True,
        capture_output=True,
    )
    (plan,) = json.loads(planned.stdout)["targets"]
    merged = {**installed.env, **plan["env"]}
    env = {name: value for name, value in merged.items() if value is not None}
    argv = list(plan["argv"])
    at = argv.index("--")
    bare = [*argv[:at], "-o", str(scratch / f"{example}-bare"), *argv[at:]]
    ours = [*installed.tool, "build", *words, "-o", str(scratch / example), "."]
    return paired(lambda: timed(ours, cwd, installed.env), lambda: timed(bare, cwd, env))


def cold(installed: Installed, family: str) -> float:
    with tempfile.TemporaryDirectory() as empty:
        env = {**installed.env, "GOTOOLFORGE_CACHE": f"{empty}/store", "GOCACHE": f"{empty}/go"}
        argv = [*installed.tool, "build", "--toolchain", family, "-o", f"{empty}/sqlite", "."]
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
        installed = Installed(scratch / "venv")
        cases = {
            "warm build, pure Go (hello), beside go build": lambda: warm(
                installed, "hello", "zig", scratch
            ),
            "warm build, cgo (sqlite, zig), beside go build": lambda: warm(
                installed, "sqlite", "zig", scratch
            ),
            "--help, beside python -c pass": lambda: paired(
                lambda: timed([*installed.tool, "--help"], ROOT, installed.env),
                lambda: timed([installed.python, "-c", "pass"], ROOT, installed.env),
            ),
        }
        for what, measure in cases.items():
            ours, peer = measure()
            added = f"{ours - peer:.3f} s"
            rows.append(f"| {what} | {ours:.3f} s | {peer:.3f} s | {added} | {ours / peer:.2f} |")
        for family in ("zig", "system") if options.cold else ():
            what = f"empty caches to the first static cgo binary, {family}"
            rows.append(f"| {what} | {cold(installed, family):.0f} s | | | |")
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
