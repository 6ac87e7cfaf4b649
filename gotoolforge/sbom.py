"""What an artifact is made of, in other people's forms: a CycloneDX bill, an in-toto statement.

The Go modules come from the build info inside the artifact, the C side from the manifest of the
toolchain that was linked in. No times and no host names, so equal builds have equal documents.
"""

from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import __version__, store
from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.errors import UnreadableError
from gotoolforge.finding import Finding
from gotoolforge.forge.manifest import NAME as MANIFEST
from gotoolforge.forge.manifest import bill_row, load_manifest
from gotoolforge.policy import load_checks
from gotoolforge.verify import FileReport

BILL = ".cdx.json"
STATEMENT = ".intoto.json"
# What of a toolchain ends up inside the programs that it links.
_LINKED_IN = {"musl", "gcc"}


def describe_bill(
    name: str, sha256: str, report: FileReport, toolchain: Toolchain | None
) -> dict[str, Any]:
    """The CycloneDX 1.5 document: Go modules, the C side with its patches, and the verdict."""
    go = report.go
    main = {
        "type": "application",
        "bom-ref": "artifact",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "properties": [
            {"name": f"gotoolforge:{key}", "value": str(value)}
            for key, value in (("verdict", report.verdict), ("linkage", report.linkage),
                               ("floor", report.floor))
            if value is not None
        ],
    }  # fmt: skip
    modules = [_module(path, version) for path, version in (go.deps if go else ())]
    standard = [_standard_library(go.version)] if go and go.version else []
    parts = [*standard, *modules, *_c_side(toolchain)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": main,
            "tools": {"components": [{"type": "application", "name": "gotoolforge",
                                      "version": __version__}]},
        },
        "components": parts,
        "dependencies": [{"ref": "artifact", "dependsOn": [one["bom-ref"] for one in parts]}],
    }  # fmt: skip


def describe_statement(name: str, sha256: str, facts: dict[str, Any]) -> dict[str, Any]:
    """The in-toto v1 statement with SLSA v1 provenance; `facts` as in the provenance file."""
    tool = facts.get("toolchain") or {}
    builder = {"id": "gotoolforge", "version": {"gotoolforge": __version__}}
    needs: list[dict[str, Any]] = [
        {"uri": f"pkg:golang/{path}@{version}"} for path, version in facts["modules"]
    ]
    if tool:
        needs.append({"name": f"{tool['family']} {tool['version']}",
                      "digest": {"sha256": tool["digest"]}})  # fmt: skip
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://slsa.dev/provenance/v1#gotoolforge-build",
                "externalParameters": {
                    "target": facts["target"], "packages": facts["packages"],
                    "flags": facts["flags"],
                },
                "internalParameters": {"env": facts["env"], "go": facts["go"]},
                "resolvedDependencies": needs,
            },
            "runDetails": {"builder": builder},
        },
    }  # fmt: skip


def compare_bill(bill: Path, file: Path, report: FileReport) -> tuple[Finding, ...]:
    """Whether `bill` describes `file`: its digest, its verdict and its Go modules.

    Raises UnreadableError if the bill is no CycloneDX document.
    """
    try:
        said = msgspec.json.decode(bill.read_bytes(), type=dict[str, Any])
        main = said["metadata"]["component"]
        digests = {one["alg"]: one["content"] for one in main["hashes"]}
        verdicts = {one["value"] for one in main.get("properties", [])
                    if one["name"] == "gotoolforge:verdict"}  # fmt: skip
        modules = {(one["name"], one["version"]) for one in said["components"]
                   if one.get("purl", "").startswith("pkg:golang/")}  # fmt: skip
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        what = f"{bill}: not a CycloneDX document of gotoolforge's: {error!r}"
        raise UnreadableError(what, hint="`gotoolforge build` writes NAME.cdx.json") from error
    differs = []
    digest = store.file_sha256(file)
    if digests.get("SHA-256") != digest:
        differs.append(f"it has sha256 {digest}, the bill says {digests.get('SHA-256')}")
    if verdicts and report.verdict not in verdicts:
        differs.append(f"it is {report.verdict}, the bill says {', '.join(sorted(verdicts))}")
    here = set(report.go.deps) if report.go else set()
    if here != {one for one in modules if one[0] != "std"}:
        differs.append("its Go modules are not those of the bill")
    check = load_checks()["sbom-differs"]
    return tuple(
        Finding(check=check.id, severity="error", message=one, advice=check.fix) for one in differs
    )


def _module(path: str, version: str) -> dict[str, Any]:
    ref = f"pkg:golang/{path}@{version}"
    return {"type": "library", "bom-ref": ref, "name": path, "version": version, "purl": ref}


def _standard_library(version: str) -> dict[str, Any]:
    return _module("std", version.removeprefix("go"))


def _c_side(toolchain: Toolchain | None) -> list[dict[str, Any]]:
    """The parts of the toolchain that are linked in, by its manifest; else the toolchain itself."""
    if toolchain is None:
        return []
    if toolchain.family == "gcc" and (toolchain.prefix / MANIFEST).is_file():
        parts = load_manifest(toolchain.prefix).components
        return [bill_row(one) for one in parts if one.name in _LINKED_IN]
    return [
        {
            "type": "library",
            "bom-ref": f"{toolchain.family}-libc",
            "name": f"musl of the {toolchain.family} toolchain",
            "version": toolchain.version,
            "hashes": [{"alg": "SHA-256", "content": toolchain.digest}],
        }
    ]
