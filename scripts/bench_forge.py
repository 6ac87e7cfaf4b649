#!/usr/bin/env python3
"""What forging costs: stages, sizes, a further target, and the plain sequence beside it.

    scripts/bench_forge.py [--further TARGET] [--host-compiler NAME] [--plain]

Forges x86_64 (C and C++) in an empty store from files already downloaded. --further forges another
target after it, which shares the host compiler and libraries. --host-compiler forges x86_64 once
more, in a store of its own, with that host compiler in place of the recipe's. --plain runs the
sequence of musl-cross-make by hand in whole trees of the same sources (the forge leaves out what
nobody uses), with the machine's g++ at -O2 as host compiler, and gives the ratios. Takes half an
hour and more; prints a table for BENCHMARKS.md.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from gotoolforge import sources, store
from gotoolforge.console import Console
from gotoolforge.forge.build import fetch_components
from gotoolforge.forge.manifest import load_manifest
from gotoolforge.forge.recipe import load_recipe
from gotoolforge.target import find_target

TRIPLE = "x86_64-alpine-linux-musl"
CORES = len(os.sched_getaffinity(0))
# musl-cross-make's own flags (litecross/Makefile at 227df8b), C and C++.
MAKE = "make MULTILIB_OSDIRNAMES= INFO_DEPS= infodir= ac_cv_prog_lex_root=lex.yy MAKEINFO=true"
COMMON = f"--target={TRIPLE} --prefix= --libdir=/lib --disable-multilib --with-sysroot=/{TRIPLE}"
GCC = (
    "--enable-languages=c,c++ --disable-bootstrap --disable-assembly --disable-werror --enable-tls "
    "--disable-libmudflap --disable-libsanitizer --disable-gnu-indirect-function --disable-libmpx "
    "--enable-initfini-array --enable-libstdcxx-time=rt --with-build-sysroot=$PWD/../sysroot"
)
PLAIN = f"""
set -eu
export CFLAGS=-O2 CXXFLAGS=-O2
mkdir obj_binutils obj_gcc obj_musl sysroot out
ln -s . sysroot/usr; ln -s lib sysroot/lib32; ln -s lib sysroot/lib64; mkdir sysroot/include
cp -Rs {{gcc}}/. gcc; for one in gmp mpfr mpc; do cp -Rs "$(eval echo \\$$one)/." gcc/$one; done
(cd obj_binutils; {{binutils}}/configure {COMMON} --disable-separate-code --disable-werror \
  --enable-deterministic-archives; {MAKE} -j{CORES} MAKE="{MAKE}" all; \
  {MAKE} -j1 MAKE="{MAKE}" DESTDIR=$PWD/../out install)
export PATH="$PWD/out/bin:$PATH"
(cd obj_gcc; ../gcc/configure {COMMON} {GCC}; {MAKE} -j{CORES} MAKE="{MAKE}" all-gcc)
xgcc="$PWD/obj_gcc/gcc/xgcc -B$PWD/obj_gcc/gcc"
(cd obj_musl; CC="$xgcc" LIBCC=../obj_gcc/{TRIPLE}/libgcc/libgcc.a AR={TRIPLE}-ar \
  RANLIB={TRIPLE}-ranlib {{musl}}/configure --prefix= --host={TRIPLE}; \
  make DESTDIR=$PWD/../sysroot install-headers)
(cd obj_gcc; {MAKE} -j{CORES} MAKE="{MAKE} enable_shared=no" all-target-libgcc)
(cd obj_musl; make -j{CORES} AR={TRIPLE}-ar RANLIB={TRIPLE}-ranlib; \
  make DESTDIR=$PWD/../sysroot install)
(cd obj_gcc; {MAKE} MAKE="{MAKE}" -C {TRIPLE}/libgcc distclean; \
  {MAKE} -j{CORES} MAKE="{MAKE}" all; \
  {MAKE} -j1 MAKE="{MAKE}" DESTDIR=$PWD/../out install)
