"""Who is to blame, and where it runs: asked of real files, real modules and real roots."""

import json
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ..corpus import suites
from ..corpus.cases import Corpus
from ..corpus.making import EXAMPLES, cc
from .conftest import Run

pytestmark = [pytest.mark.go, pytest.mark.network, pytest.mark.corpus]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("corpus"))


def packages(tool: Run, path: Path) -> dict[str, dict[str, object]]:
    done = tool("why", "--json", str(path))
    assert done.returncode == 1, done.stderr
    return {one["package"]: one for one in json.loads(done.stdout)["packages"]}


@pytest.mark.parametrize("name", ["go-std-cgo", "go-std-cgo-stripped", "go-std-cgo-headless"])
def test_a_binary_names_its_packages_even_stripped(tool: Run, corpus: Corpus, name: str) -> None:
    found = packages(tool, corpus.path(name))
    assert "getaddrinfo" in found["net"]["calls"]  # type: ignore[operator]
    assert "getaddrinfo@GLIBC_2.2.5" in found["net"]["symbols"]  # type: ignore[operator]
    assert "netgo" in str(found["net"]["remedy"])
    assert "osusergo" in str(found["os/user"]["remedy"])
    asked = found["runtime/cgo"]["symbols"]
    assert any(one.startswith("pthread_create@") for one in asked)  # type: ignore[attr-defined]
    # For people the newest versions come first, which decide the floor, and the rest is counted.
    told = tool("why", str(corpus.path(name))).stdout
    assert "more (--verbose names them)" in told
    whole = tool("why", "--verbose", str(corpus.path(name))).stdout
    assert len(whole) > len(told)
    assert all(symbol in whole for symbol in asked)  # type: ignore[attr-defined]


def test_static_files_name_their_callers_too(tool: Run, corpus: Corpus) -> None:
    assert {"strlen", "start", "CString", "free"} >= set(
        packages(tool, corpus.path("go-cgo-musl"))["main"]["calls"]  # type: ignore[call-overload]
    )
    assert tool("why", str(corpus.path("go-amd64"))).returncode == 0


def test_source_shows_the_chain_and_what_takes_it_away(tool: Run) -> None:
    done = tool("why", "--json", ".", cwd=EXAMPLES / "sqlite")
    assert done.returncode == 1, done.stderr
    chains = {one["package"]: one for one in json.loads(done.stdout)["chains"]}
    sqlite = chains["github.com/mattn/go-sqlite3"]
    assert sqlite["imports"][-1] == "github.com/mattn/go-sqlite3"
    assert "modernc.org/sqlite" in sqlite["remedy"]
    assert chains["runtime/cgo"]["imports"][-1] == "runtime/cgo"
    assert tool("why", "--tags", "netgo,osusergo", ".", cwd=EXAMPLES / "hello").stdout


def glibc_archive(folder: Path) -> Path:
    text = '#include <stdio.h>\nint old(void) { char b[9]; return sprintf(b, "%d", getchar()); }\n'
    made = cc(folder / "old.o", "-c", "-O2", "-D_FORTIFY_SOURCE=2", text=text)
    (folder / "old.o.c").unlink()
    subprocess.run(["ar", "rcs", "libold.a", made.name], cwd=folder, check=True)
    made.unlink()
    return folder / "libold.a"


