"""The documents beside an artifact, and a file held against its bill of materials."""

import json
import shutil
from pathlib import Path

import pytest

from .conftest import EXAMPLES, Run

pytestmark = [pytest.mark.go, pytest.mark.network]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .conftest import gotoolforge

    out = tmp_path_factory.mktemp("sbom") / "zstd"
    words = ("build", "--toolchain", "zig", "-o", str(out), ".")
    done = gotoolforge(*words, cwd=EXAMPLES / "zstd")
    assert done.returncode == 0, done.stderr
    return out


def test_the_bill_joins_go_modules_and_the_c_side(built: Path) -> None:
    bill = json.loads(built.with_name("zstd.cdx.json").read_text())
    names = {one["name"] for one in bill["components"]}
    assert "std" in names
    assert any(name.startswith("github.com/") and "zstd" in name for name in names)
    assert any("musl" in name for name in names)
    properties = {one["name"]: one["value"] for one in bill["metadata"]["component"]["properties"]}
    assert properties["gotoolforge:verdict"] == "musl-static"
    refs = {one["bom-ref"] for one in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == refs


def test_the_statement_names_the_artifact_and_how_it_was_made(built: Path) -> None:
    said = json.loads(built.with_name("zstd.intoto.json").read_text())
    facts = json.loads(built.with_name("zstd.provenance.json").read_text())
    assert said["subject"] == [{"name": "zstd", "digest": {"sha256": facts["sha256"]}}]
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["target"] == "x86_64-alpine-musl"
    assert any(one.get("uri", "").startswith("pkg:golang/") for one in
               definition["resolvedDependencies"])  # fmt: skip


def test_a_file_is_held_against_its_bill(tool: Run, built: Path, tmp_path: Path) -> None:
    bill = str(built.with_name("zstd.cdx.json"))
    assert tool("verify", "--sbom", bill, str(built)).returncode == 0
    other = Path(shutil.copy(built, tmp_path / "zstd"))
    with other.open("ab") as end:
        end.write(b"more")
    done = tool("verify", "--sbom", bill, "--json", str(other))
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)["files"]
    assert [one["check"] for one in report["findings"]] == ["sbom-differs"]


def test_what_is_no_bill_is_said(tool: Run, built: Path) -> None:
    done = tool("verify", "--sbom", str(built.with_name("zstd.provenance.json")), str(built))
    assert done.returncode == 3
    assert "CycloneDX" in done.stderr
    assert "Traceback" not in done.stderr
