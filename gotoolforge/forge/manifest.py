"""What is written beside a finished toolchain: its manifest, its files' digests, its SBOM."""

from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import __version__, jsontext, store
from gotoolforge.errors import StoreError

NAME = "manifest.json"
FILES = "files.json"
SBOM = "sbom.cdx.json"
_OURS = {NAME, FILES, SBOM}


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A change of ours to a component: its file below recipes/, and that file's sha256."""

    file: str
    sha256: str


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream part; `sha256` is of the file that was used, of several accepted ones."""

    name: str
    version: str
    licence: str
    file: str
    sha256: str
    patches: tuple[Patch, ...] = ()


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a forged toolchain. It names no folder: the tree can be moved.

    `host` is the GNU triple on which its own programs run, `host_compiler` (zig, machine, forged)
    what compiled them, `host_words` the same for people. `seconds` are of each stage on the
    machine that forged it; `digest` is the recipe's, the store's key. What differs between two
    forgings of one recipe (times, which form of a source was used) stands only here.
    """

    version: int = 1
    family: str = "gcc"
    target: str
    triple: str
    digest: str
    languages: tuple[str, ...]
    host: str
    host_compiler: str = "zig"
    host_words: str = ""
    components: tuple[Component, ...]
    made_by: str = f"gotoolforge {__version__}"
    made: str = ""
    seconds: dict[str, float] = {}
    cpu_seconds: dict[str, float] = {}

    @property
    def summary(self) -> str:
        """The versions that people ask for first: `14.2.0, musl 1.2.5, binutils 2.44`."""
        named = {one.name: one.version for one in self.components}
        names = ("gcc", "musl", "binutils")
        words = ", ".join(f"{name} {named[name]}" for name in names if name in named)
        return words.removeprefix("gcc ")


def load_manifest(prefix: Path) -> Manifest:
    """The manifest in a toolchain's folder. Raises StoreError if it is damaged."""
    path = prefix / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        what = f"{path}: {error.strerror}"
    except msgspec.DecodeError as error:
        what = f"{path}: not a toolchain's manifest: {error}"
    raise StoreError(what, hint="remove that folder; the toolchain is then forged again")


def describe_files(prefix: Path) -> dict[str, str]:
    """Every file below `prefix` by its relative name: sha256 and mode, or where a link leads."""
    found = {}
    for path in sorted(prefix.rglob("*")):
        name = path.relative_to(prefix).as_posix()
        if name in _OURS:
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            runs = "x" if path.stat().st_mode & 0o100 else "-"
            found[name] = f"{store.file_sha256(path)} {runs}"
    return found


def changed_files(prefix: Path) -> list[str]:
    """What is not as it was when the toolchain was made, a sentence each."""
    try:
        want = msgspec.json.decode((prefix / FILES).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError) as error:
        return [f"{FILES} cannot be read: {error}"]
    have = describe_files(prefix)
    return [
        *(f"{name} is missing" for name in want if name not in have),
        *(f"{name} has changed" for name in want if have.get(name, want[name]) != want[name]),
        *(f"{name} was not there" for name in have if name not in want),
    ]


def write_all(prefix: Path, manifest: Manifest) -> None:
    """Write manifest, digests and SBOM into a finished prefix. Raises StoreError."""
    files = describe_files(prefix)
    values = {NAME: manifest, FILES: files, SBOM: sbom(manifest)}
    for name, value in values.items():
        try:
            store.write_atomically(prefix / name, jsontext.document(value, order="deterministic"))
        except OSError as error:
            what = f"cannot write {prefix / name}: {error.strerror}"
            raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error


def sbom(manifest: Manifest) -> dict[str, Any]:
    """A CycloneDX 1.5 document of the toolchain's components, patches as their pedigree."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "platform",
                "bom-ref": manifest.target,
                "name": f"{manifest.target} toolchain",
                "version": store.short(manifest.digest),
            },
            "tools": {"components": [{"type": "application", "name": "gotoolforge",
                                      "version": __version__}]},
        },
        "components": [bill_row(one) for one in manifest.components],
    }  # fmt: skip


def bill_row(one: Component) -> dict[str, Any]:
    """A component as CycloneDX lists it, our patches as its pedigree."""
    row: dict[str, Any] = {
        "type": "library" if one.name in {"musl", "gmp", "mpfr", "mpc"} else "application",
        "bom-ref": f"{one.name}@{one.version}",
        "name": one.name,
        "version": one.version,
        "licenses": [{"expression": one.licence}],
        "hashes": [{"alg": "SHA-256", "content": one.sha256}],
    }
    if one.patches:
        row["pedigree"] = {
            "patches": [{"type": "backport", "diff": {"url": patch.file}} for patch in one.patches]
        }
    return row