(cd obj_musl; make DESTDIR=$PWD/../out/{TRIPLE} install)
"""


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--further", metavar="TARGET")
    parser.add_argument("--host-compiler", metavar="NAME")
    parser.add_argument("--plain", action="store_true")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=store.place()) as folder:
        place = store_in(Path(folder) / "one")
        ways = {"first target, x86_64": forge("amd64", place, "first target, x86_64")}
        if parsed.further:
            further = forge(parsed.further, place, f"further target, {parsed.further}")
            ratio = further / ways["first target, x86_64"]
            print(f"| further beside first | {ratio:.2f} of it | |")
        if name := parsed.host_compiler:
            words = f"first target, host compiler {name}"
            other = store_in(Path(folder) / "other")
            ways[words] = forge("amd64", other, words, "--host-compiler", name)
        if parsed.plain:
            plain = plain_sequence(place)
            for words, seconds in ways.items():
                print(f"| {words}, beside the plain sequence | {seconds / plain:.2f} of it | |")
    return 0


def store_in(place: Path) -> Path:
    """An empty store, but for what is downloaded."""
    place.mkdir()
    (place / "downloads").symlink_to(store.place("downloads"))
    return place


def forge(target: str, place: Path, words: str, *flags: str) -> float:
    """Forge `target` in the store `place`, print its rows, and give the seconds of all of it."""
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(place)}
    argv = [sys.executable, "-m", "gotoolforge", "toolchain", "build", target, *flags]
    with busy_cores() as busy:
        seconds, cpu, out = measured(argv, env, place)
    prefix = Path(out.strip())
    print(f"| {words} | {seconds:.0f} s, {cpu:.0f} s CPU | all cores busy {busy():.0%} |")
    made = load_manifest(prefix)
    for stage, spent in made.seconds.items():
        print(f"| - {stage} | {spent:.0f} s | {made.cpu_seconds[stage]:.0f} s CPU |")
    size = sum(one.lstat().st_size for one in prefix.rglob("*") if not one.is_symlink())
    file = place / f"{target}.tar.zst"
    export = [sys.executable, "-m", "gotoolforge", "toolchain", "export", target, str(file)]
    subprocess.run(export, env=env, check=True, capture_output=True)
    print(f"| - on disk, exported | {size / 2**20:.0f} MiB | {file.stat().st_size / 1e6:.1f} MB |")
    return seconds


@contextmanager
def busy_cores() -> Iterator[Callable[[], float]]:
    """The share of the body's seconds in which every core was busy for nine tenths at least."""
    seconds: list[bool] = []
    ended = threading.Event()

    def watch() -> None:
        psutil.cpu_percent(percpu=True)
        while not ended.wait(1):
            seconds.append(min(psutil.cpu_percent(percpu=True)) >= 90)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: sum(seconds) / max(len(seconds), 1)
    finally:
        ended.set()
        watcher.join()


def plain_sequence(place: Path) -> float:
    """The seconds that the same work takes by configure and make alone."""
    os.environ["GOTOOLFORGE_CACHE"] = str(place)
    forge, console = load_recipe(), Console(quiet=True)
    target = find_target("amd64")
    trees = {
        name: sources.ensure_tree(
            one, console, sources.Changes(patches=forge.patch_files(name, target))
        )
        for name, one in fetch_components(forge, console, offline=True).items()
    }
    work = place / "plain"
    work.mkdir()
    script = PLAIN.format(**{name: str(path) for name, path in trees.items()})
    env = {**os.environ, **{name: str(path) for name, path in trees.items()}, "M4": ":"}
    with busy_cores() as busy:
        seconds, cpu, _ = measured(["sh", "-c", script], env, work)
    print(f"| the plain sequence, g++ -O2 | {seconds:.0f} s, {cpu:.0f} s CPU | {busy():.0%} |")
    return seconds


def measured(argv: list[str], env: dict[str, str], cwd: Path) -> tuple[float, float, str]:
    """Seconds on the clock, CPU seconds of all its processes, and what it printed."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    log = cwd / "bench.log"
    with log.open("ab") as sink:
        done = subprocess.run(argv, env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=sink)
    if done.returncode:
        sys.exit(f"{argv} failed:\n{log.read_text(errors='replace')[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - begun, cpu, done.stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
