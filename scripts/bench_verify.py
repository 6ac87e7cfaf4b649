"""`gotoolforge verify` beside the pipeline that people use: ldd, readelf, sort, nm.

    scripts/bench_verify.py [--append] [FILE...]

Measures a stripped Go program with cgo of 5 MB and each FILE; without any, a Go program of 150 MB,
100 of them embedded and 88,000 symbols, whose compilation takes minutes. What readelf -Ws prints of
a file decides how long the pipeline takes: give files of C++ and Rust too.
Both sides alternate; given are medians of wall time and of processor time, which a busy machine
touches less; the ratio is that of processor time. Then 1,000 files in one call, and the memory.
--append writes the table to BENCHMARKS.md.
"""

import argparse
import datetime
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOL = [sys.executable, "-m", "gotoolforge", "verify", "--quiet"]
RUNS = 7
MB = 1_000_000
MAIN = """package main

import (
	"embed"
	"net/http"
	"os/user"
%s)

//go:embed blobs
var blobs embed.FS

func main() {
	println(user.Current())
	println(http.ListenAndServe("", http.FileServer(http.FS(blobs))))
%s}
"""
FUNCTION = """
//go:noinline
func F{0}(x int, words []string) string {{
	if x > {0} {{
		return words[x%len(words)] + "{0}"
	}}
	return Table[(x+{0})%len(Table)](x+1, words)
}}
"""
PIPELINE = """ldd {0} || true; readelf -d {0}
readelf -Ws {0} | grep -o 'GLIBC_[0-9.]*' | sort -V | tail -1; nm -D {0} || true"""
IN_PROCESS = """import sys
from pathlib import Path
from gotoolforge.policy import load_policy
from gotoolforge.verify import load_tables, verify_file
import resource, time
policy, path = load_policy("no-host-libc"), Path(sys.argv[1])
load_tables()
import elftools.elf.elffile
wall, cpu = [], []
for _ in range(int(sys.argv[2])):
    began, spent = time.perf_counter(), time.process_time()
    verify_file(path, policy=policy, hear=False)
    wall.append(time.perf_counter() - began)
    cpu.append(time.process_time() - spent)
print(sorted(wall)[len(wall) // 2], sorted(cpu)[len(cpu) // 2])
"""
Seconds = tuple[float, float]


def make(folder: Path, packages: int, embedded: int) -> Path:
    """A Go program with cgo: 1,000 functions in each package, and files of so many MB embedded.

    Real programs of 150 MB have some 100,000 symbols. What is embedded is random, as compressed
    assets are.
    """
    module = folder / f"m{packages}"
    (module / "blobs").mkdir(parents=True)
    (module / "go.mod").write_text("module example.com/large\n\ngo 1.24\n")
    for number in range(packages):
        (module / f"p{number}").mkdir()
        names = ", ".join(f"F{n}" for n in range(1000))
        text = "".join(FUNCTION.format(n) for n in range(1000))
        head = f"package p{number}\n\nvar Table []func(int, []string) string\n"
        body = f"\nfunc init() {{ Table = []func(int, []string) string{{{names}}} }}\n"
        (module / f"p{number}" / "p.go").write_text(head + body + text)
    imports = "".join(f'\t"example.com/large/p{n}"\n' for n in range(packages))
    calls = "".join(f"\tprintln(p{n}.Table[0](1, nil))\n" for n in range(packages))
    (module / "main.go").write_text(MAIN % (imports, calls))
    for number in range(max(1, embedded)):
        (module / "blobs" / str(number)).write_bytes(os.urandom(MB if embedded else 1))
    out = folder / f"go-{packages}"
    flags = ("-ldflags=-s -w",) if not packages else ()
    argv = ["go", "build", "-buildvcs=false", *flags, "-o", out, "."]
    subprocess.run(argv, cwd=module, env={**os.environ, "CGO_ENABLED": "1"}, check=True)
    return out


def timed(argv: list[str]) -> Seconds:
    """Wall and processor seconds of a command and its children."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(argv, capture_output=True, check=False)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_process(path: Path) -> Seconds:
    """Of one call of verify_file, tables and imports already there, no witness asked."""
    argv = [sys.executable, "-c", IN_PROCESS, str(path), str(RUNS)]
    words = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    wall, cpu = map(float, words.split())
    return wall, cpu


def medians(runs: list[Seconds]) -> Seconds:
    return statistics.median(a for a, _ in runs), statistics.median(b for _, b in runs)


def compare(path: Path) -> list[str]:
    """A row for one file: the pipeline, our reader in process, and the whole command."""
    pipe = ["sh", "-c", PIPELINE.format(shlex.quote(str(path)))]
    sides: list[Callable[[], Seconds]] = [lambda: timed(pipe), lambda: timed([*TOOL, str(path)])]
    for side in sides:
        side()
    pairs = [[side() for side in sides] for _ in range(RUNS)]
    peer, whole = (medians([pair[i] for pair in pairs]) for i in range(2))
    inner = in_process(path)
    size = path.stat().st_size / MB
    cells = [f"{path.name} ({size:.0f} MB)", *(f"{wall:.2f} ({cpu:.2f})"
             for wall, cpu in (peer, inner, whole))]  # fmt: skip
    return [*cells, f"{inner[1] / peer[1]:.2f}", f"{whole[1] / peer[1]:.2f}"]


def thousand(path: Path, folder: Path) -> list[str]:
    """1,000 links to one small file in one call, beside the pipeline on 20 of them."""
    names = []
    for number in range(1000):
        name = folder / f"n{number}"
        name.hardlink_to(path)
        names.append(str(name))
    wall, cpu = timed([*TOOL, *names])
    line = "\n".join(PIPELINE.format(name) for name in names[:20])
    peer = [50 * one for one in timed(["sh", "-c", line])]
    what = f"1,000 of {path.stat().st_size / MB:.0f} MB in one call"
    shown = [f"{one:.1f} ({two:.1f})" for one, two in ((peer[0], peer[1]), (wall, cpu))]
    return [what, shown[0], "", shown[1], "", f"{cpu / peer[1]:.2f}"]


def memory(path: Path) -> float:
    """The most memory of the command on one file, in MB."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True); \
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    argv = [sys.executable, "-c", code, *TOOL, str(path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return int(said) * 1024 / MB


def main() -> int:
    """Measure, print, and append where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--append", action="store_true", help="add the table to BENCHMARKS.md")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = make(folder, 0, 0)
        files = parsed.files or [make(folder, 80, 104)]
        rows = [compare(path) for path in (small, *files)]
        rows.append(thousand(small, folder))
        most = max(memory(path) for path in files)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True,
                            capture_output=True).stdout.strip()  # fmt: skip
    machine = (
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.0f}"
    )
    heads = ["file", "pipeline", "in process", "whole command", "ratio in process", "ratio whole"]
    lines = ["", f"## verify, {datetime.date.today()}, commit {commit}, {machine}", "",
             "Seconds of wall time (and of processor time), medians; ratios are of processor time.",
             "The whole command asks readelf and patchelf as witnesses; in process no witness.", "",
             f"| {' | '.join(heads)} |", "|---" * len(heads) + "|",
             *(f"| {' | '.join(row)} |" for row in rows), "",
             f"The most memory of the command on these files: {most:.0f} MB.", ""]  # fmt: skip
    print("\n".join(lines))
    if parsed.append:
        with (ROOT / "BENCHMARKS.md").open("a") as file:
            file.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
