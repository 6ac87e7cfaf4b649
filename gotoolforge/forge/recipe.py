"""The forge's recipe (`recipes/forge.toml`), and the digest of what it makes for a target.

The digest comes from data alone, before any download, so a warm build finds its toolchain by it.
"""

import os
import platform
from pathlib import Path

import msgspec

from gotoolforge import paths, recipe, store
from gotoolforge.errors import RecipeError, ToolchainError, UsageError
from gotoolforge.recipe import Source
from gotoolforge.tables import Row, load_table
from gotoolforge.target import Target

LANGUAGES = ("c", "c++")


class Host(Row, frozen=True):
    """What compiles the toolchain's own programs, and what its configure scripts see."""

    source: str
    cflags: tuple[str, ...]
    env: dict[str, str]


class Part(Row, frozen=True):
    """Configure flags of one part, and the flags of what it compiles for the target."""

    configure: tuple[str, ...]
    cflags: tuple[str, ...] = ()
    cflags_for_target: tuple[str, ...] = ()


class Headers(Row, frozen=True):
    """Where the kernel's headers lie in the package that carries them; `arch` by kernel_arch."""

    root: str
    common: str
    arch: dict[str, str]


class Aliases(Row, frozen=True):
    """A piece of the triple and what may stand in its place."""

    # `from` is a word of Python.
    from_: str = msgspec.field(name="from")
    to: tuple[str, ...]


class Pace(Row, frozen=True):
    """How long a stage took, in seconds, and how many lines of log it wrote."""

    seconds: float
    lines: int


class ForgeRecipe(Row, frozen=True):
    """The whole of `recipes/forge.toml`."""

    format: int
    languages: tuple[str, ...]
    sources: tuple[str, ...]
    patches: dict[str, tuple[str, ...]]
    patches_for: dict[str, dict[str, tuple[str, ...]]]
    skip: dict[str, tuple[str, ...]]
    host: Host
    libraries: Part
    binutils: Part
    gcc: Part
    musl: Part
    headers: Headers
    aliases: Aliases
    pace: dict[str, Pace]

    @property
    def version_words(self) -> str:
        """The versions that people ask for first: `14.2.0, musl 1.2.5, binutils 2.44`."""
        names = ("gcc", "musl", "binutils")
        words = ", ".join(f"{name} {recipe.load_source(name).version}" for name in names)
        return words.removeprefix("gcc ")

    def patch_files(self, name: str, target: Target) -> tuple[Path, ...]:
        """The patches of one source for a target's toolchain, in order."""
        of_its_machine = self.patches_for.get(target.kernel_arch, {})
        files = (*self.patches.get(name, ()), *of_its_machine.get(name, ()))
        return tuple(paths.recipes_dir() / one for one in files)

    def all_patches(self) -> tuple[tuple[str, Path], ...]:
        """Every patch that the recipe names, with its source."""
        tables = (self.patches, *self.patches_for.values())
        found = ((name, one) for table in tables for name, files in table.items() for one in files)
        return tuple((name, paths.recipes_dir() / one) for name, one in dict.fromkeys(found))


def load_recipe() -> ForgeRecipe:
    """The recipe. Raises RecipeError if it names a source or a patch that is not there."""
    path = paths.recipes_dir() / "forge.toml"
    loaded = load_table(path, ForgeRecipe)
    patched = [name for name, _ in loaded.all_patches()]
    for name in (*patched, *loaded.skip, loaded.host.source):
        if name not in loaded.sources:
            what = f"{path}: {name!r} is not among its sources"
            raise RecipeError(what, hint="correct that file")
    for _, patch in loaded.all_patches():
        if not patch.is_file():
            what = f"{path}: patches: no such file: {patch}"
            raise RecipeError(what, hint="correct that file")
    return loaded


def with_flags(forge: ForgeRecipe, flags: dict[str, tuple[str, ...]]) -> ForgeRecipe:
    """The recipe with further flags for the configure scripts of binutils, gcc and musl.

    What it makes has a digest of its own, so `build` does not take it for the recipe's.
    """
    parts = {name: getattr(forge, name) for name in flags}
    longer = {
        name: msgspec.structs.replace(part, configure=(*part.configure, *flags[name]))
        for name, part in parts.items()
    }
    return msgspec.structs.replace(forge, **longer)


def host_name() -> str:
    """This machine as sources spell it: `linux-amd64`, `linux-arm64`.

    Raises ToolchainError where toolchains cannot be forged.
    """
    machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    machine = machines.get(platform.machine().lower())
    if platform.system() != "Linux" or machine is None:
        here = f"{platform.system()} {platform.machine()}"
        what = f"toolchains are forged on Linux, x86_64 or aarch64, and this is {here}"
        raise ToolchainError(what, hint="--toolchain zig needs no forging")
    return f"linux-{machine}"


def host_triple() -> str:
    """The GNU triple of the toolchain's own programs."""
    cpu = {"linux-amd64": "x86_64", "linux-arm64": "aarch64"}[host_name()]
    return f"{cpu}-linux-musl"


def load_components(forge: ForgeRecipe, host: str = "") -> dict[str, Source]:
    """The pinned source of every component, for this host or the named one (linux-arm64)."""
    return {name: recipe.load_source(name, host or host_name()) for name in forge.sources}


def chosen_languages(words: str | None = None) -> tuple[str, ...]:
    """`c` or `c,c++`: from a flag, else GOTOOLFORGE_LANGUAGES, else the recipe's. UsageError."""
    text = words or os.environ.get("GOTOOLFORGE_LANGUAGES")
    if not text:
        return load_recipe().languages
    chosen = tuple(dict.fromkeys(text.lower().split(",")))
    if not set(chosen) <= set(LANGUAGES) or "c" not in chosen:
        what = f"languages {text!r}: the forge knows c and c,c++"
        raise UsageError(what)
    return tuple(one for one in LANGUAGES if one in chosen)


def toolchain_digest(forge: ForgeRecipe, target: Target, languages: tuple[str, ...]) -> str:
    """sha256 over all that decides what is made for `target` on this host.

    All accepted forms of each source count, not the one that was used, and no URL does: where a
    file came from must not change what is installed.
    """
    sources = {
        name: [source.version, [[form.sha256, form.fixups] for form in source.forms]]
        for name, source in load_components(forge).items()
    }
    files = {name: forge.patch_files(name, target) for name in forge.sources}
    patches = {
        name: [store.file_sha256(one) for one in many] for name, many in files.items() if many
    }
    decides = msgspec.to_builtins(forge)
    for name in ("pace", "skip", "patches", "patches_for", "languages"):
        del decides[name]
    row = [target.name, target.triple, target.gcc_configure, target.kernel_arch]
    row += [target.gcc_lib] if target.gcc_lib else []
    value = [decides, sources, patches, row, languages, host_triple()]
    return store.digest_of(msgspec.to_builtins(value))


def toolchain_dir(target: Target, digest: str) -> Path:
    """Where the finished toolchain lies in the store."""
    return store.place("toolchains", f"{target.name}-gcc-{store.short(digest)}")
