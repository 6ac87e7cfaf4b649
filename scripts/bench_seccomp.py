#!/usr/bin/env python3
"""What reading and tracing system calls costs, and what comes of it, as tables for BENCHMARKS.md.

    scripts/bench_seccomp.py [--runs N] [PROGRAM ...]

It builds the pure Go programs of the tests and reads them, the programs named (sqlite for one),
and the go command, which is big. Reading is timed in processor seconds, which other work on the
machine disturbs least, and given for 20 MB too. Slow-down is the wall time of the server under each
witness that works here by that without, medians; a witness's own start is part of it.
"""

import argparse
import datetime
import importlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gotoolforge.seccomp import making
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.profile import profile_json
from gotoolforge.seccomp.trace import load_trace

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / "tests" / "integration" / "programs"
OURS = {"hello": ROOT / "examples" / "hello", "server": PROGRAMS / "server",
        "children": PROGRAMS / "children"}  # fmt: skip
WITNESSES = ("notify", "strace", "ebpf", "log")
TOOL = [sys.executable, "-m", "gotoolforge", "seccomp", "trace"]


def build(name: str, folder: Path) -> Path:
    out = folder / name
    env = {**os.environ, "CGO_ENABLED": "0"}
    subprocess.run(
        ["go", "build", "-trimpath", "-o", out, "."], cwd=OURS[name], env=env, check=True
    )
    return out


def row(program: Path, folder: Path) -> str:
    """One program: what is in it, what was seen, what its profile is like."""
    begun = time.process_time()
    listing = list_calls(program)
    seconds = time.process_time() - begun
    out = folder / "trace.json"
    seen = "-"
    if program.name != "go":
        done = subprocess.run([*TOOL, "-o", out, "--", program], capture_output=True, check=False)
        seen = str(len(load_trace(out).names)) if done.returncode == 0 else "-"
    made = making.make_profile(listing, (), "runc")
    size = program.stat().st_size / 1e6
    text = profile_json(made.profile)
    cells = (program.name, f"{size:.1f}", len(listing.in_file), len(listing.reachable), seen,
             len(listing.open_ends), len(made.reasons), len(text),
             f"{seconds:.1f}", f"{seconds * 20 / size:.1f}")  # fmt: skip
    return "| " + " | ".join(str(one) for one in cells) + " |"


def wall(argv: list[str], runs: int) -> float:
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run(argv, check=True, capture_output=True)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def slowdown(server: Path, folder: Path, runs: int) -> list[str]:
    """Each witness beside the bare program; the witness's own start is in it."""
    bare = wall([str(server)], runs)
    found = [f"| none | {bare:.2f} | 1.0 |"]
    for name in WITNESSES:
        why = importlib.import_module(f"gotoolforge.seccomp.witness_{name}").available("amd64")
        if why:
            found.append(f"| {name} | - | not here: {why} |")
            continue
        argv = [*TOOL, "--with", name, "-o", str(folder / "t"), "--", str(server)]
        seconds = wall(argv, runs)
        found.append(f"| {name} | {seconds:.2f} | {seconds / bare:.1f} |")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("programs", nargs="*", type=Path)
    parsed = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                            capture_output=True, check=True).stdout.strip()  # fmt: skip
    goroot = subprocess.run(["go", "env", "GOROOT"], text=True, capture_output=True, check=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        built = [build(name, folder) for name in OURS]
        print(f"## Seccomp, {datetime.date.today()}, commit {commit}, {platform.machine()}, "
              f"{os.cpu_count()} cores\n")  # fmt: skip
        print("| program | MB | in the file | reachable | traced | unresolved | allowed "
              "| its bytes | seconds to read | per 20 MB |")  # fmt: skip
        print("|" + "---|" * 10)
        for one in [*built, *parsed.programs, Path(goroot.stdout.strip()) / "bin" / "go"]:
            print(row(one, folder), flush=True)
        print("\n| witness | server, seconds | by none |\n|---|---|---|")
        for line in slowdown(folder / "server", folder, parsed.runs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
