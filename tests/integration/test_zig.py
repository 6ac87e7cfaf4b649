"""The zig family's compiler, used the way that build systems use one."""

import os
import subprocess
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.go


@pytest.fixture
def cc(tool: Run) -> Path:
    done = tool("toolchain", "path", "x86_64-alpine-musl", "--toolchain", "zig")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()) / "bin" / "x86_64-alpine-linux-musl-cc"


def test_two_build_folders_of_one_source_do_not_get_each_others_objects(
    cc: Path, tmp_path: Path
) -> None:
    source = tmp_path / "answer.c"
    source.write_text("#include <config.h>\nint main(void) { return ANSWER; }\n")
    answers = []
    for answer in (1, 2):
        folder = tmp_path / f"build{answer}"
        folder.mkdir()
        (folder / "config.h").write_text(f"#define ANSWER {answer}\n")
        subprocess.run([cc, "-I.", "-c", source, "-o", "answer.o"], cwd=folder, check=True)
        subprocess.run([cc, "-static", "answer.o", "-o", "answer"], cwd=folder, check=True)
        answers.append(subprocess.run([folder / "answer"]).returncode)
    assert answers == [1, 2]


def test_a_build_systems_own_dependency_file_is_written(cc: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.h").write_text("")
    (tmp_path / "main.c").write_text('#include "mine.h"\nint main(void) { return 0; }\n')
    words = [cc, "-MMD", "-MF", "main.d", "-c", "main.c", "-o", "main.o"]
    subprocess.run(words, cwd=tmp_path, check=True)
    assert "mine.h" in (tmp_path / "main.d").read_text()


def test_undefined_behaviour_does_not_trap(cc: Path, tmp_path: Path) -> None:
    text = "int main(int n, char **v) { (void)v; return (n + 0x7fffffff > 0) && (n << 31); }\n"
    (tmp_path / "main.c").write_text(text)
    subprocess.run([cc, "-static", "main.c", "-o", "main"], cwd=tmp_path, check=True)
    assert os.waitstatus_to_exitcode(os.system(str(tmp_path / "main"))) >= 0


def test_a_low_soft_limit_of_open_files_is_no_obstacle(tool: Run, cc: Path, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    # What zig itself sees: its wrapper with the program replaced by a shell that tells its limit.
    text = cc.read_text()
    last = text.strip().splitlines()[-1]
    told = tmp_path / "told"
    told.write_text(text.replace(last, "ulimit -S -n"))
    script = 'ulimit -S -n 64; sh "$1"; ulimit -H -n'
    done = subprocess.run(["sh", "-c", script, "sh", told], capture_output=True, text=True)
    seen, hard = done.stdout.split()
    assert seen == hard
    script = f"ulimit -S -n 64; cd '{tmp_path}' && '{cc}' -static main.c -o main && ./main"
    subprocess.run(["sh", "-ec", script], check=True)
