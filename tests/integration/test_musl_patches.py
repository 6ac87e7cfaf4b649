"""Our patches of musl, each against the tree without it, and against Debian's patched musl.

Only the file in question is compiled from each tree; the libc around it is the system family's.
"""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gotoolforge import distro, fetch, paths, recipe, sources
from gotoolforge.console import Console

from .conftest import gotoolforge

pytestmark = [pytest.mark.system, pytest.mark.network]

# The result of every two-byte input, and of every four-byte one for GB18030, hashed (FNV-1a).
DUMP = """\
#include <iconv.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
static uint64_t hash;
static void one(iconv_t cd, const unsigned char *bytes, size_t n)
{
	unsigned char out[32] = {0};
	char in[4], *from = in, *to = (char *)out;
	size_t left = 16;
	memcpy(in, bytes, n);
	iconv(cd, 0, 0, 0, 0);
	out[16] = iconv(cd, &from, &n, &to, &left) == (size_t)-1;
	out[17] = n;
	out[18] = left;
	for (int i = 0; i < 19; i++) hash = (hash ^ out[i]) * 0x100000001b3;
}
int main(int argc, char **argv)
{
	unsigned char b[4];
	for (int i = 2; i < argc; i++) {
		iconv_t cd = iconv_open(argv[1], argv[i]);
		if (cd == (iconv_t)-1) continue;
		hash = 0xcbf29ce484222325;
		for (int n = 0; n < 65536; n++) {
			b[0] = n >> 8;
			b[1] = n;
			one(cd, b, 2);
		}
		printf("%s %016llx\\n", argv[i], (unsigned long long)hash);
		if (strcmp(argv[i], "gb18030")) continue;
		for (b[0] = 0x81; b[0] < 0xff; b[0]++) for (b[1] = '0'; b[1] <= '9'; b[1]++)
		for (b[2] = 0x81; b[2] < 0xff; b[2]++) for (b[3] = '0'; b[3] <= '9'; b[3]++)
			one(cd, b, 4);
		printf("gb18030-of-four %016llx\\n", (unsigned long long)hash);
	}
}
"""
# What the hole needs: see recipes/probes/qsort.c. Without a libc, so that nothing has to be built
# for a 32-bit machine (ARM's count of zeros hides it); the exit code is 0 if all is in order.
SORT = """\
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *a = to;
	const char *b = from;
	while (n--) *a++ = *b++;
	return to;
}
#define hidden
#define weak_alias(old, new)
#define __qsort_r sort
#include "qsort.c"
static unsigned char bytes[11405774];
static int compare(const void *a, const void *b, void *none)
{
	return *(const unsigned char *)a - *(const unsigned char *)b;
}
static void leave(int code)
{
	__asm__ volatile("int $0x80" : : "a"(1), "b"(code));
}
__attribute__((force_align_arg_pointer)) void _start(void)
{
	size_t n = sizeof bytes;
	for (size_t i = 0; i < n; i++) bytes[i] = 1 + i / (n / 200);
	bytes[n - 1] = 0;
	sort(bytes, n, 1, compare, 0);
	for (size_t i = 1; i < n; i++) if (bytes[i - 1] > bytes[i]) leave(2);
	leave(0);
}
"""
# The pair of words as one number of twice the width, which the compiler shifts rightly.
WORDS = """\
#include <stdio.h>
#define weak_alias(old, new)
#define __qsort_r sort
#include "qsort.c"
typedef unsigned __int128 wide;
static wide of(size_t p[2]) { return (wide)p[1] << 64 | p[0]; }
int main(void)
{
	for (int bit = 0; bit < 128; bit++) {
		wide x = (wide)1 << bit | 1;
		size_t p[2] = {x, x >> 64};
		if (pntz(p) != bit) return printf("pntz %d\\n", bit) > 0;
		for (int n = 1; n < 128; n++) {
			size_t left[2] = {p[0], p[1]}, right[2] = {p[0], p[1]};
			shl(left, n);
			shr(right, n);
			if (of(left) != x << n) return printf("shl %d %d\\n", bit, n) > 0;
			if (of(right) != x >> n) return printf("shr %d %d\\n", bit, n) > 0;
		}
	}
	return puts("right") < 0;
}
"""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """musl as released, with our patches, and with those of Debian 13's newest revision."""
    for program in ("patch", "apt-get"):
        if shutil.which(program) is None:
            pytest.fail(f"these tests need {program}")
    console, base = Console(quiet=True), tmp_path_factory.mktemp("musl")
    fetched = fetch.ensure_source(recipe.load_source("musl"), console)
    ours = sorted((paths.recipes_dir() / "patches" / "musl-1.2.5").glob("*.patch"))
    released = sources.ensure_tree(fetched, console)
    patched = sources.ensure_tree(fetched, console, sources.Changes(patches=tuple(ours)))
    debian = base / "debian-tree"
    shutil.copytree(released, debian)
    options, _ = distro.private_lists(("trixie", "sid"))
    subprocess.run(
        ["apt-get", *options, "-qq", "source", "--download-only", "--diff-only", "musl/trixie"],
        cwd=base, check=True,
    )  # fmt: skip
    (packaging,) = base.glob("musl_*.debian.tar.xz")
    subprocess.run(["tar", "xJf", packaging], cwd=base, check=True)
    series = base / "debian" / "patches"
    for name in (series / "series").read_text().split():
        words = ["patch", "--silent", "-p1", "-i", str(series / name)]
        subprocess.run(words, cwd=debian, check=True)
    return {"released": released, "ours": patched, "debian": debian}


