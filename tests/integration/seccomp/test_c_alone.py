"""Programs of C without any Go, with symbols and without: the listing holds what they call."""

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gotoolforge.errors import GotoolforgeError
from gotoolforge.seccomp.compare import compare
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.trace import load_trace

from ..conftest import Run
from .conftest import PROGRAMS

pytestmark = [pytest.mark.seccomp, pytest.mark.go]
STRIPPED = pytest.mark.parametrize("flags", [(), ("-s",)], ids=["symbols", "stripped"])
C_CALLS = r"""
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
#include <pthread.h>
static long by_hand(long number) {
    long got;
    __asm__ volatile("syscall" : "=a"(got) : "a"(number) : "rcx", "r11", "memory");
    return got;
}
int main(void) {
    char byte;
    syscall(SYS_getrandom, &byte, 1, 0); /* the number is an argument of libc's syscall() */
    by_hand(SYS_getppid);                /* inlined, or not: by the compiler */
    pause();                             /* musl's __syscall_cp: a call that can be cancelled */
    return 0;
}
"""


@STRIPPED
def test_c_alone_is_read_through_libcs_ways(flags: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "c.c").write_text(C_CALLS)
    program = tmp_path / "program"
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-musl"]
    # zig compiles all of musl first.
    cc = ["musl-gcc"] if shutil.which("musl-gcc") else zig
    words = [*cc, "-static", "-O1", *flags, "-o", str(program), str(tmp_path / "c.c")]
    subprocess.run(words, check=True)
    listing = list_calls(program)
    assert not listing.go
    # Libc's start and end are reached by jumps and through what fills the gap behind .init.
    asked = {"getrandom", "getppid", "pause", "arch_prctl", "set_tid_address", "exit_group"}
    assert asked <= set(listing.reachable)
    assert listing.open_ends == ()
    assert "no Go function table" in listing.warnings[-1]


def test_lies_in_a_file_end_in_a_list_or_in_words(tmp_path: Path) -> None:
    program, broken = tmp_path / "program", tmp_path / "broken"
    (tmp_path / "c.c").write_text(C_CALLS)
    subprocess.run(["musl-gcc", "-static", "-o", program, tmp_path / "c.c"], check=True)
    whole, chance = program.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(400):
        lies = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            # The headers of the file and its segments, those of the sections, anything.
            where = chance.choice(
                [range(400), range(len(lies) - 2000, len(lies)), range(len(lies))]
            )
            lies[chance.choice(where)] = chance.choice([0, 1, 255, chance.randrange(256)])
        broken.write_bytes(lies)
        try:
            list_calls(broken)
        except GotoolforgeError:
            refused += 1
    assert 50 < refused < 390


def held(program: Path, tool: Run, tmp_path: Path) -> None:
    """A program's trace is in its list, and the list knows all of itself."""
    out = tmp_path / "trace.json"
    done = tool("seccomp", "trace", "-o", str(out), "--", str(program))
    assert done.returncode == 0, done.stderr
    trace, listing = load_trace(out), list_calls(program)
    assert len(trace.names) >= 15
    assert compare(listing, (trace,)).missed == ()
    assert listing.unsure == ()


@STRIPPED
@pytest.mark.corpus
@pytest.mark.emulation
@pytest.mark.parametrize(
    "compiler",
    ["musl-gcc", "gcc", "aarch64-linux-gnu-gcc", "i686-linux-gnu-gcc", "riscv64-linux-gnu-gcc",
     "s390x-linux-gnu-gcc", "powerpc64le-linux-gnu-gcc"],
)  # fmt: skip
def test_what_c_alone_is_seen_to_call_is_in_the_list(
    compiler: str, flags: tuple[str, ...], tool: Run, tmp_path: Path
) -> None:
    program = tmp_path / "alone"
    # glibc warns that getaddrinfo of a static program wants its libraries.
    words = [compiler, "-static", "-O2", "-w", *flags, "-o", program, PROGRAMS / "alone.c"]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    held(program, tool, tmp_path)


@STRIPPED
@pytest.mark.long
@pytest.mark.emulation
@pytest.mark.parametrize(
    "target",
    ["aarch64-linux-musl", "arm-linux-musleabihf", "loongarch64-linux-musl", "mips-linux-musleabi",
     "powerpc64le-linux-musl", "riscv64-linux-musl", "s390x-linux-musl", "x86-linux-musl"],
)  # fmt: skip
def test_what_clang_makes_of_musl_is_read(
    target: str, flags: tuple[str, ...], tool: Run, tmp_path: Path
) -> None:
    if target.startswith("mips") and flags:
        pytest.skip("stripped C for MIPS has numbers that nobody can tell, and the list says so")
    program = tmp_path / "alone"
    words = [sys.executable, "-m", "ziglang", "cc", "-target", target, "-static", "-O2", *flags]
    if target.startswith("loong"):
        words.append("-mcpu=la464-lsx-lasx")  # qemu 7.2 knows no vectors of this machine
    subprocess.run([*words, "-o", program, PROGRAMS / "alone.c"], check=True)
    held(program, tool, tmp_path)
