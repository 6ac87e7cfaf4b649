"""Looking after what was forged: which toolchains are current, and what nothing uses any more."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gotoolforge import store
from gotoolforge.errors import GotoolforgeError
from gotoolforge.forge import manifest
from gotoolforge.forge.identity import toolchain_digest
from gotoolforge.forge.manifest import Manifest, load_manifest
from gotoolforge.forge.recipe import compiled_by, load_recipe
from gotoolforge.holes import Hole, open_holes
from gotoolforge.target import find_target


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One forged toolchain: whether today's recipe would make the same, and its known holes.

    `holes` reach the programs that it builds; `tool_holes` only who feeds it hostile files.
    """

    target: str
    prefix: str
    languages: tuple[str, ...]
    components: dict[str, str]
    current: bool
    holes: tuple[Hole, ...]
    tool_holes: tuple[Hole, ...] = ()


def forged() -> Iterator[tuple[Path, Manifest]]:
    """Every forged toolchain in the store."""
    for path in sorted(store.place("toolchains").glob(f"*-gcc-*/{manifest.NAME}")):
        yield path.parent, load_manifest(path.parent)


def status(prefix: Path, made: Manifest) -> Status:
    """How one toolchain stands. Raises RecipeError."""
    parts = [
        (one.name, one.version, tuple(patch.file for patch in one.patches))
        for one in made.components
    ]
    return Status(
        target=made.target,
        prefix=str(prefix),
        languages=made.languages,
        components={one.name: one.version for one in made.components},
        current=made.digest in _current_digests(made),
        holes=open_holes(parts),
        tool_holes=open_holes(parts, "tools"),
    )


def unused() -> list[Path]:
    """What `gc` may remove: build folders nobody works in, and what today's recipes do not name.

    A lock that is held protects what it stands for.
    """
    doomed = [prefix for prefix, made in forged() if made.digest not in _current_digests(made)]
    doomed += [
        path for path in store.place("forge", "work").glob("*") if not store.is_locked(_lock(path))
    ]
    forging = any(store.is_locked(lock.stem) for lock in store.place("locks").glob("forge-*.lock"))
    if not forging:
        doomed += store.place("forge", "src").glob("*")
        doomed += store.place("forge", "host").glob("*")
    return sorted(one for one in doomed if one.exists())


def _lock(work: Path) -> str:
    return f"forge-{work.name}"


def _current_digests(made: Manifest) -> set[str]:
    try:
        target = find_target(made.target)
        forge = compiled_by(load_recipe(), made.host_compiler)
        return {toolchain_digest(forge, target, made.languages)}
    except GotoolforgeError:
        # A target that the table no longer has, or a compiler that the machine no longer has:
        # nothing would make it again.
        return set()