def test_an_archive_built_for_glibc_is_named_before_the_link(
    tool: Run, module: Callable[..., Path]
) -> None:
    main = 'package main\n\n// #cgo LDFLAGS: -L. -lold\n// int old(void);\nimport "C"\n\n'
    folder = module(main__go=main + "func main() { C.old() }\n")
    made = glibc_archive(folder)
    done = tool("why", "--json", ".", cwd=folder)
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)["prebuilt"]
    assert (found["path"], found["linked"]) == (str(made), True)
    assert found["symbols"] == ["__sprintf_chk"]
    planned = json.loads(tool("plan", "--json", ".", cwd=folder).stdout)["targets"][0]
    assert ["libold.a" in one and "__sprintf_chk" in one for one in planned["warnings"]] == [True]
    done = tool("build", "-o", "app", ".", cwd=folder)
    assert done.returncode == 13
    said = done.stderr
    assert said.index("was built for glibc") < said.index("undefined symbol: __sprintf_chk")
    # Asked for another program, a build that links none of it has nothing to say.
    (folder / "main.go").write_text("package main\n\nfunc main() {}\n")
    done = tool("why", "--json", ".", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [one["linked"] for one in json.loads(done.stdout)["prebuilt"]] == [False]
    assert (
        json.loads(tool("plan", "--json", ".", cwd=folder).stdout)["targets"][0]["warnings"] == []
    )


def test_a_syso_built_for_glibc_is_named_too(tool: Run, module: Callable[..., Path]) -> None:
    folder = module(main__go='package main\n\n// int x;\nimport "C"\n\nfunc main() {}\n')
    text = "int f(int n) { extern int __isoc23_atoi(int); return __isoc23_atoi(n); }\n"
    cc(folder / "old_linux_amd64.syso", "-c", text=text)
    (folder / "old_linux_amd64.syso.c").unlink()
    planned = tool("plan", "--json", "--target", "amd64", ".", cwd=folder)
    (one,) = json.loads(planned.stdout)["targets"][0]["warnings"]
    assert "old_linux_amd64.syso" in one
    assert "__isoc23_atoi" in one


def test_graphs_are_read_by_graphviz(tool: Run, corpus: Corpus) -> None:
    path = str(corpus.path("go-std-cgo"))
    dot = tool("why", "--dot", path).stdout
    assert '"net" -> "C.getaddrinfo" [label="calls"];' in dot
    mermaid = tool("why", "--mermaid", path).stdout
    assert mermaid.startswith("flowchart LR\n")
    assert '["net"]' in mermaid


def test_the_table_says_where_it_runs_and_why_not(tool: Run, corpus: Corpus) -> None:
    done = tool("compat", "--json", str(corpus.path("go-std-cgo")))
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert value["floor"] == "2.34"
    places = {one["name"]: one for one in value["places"]}
    assert places["this machine"]["answer"] == "runs"
    assert places["Debian 13"]["answer"] == "runs"
    for name in ("CentOS 7", "Debian 11", "Alpine 3.22", "scratch"):
        assert places[name]["answer"] == "does not run", name
    assert any("@GLIBC_2.34" in one and "runtime/cgo" in one
               for one in places["CentOS 7"]["because"])  # fmt: skip
    assert places["CentOS 7"]["past_eol"]


@pytest.mark.parametrize(("suite", "runs"), [("bullseye", False), ("trixie", True)])
def test_a_root_and_an_image_of_it_are_asked_for_the_very_symbols(
    tool: Run, corpus: Corpus, tmp_path: Path, suite: str, runs: bool
) -> None:
    root = suites.unpacked(suite, suites.LIBC)
    made = str(corpus.path("go-std-cgo"))
    done = tool("compat", "--json", "--root", str(root), made)
    place, here = json.loads(done.stdout)["places"]
    assert here["name"] == "this machine"
    assert (done.returncode == 0, place["answer"] == "runs") == (runs, runs), place
    if not runs:
        assert any("pthread" in one and "@GLIBC_2.34" in one for one in place["because"])
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        for name in ("lib", "lib64", "usr/lib", "usr/lib64"):
            if (root / name).exists() or (root / name).is_symlink():
                tar.add(root / name, arcname=name)
    (tmp_path / "manifest.json").write_text('[{"Layers": ["layer.tar"]}]')
    image = tmp_path / "image.tar"
    with tarfile.open(image, "w") as tar:
        tar.add(layer, arcname="layer.tar")
        tar.add(tmp_path / "manifest.json", arcname="manifest.json")
    done = tool("compat", "--json", "--image", str(image), made)
    again, _ = json.loads(done.stdout)["places"]
    assert (again["answer"], again["libc"]) == (place["answer"], place["libc"])


@pytest.mark.parametrize(("suite", "runs"), [("bullseye", False), ("trixie", True)])
def test_a_distributions_libc_file_alone_is_asked_too(
    tool: Run, corpus: Corpus, suite: str, runs: bool
) -> None:
    root = suites.unpacked(suite, suites.LIBC)
    (libc,) = {one.resolve() for one in root.glob("lib/x86_64-linux-gnu/libc.so.6")}
    done = tool("compat", "--json", "--libc", str(libc), str(corpus.path("go-std-cgo")))
    place, here = json.loads(done.stdout)["places"]
    assert here["name"] == "this machine"
    assert (done.returncode == 0, place["answer"] == "runs") == (runs, runs), place
    # By the newest version that it defines: 2.31 added none on amd64.
    assert place["libc"] == {"bullseye": "glibc 2.30", "trixie": "glibc 2.41"}[suite]
    done = tool("compat", "--json", "--libc", str(libc), str(corpus.path("cxx")))
    assert json.loads(done.stdout)["places"][0]["answer"] in {"not known", "does not run"}
    assert tool("compat", "--libc", __file__, str(libc)).returncode == 3


def test_what_is_no_root_and_no_program_is_refused(
    tool: Run, corpus: Corpus, tmp_path: Path
) -> None:
    made = str(corpus.path("c-pie"))
    (tmp_path / "x.tar").write_bytes(b"not a tarball")
    assert tool("compat", "--image", str(tmp_path / "x.tar"), made).returncode == 3
    assert tool("compat", str(tmp_path / "x.tar")).returncode == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    done = tool("compat", "--root", str(empty), made)
    assert done.returncode == 1
    assert "ld-linux-x86-64.so.2 is not there" in done.stdout
