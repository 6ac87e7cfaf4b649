"""Known traps of Go, cgo and static musl: prevented, or explained in one sentence with the fix."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.go
Module = Callable[..., Path]
ZIG = ("--toolchain", "zig", "--target", "x86_64-alpine-musl")
CALL = """\
package main

// #cgo LDFLAGS: ${SRCDIR}/libfoo.a
// int foo(char *to, const char *from, unsigned long n);
import "C"

func main() { println(int(C.foo(nil, nil, 0))) }
"""


def archive(folder: Path, text: str, *flags: str) -> None:
    """`libfoo.a`, prebuilt by the machine's own compiler against its glibc."""
    if shutil.which("gcc") is None:
        pytest.fail("this test needs gcc: apt-get install gcc")
    (folder / "prebuilt.c.txt").write_text(text)
    words = ["gcc", "-O2", *flags, "-x", "c", "-c", "prebuilt.c.txt", "-o", "foo.obj"]
    subprocess.run(words, cwd=folder, check=True)
    subprocess.run(["ar", "rcs", "libfoo.a", "foo.obj"], cwd=folder, check=True)


FORTIFIED = """\
#include <stdio.h>
int foo(char *to, const char *from, unsigned long n)
{
	char name[8];
	return sprintf(name, "%s", from) + printf("%s%s%lu", name, to, n);
}
"""
BACKTRACE = """\
#include <execinfo.h>
int foo(char *to, const char *from, unsigned long n)
{
	void *all[8];
	return backtrace(all, n & 7) + (to == from);
}
"""
ABSOLUTE = """\
static const int table[4] = {1, 2, 3, 4};
int foo(char *to, const char *from, unsigned long n) { return table[n & 3] + (to == from); }
"""


@pytest.mark.parametrize(
    ("text", "flags", "words", "explained"),
    [
        (FORTIFIED, ["-D_FORTIFY_SOURCE=2"], [], ["_chk", "-U_FORTIFY_SOURCE"]),
        (BACKTRACE, [], [], ["backtrace", "libexecinfo"]),
        (ABSOLUTE, ["-fno-pie", "-mcmodel=small"], ["--pie"], ["-fPIC", "without --pie"]),
    ],
    ids=["fortified", "glibc-only", "not-position-independent"],
)
def test_a_prebuilt_library_is_explained(
    tool: Run, module: Module, text: str, flags: list[str], words: list[str], explained: list[str]
) -> None:
    folder = module(main__go=CALL)
    archive(folder, text, *flags)
    done = tool("build", *ZIG, *words, ".", cwd=folder)
    assert done.returncode == 13, done.stderr
    hint = done.stderr.split("what to do:")[1]
    assert explained[0] in done.stderr
    assert explained[1] in hint
    assert not (folder / "app").exists()


def test_names_of_glibcs_large_files_compile(tool: Run, module: Module) -> None:
    text = (
        "package main\n\n// #define _GNU_SOURCE\n// #include <unistd.h>\n// #include <fcntl.h>\n"
        "// static off64_t at(int fd) { char c; return pread64(fd, &c, 1, 0); }\n"
        'import "C"\n\nfunc main() { println(int(C.at(-1))) }\n'
    )
    done = tool("build", *ZIG, ".", cwd=module(main__go=text))
    assert done.returncode == 0, done.stderr


def test_c_has_room_on_its_stack_and_threads_of_c_may_call_go(tool: Run, module: Module) -> None:
    # 1 MiB of C stack dies on musl's own 128 KiB; a thread of C with little stack calls back.
    text = """\
package main

/*
#include <pthread.h>
#include <string.h>
extern int answer(int);
static int deep(int n)
{
	volatile char big[1 << 20];
	memset((char *)big, n, sizeof big);
	return big[n];
}
static void *in_thread(void *to) { *(int *)to = answer(41); return 0; }
static int from_thread(void) {
	pthread_t t; pthread_attr_t a; int got = 0;
	pthread_attr_init(&a); pthread_attr_setstacksize(&a, 65536);
	pthread_create(&t, &a, in_thread, &got); pthread_join(t, 0);
	return got;
}
*/
import "C"

//export answer
func answer(n C.int) C.int { return grow(1000) + n }

func grow(n C.int) C.int {
	if n == 0 {
		return 1
	}
	return grow(n - 1)
}

func main() {
	done := make(chan int)
	go func() { done <- int(C.deep(3)) }()
	println(<-done, int(C.from_thread()))
}
"""
    text = text.replace("static int", "static inline int")  # //export lets no definition be twice
    folder = module(main__go=text)
    done = tool("build", *ZIG, ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([folder / "app"], capture_output=True, text=True)
    assert ran.stderr == "3 42\n"


def test_linker_flags_that_would_undo_the_static_link_are_dropped(
    tool: Run, module: Module
) -> None:
    text = 'package main\n\n// static int n(void) { return 7; }\nimport "C"\n\n'
    folder = module(main__go=text + "func main() { println(int(C.n())) }\n")
    flags = "-linkmode=external -extldflags '-pie -dynamic -lm'"
    done = tool("build", *ZIG, "-ldflags", flags, "--json", ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert artifact["report"]["linkage"] == "static"
    assert artifact["report"]["interpreter"] is None


def test_another_owners_tree_is_explained(tool: Run, module: Module) -> None:
    folder = module(main__go="package main\n\nfunc main() {}\n")
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    # A repository that git refuses to look at, as it does with one of another owner.
    (folder / ".git" / "config").write_text("[core\n")
    done = tool("build", "-buildvcs=true", ".", cwd=folder)
    assert done.returncode == 13
    assert "-buildvcs=false" in done.stderr.split("what to do:")[1]


def test_a_program_that_loads_plugins_is_warned_of(tool: Run, module: Module) -> None:
    text = 'package main\n\nimport "plugin"\n\nfunc main() { _, _ = plugin.Open("x") }\n'
    done = tool("plan", ".", cwd=module(main__go=text))
    assert done.returncode == 0, done.stderr
    assert "plugin" in done.stderr
    assert "static" in done.stderr
