"""The system family: musl from source around the machine's own GCC, and a prefix imported."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Run

pytestmark = [pytest.mark.system, pytest.mark.network, pytest.mark.go]
UNWIND = """\
#include <pthread.h>
#include <stdio.h>
#include <unwind.h>
#include <linux/version.h>
static _Unwind_Reason_Code count(struct _Unwind_Context *c, void *n)
{
	(void)c;
	++*(int *)n;
	return 0;
}
static void *run(void *n) { _Unwind_Backtrace(count, n); return n; }
int main(void)
{
	int here = 0, there = 0;
	pthread_t thread;
	run(&here);
	pthread_create(&thread, 0, run, &there);
	pthread_join(thread, 0);
	return printf("%d %d\\n", here > 0, there > 0) < 0;
}
"""
# CVE-2025-26519 and CVE-2026-6042: what the decoders must say. {0xc8, 0x41} lies beyond EUC-KR's
# extended rows; 0x90308130 is U+10000, the first of the supplementary planes.
ICONV = """\
#include <iconv.h>
#include <stdio.h>
static int one(const char *from, char *in, size_t n, unsigned *out)
{
	char *to = (char *)out;
	size_t left = 4;
	return iconv(iconv_open("UTF-32LE", from), &in, &n, &to, &left) == (size_t)-1;
}
int main(void)
{
	unsigned c = 0;
	printf("%d ", one("EUC-KR", "\\xc8\\x41", 2, &c));
	printf("%d ", one("GB18030", "\\x90\\x30\\x81\\x30", 4, &c));
	printf("%x ", c);
	printf("%d ", one("GB18030", "\\x81\\x30\\x81\\x30", 4, &c));
	return printf("%x\\n", c) < 0;
}
"""


@pytest.fixture
def prefix(tool: Run) -> Path:
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.fail("these tests need gcc and make: apt-get install gcc make")
    done = tool("toolchain", "path", "amd64", "--toolchain", "system")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def compiled(prefix: Path, out: Path, text: str, *flags: str) -> Path:
    source = out.with_suffix(".c")
    source.write_text(text)
    cc = prefix / "bin" / "x86_64-alpine-linux-musl-gcc"
    subprocess.run([cc, *flags, source, "-o", out], check=True)
    return out


@pytest.mark.parametrize("flags", [["-static"], ["-static-pie", "-fPIE"], ["-pie", "-fPIE"], []])
def test_no_link_leaves_an_interpreter_and_unwinding_works(
    tool: Run, prefix: Path, tmp_path: Path, flags: list[str]
) -> None:
    made = compiled(prefix, tmp_path / "made", UNWIND, *flags)
    assert subprocess.run([made], capture_output=True, text=True).stdout == "1 1\n"
    (report,) = json.loads(tool("verify", "--json", str(made)).stdout)["files"]
    assert report["verdict"] == "musl-static"
    assert report["interpreter"] is None


def test_the_known_holes_of_iconv_are_mended(prefix: Path, tmp_path: Path) -> None:
    made = compiled(prefix, tmp_path / "made", ICONV, "-static")
    said = subprocess.run([made], capture_output=True, text=True, timeout=60).stdout
    assert said == "1 0 10000 0 80\n"


def test_a_cgo_program_and_the_resolver_of_musl(tool: Run, prefix: Path, tmp_path: Path) -> None:
    out = tmp_path / "resolver"
    done = tool("build", "--toolchain", "system", "--resolver", "musl", "--pie",
                "-o", str(out), ".", cwd=EXAMPLES / "resolver")  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = subprocess.run([out, "localhost"], capture_output=True, text=True).stdout
    assert said.startswith("localhost: ")
    (report,) = json.loads(tool("verify", "--json", str(out)).stdout)["files"]
    assert (report["verdict"], report["linkage"]) == ("musl-static", "static-pie")


def test_cxx_is_refused(tool: Run, prefix: Path) -> None:
    done = tool("build", "--toolchain", "system", ".", cwd=EXAMPLES / "cxx")
    assert done.returncode == 14
    assert "C++" in done.stderr


def test_a_prefix_is_imported_by_compiling_with_it(tool: Run, prefix: Path, tmp_path: Path) -> None:
    moved = tmp_path / "prefix"
    shutil.copytree(prefix, moved)
    done = tool("toolchain", "import", str(moved))
    assert done.returncode == 0, done.stderr
    out = tmp_path / "zstd"
    words = ("build", "--toolchain", "imported", "-o", str(out), ".")
    done = tool(*words, cwd=EXAMPLES / "zstd")
    assert done.returncode == 0, done.stderr
    assert "zstd: 28000 bytes" in subprocess.run([out], capture_output=True, text=True).stdout
    (moved / "bin" / "x86_64-alpine-linux-musl-gcc").write_text("#!/bin/sh\nexit 1\n")
    done = tool(*words, cwd=EXAMPLES / "zstd")
    assert done.returncode == 14
    assert "has changed" in done.stderr
