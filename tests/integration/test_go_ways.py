"""The ways in which real projects call the go command: each works with `gotoolforge build` too."""

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from .conftest import Run

pytestmark = pytest.mark.go
MAIN = """\
package main

import (
	"fmt"

	"example.com/lib"
)

func main() { fmt.Println(lib.Word()) }
"""
LIB = 'package lib\n\nfunc Word() string { return "%s" }\n'


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def module(name: str, more: str = "") -> str:
    return f"module example.com/{name}\n\ngo 1.24\n{more}"


def said(program: Path, **env: str) -> str:
    done = subprocess.run([program], capture_output=True, text=True, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def settings(program: Path) -> str:
    argv = ["go", "version", "-m", program]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two modules side by side; `app` imports `lib` and finds it by a replace line."""
    replace = "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n"
    files = {
        "app/go.mod": module("app", replace),
        "app/main.go": MAIN,
        "lib/go.mod": module("lib"),
        "lib/lib.go": LIB % "plain",
    }
    return write(tmp_path, files)


def test_a_replace_line_is_said(tool: Run, two: Path) -> None:
    done = tool("build", ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert "replaced: example.com/lib => ../lib" in done.stderr
    assert said(two / "app" / "app") == "plain"
    facts = json.loads((two / "app" / "app.provenance.json").read_text())
    assert "../lib" in json.dumps(facts["modules"])


def test_a_workspace(tool: Run, two: Path) -> None:
    write(two, {"app/go.mod": module("app"), "go.work": "go 1.24\n\nuse (\n\t./app\n\t./lib\n)\n"})
    done = tool("build", "-o", "out", "./app", cwd=two)
    assert done.returncode == 0, done.stderr
    assert said(two / "out") == "plain"
    done = tool("build", ".", cwd=two / "app", GOWORK="off")
    assert done.returncode == 12
    assert "example.com/lib" in done.stderr


def test_the_settings_of_a_module_in_a_workspace(tool: Run, two: Path) -> None:
    more = {"go.work": "go 1.24\n\nuse (\n\t./app\n\t./lib\n)\n", "app/go.mod": module("app")}
    write(two, {**more, "app/gotoolforge.toml": 'targets = ["linux/arm64"]\n'})
    done = tool("plan", "--json", ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["targets"][0]["platform"] == "linux/arm64"


@pytest.mark.parametrize("word", ["-mod=vendor", ""])
def test_a_vendor_folder(tool: Run, two: Path, word: str) -> None:
    subprocess.run(["go", "mod", "vendor"], cwd=two / "app", check=True)
    write(two, {"app/vendor/example.com/lib/lib.go": LIB % "vendored"})
    done = tool("build", *filter(None, [word]), ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert said(two / "app" / "app") == "vendored"


def test_a_vendor_folder_that_is_out_of_step(tool: Run, two: Path) -> None:
    subprocess.run(["go", "mod", "vendor"], cwd=two / "app", check=True)
    write(two, {"app/vendor/modules.txt": ""})
    done = tool("build", ".", cwd=two / "app")
    assert done.returncode == 12
    assert "go mod vendor" in done.stderr
    assert not (two / "app" / "app").exists()


def test_an_overlay_decides_what_is_planned_too(tool: Run, two: Path) -> None:
    # The overlay brings cgo into a program that has none on disk.
    text = 'package lib\n\n// static int n(void) { return 7; }\nimport "C"\n\nimport "fmt"\n\n'
    text += "func Word() string { return fmt.Sprint(int(C.n())) }\n"
    over = {"Replace": {str(two / "lib" / "lib.go"): str(two / "other.go")}}
    write(two, {"other.go": text, "overlay.json": json.dumps(over)})
    words = ("-overlay", str(two / "overlay.json"))
    done = tool("build", "--toolchain", "zig", *words, ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert "needs C: example.com/lib" in done.stderr
    assert said(two / "app" / "app") == "7"


def test_coverage_of_a_whole_program(tool: Run, two: Path) -> None:
    done = tool("build", "-cover", "-coverpkg=./...,example.com/lib", ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    (two / "counts").mkdir()
    assert said(two / "app" / "app", GOCOVERDIR=str(two / "counts")) == "plain"
    percent = ["go", "tool", "covdata", "percent", "-i", str(two / "counts")]
    shown = subprocess.run(percent, capture_output=True, text=True, check=True).stdout
    assert "example.com/lib" in shown
    assert "100.0%" in shown


def test_a_profile_guides_the_compiler(tool: Run, tmp_path: Path) -> None:
    # Without fmt, since a profile means that all packages of the program are compiled again.
    work = (
        'package main\n\nfunc work() int { return len("x") }\n\nfunc main() { println(work()) }\n'
    )
    bench = (
        'package main\n\nimport "testing"\n\nfunc BenchmarkWork(b *testing.B) {\n'
        "\tfor range b.N {\n\t\twork()\n\t}\n}\n"
    )
    write(tmp_path, {"go.mod": module("app"), "main.go": work, "main_test.go": bench})
    made = ["go", "test", "-bench=.", "-benchtime=200ms", "-cpuprofile=cpu.pprof"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    done = tool("build", "-pgo", "cpu.pprof", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # With -trimpath Go records the file by its name.
    assert "-pgo=cpu.pprof" in settings(tmp_path / "app")


def test_another_go_mod_file(tool: Run, two: Path) -> None:
    replace = "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../elsewhere\n"
    write(two, {"app/other.mod": module("app", replace), "elsewhere/go.mod": module("lib")})
    write(two, {"elsewhere/lib.go": LIB % "elsewhere"})
    done = tool("build", "-modfile=other.mod", ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert "=> ../elsewhere" in done.stderr
    assert said(two / "app" / "app") == "elsewhere"


def test_another_folder_and_outputs_relative_to_it(tool: Run, two: Path) -> None:
    done = tool("build", "-C", "app", "-o", "bin/", ".", cwd=two)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(two / "app" / "bin" / "app")]


def test_a_go_named_by_a_relative_path_serves_another_folder(tool: Run, two: Path) -> None:
    (two / "go").symlink_to(shutil.which("go") or "")
    done = tool("build", "--go", "./go", "-C", "app", "-o", "out", ".", cwd=two)
    assert done.returncode == 0, done.stderr
    assert (two / "app" / "out").is_file()


def test_a_private_module_from_its_own_repository(tool: Run, tmp_path: Path) -> None:
    write(tmp_path, {"lib/go.mod": "module private.invalid/team/lib.git\n\ngo 1.24\n",
                     "lib/lib.go": LIB % "private"})  # fmt: skip
    author = {"GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.com"}
    author |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in author.items()}
    for words in ("init -q", "add .", "commit -q -m first", "tag v1.0.0"):
        env = {**os.environ, **author}
        subprocess.run(["git", *words.split()], cwd=tmp_path / "lib", check=True, env=env)
    require = "\nrequire private.invalid/team/lib.git v1.0.0\n"
    main = MAIN.replace("example.com/lib", "private.invalid/team/lib.git")
    write(tmp_path, {"app/go.mod": module("app", require), "app/main.go": main})
    env = {
        "GOPRIVATE": "private.invalid",
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.file://{tmp_path}/lib.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://private.invalid/team/lib",
    }
    done = tool("build", ".", cwd=tmp_path / "app", **env)
    assert done.returncode == 0, done.stderr
    assert said(tmp_path / "app" / "app") == "private"


def test_a_cgo_program_by_its_version_from_a_proxy(tool: Run, tmp_path: Path) -> None:
    gomod = "module example.com/tiny\n\ngo 1.24\n\nreplace example.com/x => ./x\n"
    main = 'package main\n\n// static int n(void) { return 7; }\nimport "C"\n\n'
    main += "func main() { println(int(C.n())) }\n"
    versions = tmp_path / "proxy" / "example.com" / "tiny" / "@v"
    info = '{"Version": "v1.0.0"}'
    write(versions, {"list": "v1.0.0\n", "v1.0.0.info": info, "v1.0.0.mod": gomod})
    with zipfile.ZipFile(versions / "v1.0.0.zip", "w") as made:
        made.writestr("example.com/tiny@v1.0.0/go.mod", gomod)
        made.writestr("example.com/tiny@v1.0.0/cmd/seven/main.go", main)
    env = {
        "GOPROXY": f"file://{tmp_path}/proxy",
        "GONOSUMDB": "example.com",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOFLAGS": "-modcacherw",
    }
    words = ("--toolchain", "zig", "example.com/tiny/cmd/seven@v1.0.0")
    (tmp_path / "here").mkdir()
    done = tool("build", *words, cwd=tmp_path / "here", **env)
    assert done.returncode == 0, done.stderr
    assert "replaces example.com/x by ./x for itself" in done.stderr
    ran = subprocess.run([tmp_path / "here" / "seven"], capture_output=True, text=True)
    assert ran.stderr == "7\n"
    assert "path\texample.com/tiny/cmd/seven" in settings(tmp_path / "here" / "seven")
    done = tool("build", "example.com/tiny/cmd/seven@v9.9.9", cwd=tmp_path / "here", **env)
    assert done.returncode == 12
    assert "v9.9.9" in done.stderr


def test_what_go_says_with_v_and_x_is_shown(tool: Run, two: Path) -> None:
    write(two, {"lib/lib.go": LIB % two})  # new to every build cache
    done = tool("build", "-v", "-x", "-p=2", ".", cwd=two / "lib")
    assert done.returncode == 0, done.stderr
    assert "example.com/lib" in done.stderr
    assert "/compile" in done.stderr
    assert done.stdout == ""


def test_packages_that_are_no_commands_are_compiled_too(tool: Run, two: Path) -> None:
    write(two, {"lib/lib.go": "package lib\n\nfunc Word() string { return nosuch }\n"})
    done = tool("build", "./...", cwd=two / "lib")
    assert done.returncode == 13
    assert "undefined: nosuch" in done.stderr


def test_a_dry_run_leaves_nothing(tool: Run, two: Path) -> None:
    done = tool("build", "-n", ".", cwd=two / "app")
    assert done.returncode == 0, done.stderr
    assert not (two / "app" / "app").exists()
    assert "/link" in done.stderr
