"""The forge's recipe, `recipes/forge.toml`, and what a command line or the environment changes."""

import os
from pathlib import Path

import msgspec

from gotoolforge import paths, recipe
from gotoolforge.errors import RecipeError, UsageError
from gotoolforge.sources import Changes
from gotoolforge.tables import Row, load_table
from gotoolforge.target import Target

LANGUAGES = ("c", "c++")
# What may compile the toolchain's own programs: the pinned zig, the machine's own GCC, or a GCC
# that was forged for this machine before.
HOST_COMPILERS = ("zig", "machine", "forged")
_COMPILER_WORDS = ", ".join(HOST_COMPILERS)


class Host(Row, frozen=True):
    """What compiles the toolchain's own programs, and what its configure scripts see.

    `cflags_for` are the flags of compilers that do not take `cflags`, by their names.
    """

    compiler: str
    source: str
    cflags: tuple[str, ...]
    cflags_for: dict[str, tuple[str, ...]]
    env: dict[str, str]

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the compiler that there is."""
        return self.cflags_for.get(self.compiler, self.cflags)

    def decides(self) -> dict[str, object]:
        """All that decides what is made, but for the compiler, whose identity stands for it."""
        return {"source": self.source, "cflags": self.flags, "env": self.env}


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
    """How long a stage took, in seconds, and how many lines of log it wrote.

    `marks` are the shares of that time after which equal parts of the lines were written.
    """

    seconds: float
    lines: int
    marks: tuple[float, ...] = ()


class ForgeRecipe(Row, frozen=True):
    """The whole of `recipes/forge.toml`."""

    format: int
    languages: tuple[str, ...]
    sources: tuple[str, ...]
    patches: dict[str, tuple[str, ...]]
    patches_for: dict[str, dict[str, tuple[str, ...]]]
    skip: dict[str, tuple[str, ...]]
    empty: dict[str, tuple[str, ...]]
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

    def changes(self, name: str, target: Target) -> Changes:
        """What is changed in the tree of one source for a target's toolchain."""
        return Changes(
            patches=self.patch_files(name, target),
            skip=self.skip.get(name, ()),
            empty=self.empty.get(name, ()),
        )

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
    for name in (*patched, *loaded.skip, *loaded.empty, loaded.host.source):
        if name not in loaded.sources:
            what = f"{path}: {name!r} is not among its sources"
            raise RecipeError(what, hint="correct that file")
    for name in (loaded.host.compiler, *loaded.host.cflags_for):
        if name not in HOST_COMPILERS:
            what = f"{path}: host: the compiler {name!r} is none of {_COMPILER_WORDS}"
            raise RecipeError(what, hint="correct that file")
    for _, patch in loaded.all_patches():
        if not patch.is_file():
            what = f"{path}: patches: no such file: {patch}"
            raise RecipeError(what, hint="correct that file")
    return loaded


def chosen_recipe(compiler: str | None = None) -> ForgeRecipe:
    """The recipe with a host compiler: a flag's, else GOTOOLFORGE_HOST_COMPILER's, else its own.

    Raises UsageError for one that there is not.
    """
    forge = load_recipe()
    chosen = compiler or os.environ.get("GOTOOLFORGE_HOST_COMPILER") or forge.host.compiler
    if chosen not in HOST_COMPILERS:
        what = f"host compiler {chosen!r}: the forge knows {_COMPILER_WORDS}"
        raise UsageError(what)
    return compiled_by(forge, chosen)


def compiled_by(forge: ForgeRecipe, compiler: str) -> ForgeRecipe:
    """The recipe with that host compiler, one of HOST_COMPILERS."""
    host = msgspec.structs.replace(forge.host, compiler=compiler)
    return msgspec.structs.replace(forge, host=host)


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
