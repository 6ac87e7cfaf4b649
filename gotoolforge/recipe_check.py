"""Every data file in recipes/, read by the loader that the tool itself uses, and held together."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gotoolforge import (
    compat,
    evidence,
    holes,
    needs,
    particulars,
    paths,
    policy,
    recipe,
    symptoms,
    target,
)  # fmt: skip
from gotoolforge.compilers import zig
from gotoolforge.errors import GotoolforgeError
from gotoolforge.finding import Finding
from gotoolforge.forge import identity, probe
from gotoolforge.forge import recipe as forge_recipe
from gotoolforge.tables import load_table

# By name below recipes/; a name ending in / stands for every table in that folder, by its stem.
_LOADERS: dict[str, Callable[[str], object]] = {
    "sources/": recipe.load_source,
    "policies/": policy.load_policy,
    "checks.toml": lambda _: policy.load_checks(),
    "distributions.toml": lambda _: compat.load_distributions(),
    "elf_flags.toml": lambda _: particulars.load_all(),
    "forge.toml": lambda _: identity.load_components(forge_recipe.load_recipe()),
    "holes.toml": lambda _: holes.load_holes(),
    "libc_evidence.toml": lambda _: evidence.load_evidence(),
    "probes.toml": lambda _: probe.load_probes(),
    "runtime_loads.toml": lambda _: particulars.load_all(),
    "runtime_needs.toml": lambda _: needs.load_needs(),
    "symptoms.toml": lambda _: symptoms.load_symptoms(),
    "targets.toml": lambda _: target.load_targets(),
    "zig.toml": lambda _: zig.load_recipe(),
}


def check_recipes() -> tuple[int, tuple[Finding, ...]]:
    """How many tables there are, and all that is wrong with them, each once."""
    found, wrong = sorted(paths.recipes_dir().rglob("*.toml")), []
    for path in found:
        try:
            _load(path)
        except GotoolforgeError as error:
            wrong.append(Finding(check="table", severity="error", message=error.what))
    # What does not load cannot be compared with the rest.
    if not wrong:
        wrong = [*_patches(), *_sources()]
    return len(found), tuple(dict.fromkeys(wrong))


def _load(path: Path) -> None:
    name = path.relative_to(paths.recipes_dir()).as_posix()
    loader = _LOADERS.get(name) or _LOADERS.get(f"{name.rpartition('/')[0]}/")
    if loader:
        loader(path.stem)
    else:
        # Tables of the systems above this floor: their own tests hold what is in them.
        load_table(path, dict[str, Any])


def _patches() -> Iterator[Finding]:
    """Patches that holes.toml or forge.toml names lie there, and are applied to their version."""
    folder = paths.recipes_dir() / "patches"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.patch")}
    forge = forge_recipe.load_recipe()
    applied = {path.relative_to(folder).as_posix() for _, path in forge.all_patches()}
    named = {patch for hole in holes.load_holes() for patch in hole.patches}
    for patch in sorted(named - there):
        yield _wrong("patch", f"holes.toml: no such file: patches/{patch}")
    for patch in sorted(there - applied):
        yield _wrong("patch", f"patches/{patch}: forge.toml applies it to nothing")
    pinned = {name: recipe.load_source(name).version for name in forge.sources}
    for patch in sorted(applied):
        if patch.split("/")[0] not in {f"{name}-{version}" for name, version in pinned.items()}:
            yield _wrong("patch", f"patches/{patch}: forge.toml applies it to another version")


def _sources() -> Iterator[Finding]:
    """No digest is pinned twice under two names, and each source is named as its file is."""
    owners: dict[str, str] = {}
    for path in sorted((paths.recipes_dir() / "sources").glob("*.toml")):
        source = recipe.load_source(path.stem)
        if source.name != path.stem:
            yield _wrong("source", f"{path.name}: name: is {source.name!r}")
        for form in source.forms:
            owner = owners.setdefault(form.sha256, f"{path.name}: {form.file}")
            if owner != f"{path.name}: {form.file}":
                yield _wrong("source", f"{path.name}: {form.file}: same sha256 as {owner}")


def _wrong(check: str, message: str) -> Finding:
    return Finding(check=check, severity="error", message=message)
