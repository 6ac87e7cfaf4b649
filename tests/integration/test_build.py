"""The main job on real programs: planner to verdict, with real compilers."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Run

pytestmark = pytest.mark.go


@pytest.mark.network
def test_the_main_job_sqlite_with_zig(tool: Run, tmp_path: Path) -> None:
    out = tmp_path / "sqlite"
    done = tool(
        "build", "--target", "x86_64-alpine-musl", "--toolchain", "zig", "--json",
        "-C", str(EXAMPLES / "sqlite"), "-o", str(out), ".",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    report = artifact["report"]
    assert report["verdict"] == "musl-static"
    assert report["linkage"] == "static"
    assert report["stack_size"] == 8 * 1024 * 1024
    assert artifact["path"] == str(out)
    assert "start-up code" in " ".join(report["evidence"])
    ran = subprocess.run([out], capture_output=True, text=True)
    assert ran.stdout.startswith("sqlite 3.")
    assert ran.stdout.endswith("100 rows, sum 5050\n")
    facts = json.loads((tmp_path / "sqlite.provenance.json").read_text())
    assert facts["verdict"] == "musl-static"
    assert facts["toolchain"]["family"] == "zig"
    assert str(Path.home()) + "/" not in json.dumps(facts["env"])


def test_pure_go_needs_no_compiler(tool: Run, tmp_path: Path) -> None:
    words = ("-C", str(EXAMPLES / "hello"), "-o", f"{tmp_path}/", ".")
    done = tool("build", "--target", "linux/arm64", "--target", "linux/arm/v7", *words)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in tmp_path.iterdir() if "." not in path.name)
    assert names == ["hello_linux_arm64", "hello_linux_armv7"]
    assert done.stdout.split() == [str(tmp_path / name) for name in names]
    sums = (tmp_path / "checksums.txt").read_text().splitlines()
    assert [line.split("  ")[1] for line in sums] == names
    verdicts = tool("verify", "--json", *done.stdout.split())
    assert [one["verdict"] for one in json.loads(verdicts.stdout)["files"]] == ["no-libc"] * 2


def test_the_plan_says_who_needs_c_and_why(tool: Run) -> None:
    done = tool("plan", "--json", "--cgo", "off", ".", cwd=EXAMPLES / "cxx")
    (plan,) = json.loads(done.stdout)["targets"]
    (need,) = plan["needs_c"]
    assert need["package"] == "example.com/cxx"
    assert "C++ (work.cpp)" in need["reasons"]
    assert "may fail only when it runs" in plan["warnings"][0]


def test_env_is_for_a_plain_go_build(tool: Run, tmp_path: Path) -> None:
    done = tool("env", "--toolchain", "zig", "--target", "amd64", "-tags", "mine")
    assert done.returncode == 0, done.stderr
    out = tmp_path / "cxx"
    script = f"eval \"$1\"; cd '{EXAMPLES / 'cxx'}' && go build -o '{out}' ."
    subprocess.run(["sh", "-ec", script, "sh", done.stdout], check=True)
    (report,) = json.loads(tool("verify", "--json", str(out)).stdout)["files"]
    assert report["verdict"] == "musl-static"
    assert "mine" in report["go"]["settings"]["-tags"]
    ran = subprocess.run([out], capture_output=True, text=True)
    assert ran.stdout == "c++: sum 2002000, caught 42\n"


def test_a_rejected_artifact_is_kept_under_another_name(tool: Run, tmp_path: Path) -> None:
    words = ("--policy", "musl-static", "-o", str(tmp_path / "hello"), ".")
    done = tool("build", *words, cwd=EXAMPLES / "hello")
    assert done.returncode == 1
    assert (tmp_path / "hello.rejected").is_file()
    assert not (tmp_path / "hello").exists()


def test_flags_of_go_build_are_merged_into_the_binary(tool: Run, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text(
        'package main\n\nvar word = "unset"\n\nfunc main() { println(word) }\n'
    )
    flags = "'-ldflags=-X \"main.word=from GOFLAGS\"'"
    done = tool("build", "-C", str(tmp_path), ".", GOFLAGS=flags)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "app"], capture_output=True, text=True)
    assert ran.stderr == "from GOFLAGS\n"
    done = tool("build", "-C", str(tmp_path), "-ldflags", "-X 'main.word=from the line'", ".")
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "app"], capture_output=True, text=True)
    assert ran.stderr == "from the line\n"


@pytest.mark.parametrize("resolver", ["go", "musl"])
def test_names_and_users_with_either_resolver(tool: Run, tmp_path: Path, resolver: str) -> None:
    out = tmp_path / "resolver"
    words = ("--toolchain", "zig", "--resolver", resolver, "--json", "-o", str(out), ".")
    done = tool("build", *words, cwd=EXAMPLES / "resolver")
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    # As planned no libc is inside; with musl's resolver it is musl that looks up.
    assert artifact["report"]["verdict"] == {"go": "no-libc", "musl": "musl-static"}[resolver]
    needs = " ".join(artifact["report"]["needs"])
    assert "/etc/resolv.conf" in needs or resolver == "musl"
    ran = subprocess.run([out, "localhost"], capture_output=True, text=True)
    assert ran.stdout.startswith("localhost: ")
    assert f"uid {os.getuid()}" in ran.stdout


def test_what_an_image_from_scratch_lacks_is_noted(tool: Run, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text(
        'package main\n\nimport "time"\n\nfunc main() {\n'
        '\tplace, _ := time.LoadLocation("Europe/Paris")\n\tprintln(place.String())\n}\n'
    )
    done = tool("build", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "time zones" in done.stderr
    assert "TLS" not in done.stderr
    done = tool("build", "-tags", "timetzdata", ".", cwd=tmp_path)
    assert "time zones" not in done.stderr


def test_what_a_project_always_wants_comes_from_its_file(tool: Run, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example.com/app\n\ngo 1.24\n")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    (tmp_path / "gotoolforge.toml").write_text(
        'targets = ["linux/arm64", "linux/riscv64"]\nstrip = true\npolicy = "no-libc"\n'
    )
    done = tool("build", ".", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = [Path(line) for line in done.stdout.split()]
    assert [path.name for path in made] == ["app_linux_arm64", "app_linux_riscv64"]
    assert {path.parent for path in made} == {tmp_path / "dist"}
    sections = subprocess.run(["readelf", "-SW", made[0]], capture_output=True, text=True).stdout
    assert ".symtab" not in sections