@pytest.fixture(scope="module")
def libc() -> Path:
    """The system family's toolchain for this machine: a musl around the one file on trial."""
    done = gotoolforge("toolchain", "path", "amd64", "--toolchain", "system")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def compile_with(libc: Path, *words: str | Path) -> None:
    cc = libc / "bin" / "x86_64-alpine-linux-musl-gcc"
    subprocess.run([cc, "-O2", "-w", *words], check=True)


def with_iconv_of(tree: Path, libc: Path, text: Path, made: Path) -> Path:
    """The program `text`, linked statically with iconv as it stands in `tree`."""
    folders = ("arch/x86_64", "arch/generic", "src/include", "src/internal", "include")
    where = [f"-I{tree / one}" for one in folders]
    obj = made.with_suffix(".o")
    compile_with(libc, "-std=c99", "-ffreestanding", "-D_XOPEN_SOURCE=700", *where,
                 "-c", tree / "src" / "locale" / "iconv.c", "-o", obj)  # fmt: skip
    compile_with(libc, text, obj, "-o", made)
    return made


def iconv_of(tree: Path, libc: Path, folder: Path) -> dict[str, str]:
    """What iconv of that tree makes of all short inputs, by charset and form of the output."""
    text = folder / "dump.c"
    text.write_text(DUMP)
    made = with_iconv_of(tree, libc, text, folder / tree.name)
    found = {}
    for form in ("ucs4le", "utf8"):
        done = subprocess.run([made, form, *charsets(tree)], capture_output=True, text=True)
        assert done.returncode == 0
        for line in done.stdout.splitlines():
            name, digest = line.split()
            found[f"{name} to {form}"] = digest
    return found


def charsets(tree: Path) -> list[str]:
    """The words in iconv's table and in that of code pages; iconv_open knows which are names."""
    folder = tree / "src" / "locale"
    text = (folder / "iconv.c").read_text() + (folder / "codepages.h").read_text()
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    words = {word for one in strings for word in re.split(r"\\[0-7]{1,3}", one)}
    return sorted(word for word in words if re.fullmatch(r"[a-z][a-z0-9]{2,}", word))


def test_iconv_says_what_debians_says(trees: dict[str, Path], libc: Path, tmp_path: Path) -> None:
    ours, debian = (iconv_of(trees[name], libc, tmp_path) for name in ("ours", "debian"))
    assert len(ours) >= 2 * 40
    assert {"gb18030-of-four to ucs4le", "euckr to utf8"} <= set(ours)
    assert ours == debian


def test_without_the_patch_iconv_falls_for_both_holes(
    trees: dict[str, Path], libc: Path, tmp_path: Path
) -> None:
    probe = paths.recipes_dir() / "probes" / "iconv.c"
    codes = {
        name: subprocess.run([with_iconv_of(trees[name], libc, probe, tmp_path / name)]).returncode
        for name in ("released", "ours")
    }
    assert codes == {"released": 1, "ours": 0}


@pytest.mark.parametrize("tree", ["released", "ours", "debian"])
def test_the_two_words_of_qsort_shift_and_count_as_one_number(
    trees: dict[str, Path], libc: Path, tmp_path: Path, tree: str
) -> None:
    text, made = tmp_path / "words.c", tmp_path / "words"
    text.write_text(WORDS)
    # Debian's keeps the shift by a whole word, which x86 forgives.
    trap = ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"] if tree == "ours" else []
    compile_with(libc, *trap, *qsort_of(trees[tree], "x86_64"), text, "-o", made)
    done = subprocess.run([made], capture_output=True, text=True)
    assert done.stdout == ("pntz 64\n" if tree == "released" else "right\n"), done.returncode


def qsort_of(tree: Path, arch: str) -> list[str]:
    return [f"-I{tree / folder}" for folder in ("src/stdlib", "src/internal", f"arch/{arch}")]


def test_qsort_of_eleven_million_on_32_bits(trees: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "sort.c"
    text.write_text(SORT)
    for name in ("stdlib.h", "string.h", "stdio.h"):
        (tmp_path / name).write_text("#include <stddef.h>\n")
    codes = {}
    for name in ("released", "ours"):
        made = tmp_path / name
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", "x86-linux-musl", "-O1", "-w"]
        bare = [f"-I{tmp_path}", "-nostdlib", "-static", "-fno-builtin", "-fno-sanitize=undefined"]
        subprocess.run([*zig, *bare, *qsort_of(trees[name], "i386"), text, "-o", made], check=True)
        emulator = shutil.which("qemu-i386-static")
        runner = [emulator] if emulator else []
        codes[name] = subprocess.run([*runner, made], capture_output=True).returncode
    assert codes == {"released": -signal.SIGSEGV, "ours": 0}
