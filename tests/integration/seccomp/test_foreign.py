"""The listing of programs for other machines holds everything that qemu saw them call."""

import subprocess
from pathlib import Path

import pytest

from gotoolforge.seccomp import kernel
from gotoolforge.seccomp.compare import compare
from gotoolforge.seccomp.listing import list_calls
from gotoolforge.seccomp.trace import load_trace

from ..conftest import Run
from .conftest import Build, command

BITS_32 = {"386", "arm", "mips", "mipsle"}
pytestmark = [pytest.mark.emulation, pytest.mark.go]


def hold(program: Path, words: list[str], tool: Run, tmp_path: Path) -> None:
    out = tmp_path / "trace.json"
    done = tool("seccomp", "trace", "-o", str(out), "--", *words)
    assert done.returncode == 0, done.stderr
    trace, listing = load_trace(out), list_calls(program)
    assert (trace.witness, trace.arch) == ("qemu", listing.arch)
    assert len(trace.names) >= 12  # far below what each makes; an empty trace has none
    assert compare(listing, (trace,)).missed == ()
    # Of 32 bits, some number in the data may equal an address by chance, and then counts as one.
    chance = [one for one in listing.open_ends if "pointer" in one.reason]
    assert listing.open_ends == () or (
        listing.arch in BITS_32 and len(chance) == len(listing.open_ends)
    )
    assert set(listing.reachable) <= set(listing.in_file)


@pytest.mark.parametrize(
    "goarch",
    [
        "riscv64",
        *(
            pytest.param(one, marks=pytest.mark.long)
            for one in (
                "arm",
                "ppc64le",
                "s390x",
                "loong64",
                "mips",
                "mipsle",
                "mips64",
                "mips64le",
            )
        ),
    ],
)
def test_a_pure_go_program_for_any_machine_calls_nothing_else(
    goarch: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    program = built("hello", goarch)
    hold(program, [str(program)], tool, tmp_path)


def test_a_386_program_is_run_by_an_amd64_kernel_itself(
    built: Build, tool: Run, tmp_path: Path
) -> None:
    """qemu-i386 7.2 gives Go's threads no memory of their own, so it cannot be the witness."""
    if why := kernel.available():
        pytest.skip(why)
    program, out = built("hello", "386"), tmp_path / "trace.json"
    try:
        subprocess.run([program], check=True, capture_output=True)
    except OSError as error:
        pytest.skip(f"this kernel runs no 32-bit x86 programs: {error.strerror}")
    done = tool("seccomp", "trace", "--with", "notify", "-o", str(out), "--", str(program))
    assert done.returncode == 0, done.stderr
    trace, listing = load_trace(out), list_calls(program)
    assert trace.arch == listing.arch == "386"
    assert len(trace.names) >= 12
    assert compare(listing, (trace,)).missed == ()


@pytest.mark.network
@pytest.mark.parametrize("name", ["hello", "server", "children", "sqlite", "sqlite-stripped"])
def test_an_arm64_program_calls_nothing_else(
    name: str, built: Build, tool: Run, tmp_path: Path
) -> None:
    program = built(name, "arm64")
    hold(program, command(name, program, tmp_path), tool, tmp_path)
