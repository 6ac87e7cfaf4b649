"""The small file beside each artifact that says what it is made of and why it can be trusted."""

import os
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import __version__, jsontext, paths, store
from gotoolforge.verify import FileReport

SUFFIX = ".provenance.json"


def describe(
    artifact: Path, digest: str, facts: dict[str, Any], report: FileReport
) -> dict[str, Any]:
    """The provenance as plain values; no times and no host names, so equal builds are equal."""
    modules = report.go.deps if report.go else ()
    return {
        "version": 1,
        "gotoolforge": __version__,
        "artifact": artifact.name,
        "sha256": digest,
        "size": artifact.stat().st_size,
        **_neutral(facts),
        "modules": [list(one) for one in modules],
        "verdict": report.verdict,
        "linkage": report.linkage,
        "floor": report.floor,
        "evidence": list(report.evidence),
        "findings": msgspec.to_builtins(report.findings),
    }


def write_beside(artifact: Path, documents: dict[str, Any], *, staging: Path) -> None:
    """Write each document, by its suffix, beside the artifact: all of them or none.

    They are written whole in `staging`, a folder on the same disk, and renamed. Raises OSError.
    """
    staged = {}
    for suffix, value in documents.items():
        path = staging / f"{artifact.name}{suffix}"
        store.write_atomically(path, jsontext.document(value))
        staged[path] = artifact.with_name(path.name)
    for path, final in staged.items():
        path.replace(final)


def update_checksums(folder: Path, digests: dict[str, str]) -> None:
    """Merge digests into `checksums.txt` (sha256sum's form), less names whose file is gone."""
    path = folder / "checksums.txt"
    with store.locked("checksums-" + store.short(store.digest_of(str(folder.resolve())))):
        known = {}
        if path.is_file():
            for line in os.fsdecode(path.read_bytes()).splitlines():
                digest, _, name = line.partition("  ")
                if (folder / name).is_file():
                    known[name] = digest
        known |= digests
        text = "".join(f"{known[name]}  {name}\n" for name in sorted(known))
        store.write_atomically(path, text)


def _neutral(value: Any) -> Any:
    """Paths of the store and the home folder by name, so that no build tells on a user."""
    if isinstance(value, dict):
        return {key: _neutral(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_neutral(one) for one in value]
    if isinstance(value, str):
        value = value.replace(str(paths.store_dir()), "${GOTOOLFORGE_CACHE}")
        home = os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises without a home
        return value.replace(home + "/", "~/") if len(home) > 1 else value
    return value
