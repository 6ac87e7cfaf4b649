"""The `zig` family: nothing to build, musl and libc++ come with the compiler's package.

zig is one program for all targets, and Go probes a compiler with and without flags and keys its
cache on the executable. So each target gets a wrapper of its own at a path that stays the same.
"""

import resource
from importlib.util import find_spec
from pathlib import Path

from gotoolforge import paths, run, store
from gotoolforge.compilers.toolchain import Toolchain, to_manifest
from gotoolforge.console import Console
from gotoolforge.errors import StoreError, ToolchainError
from gotoolforge.run import Command, quote
from gotoolforge.tables import Row, load_table
from gotoolforge.target import Target

INSTALL = "pip install 'gotoolforge[kit]'"
_WRAPPER_FORMAT = 2
_FILES = 4096


class _Rule(Row, frozen=True):
    drop: tuple[str, ...] = ()
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class ZigRecipe(Row, frozen=True):
    """`recipes/zig.toml`: the pinned package, and what stands between Go's flags and zig's."""

    package: str
    version: str
    cflags: tuple[str, ...]
    drop: tuple[str, ...]
    rules: dict[str, _Rule] = {}


def load_recipe() -> ZigRecipe:
    """The recipe of this family."""
    return load_table(paths.recipes_dir() / "zig.toml", ZigRecipe)


def find_zig(recipe: ZigRecipe) -> tuple[Path, str] | None:
    """The program and the version of the installed package, or None."""
    spec = find_spec(recipe.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (program := Path(folder, "zig")).is_file():
            return program, _installed_version(Path(folder), recipe)
    return None


def examine(target: Target) -> list[tuple[str, str]]:
    """What is missing for this target: pairs of what it is and the command that mends it."""
    recipe = load_recipe()
    if not target.zig:
        return [(f"zig cannot build for {target.name}", "use another compiler family")]
    found = find_zig(recipe)
    if found is None:
        return [(f"the package {recipe.package} is not installed", INSTALL)]
    if found[1] != recipe.version:
        return [(f"{recipe.package} is {found[1]}, the recipe pins {recipe.version}", INSTALL)]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        what = f"only {hard} files may be open at once, and zig needs {_FILES} to build musl"
        return [(what, f"ulimit -n {_FILES}, or --ulimit nofile={_FILES}:{_FILES} for a container")]
    return []


def ensure_toolchain(target: Target, console: Console, *, offline: bool = False) -> Toolchain:
    """The toolchain for `target`; made in an instant if it is not there.

    Raises ToolchainError if zig is not installed or cannot build for the target.
    """
    del offline  # nothing is ever downloaded here
    recipe = load_recipe()
    if not target.zig:
        what = f"zig cannot build for {target.name}"
        raise ToolchainError(what, hint="choose another family: --toolchain system or imported")
    found = find_zig(recipe)
    if found is None:
        what = f"the zig family needs the package {recipe.package} {recipe.version}"
        raise ToolchainError(what, hint=f"{INSTALL}, or choose another family with --toolchain")
    program, version = found
    if version != recipe.version:
        console.warn(f"{recipe.package} is {version}; the recipe pins {recipe.version}")
    arch = recipe.rules.get(target.name) or recipe.rules.get(target.goarch, _Rule())
    sources = [paths.recipes_dir() / name for name in arch.sources]
    decides = [
        *(_WRAPPER_FORMAT, version, target.zig, target.zig_flags, recipe.cflags, recipe.drop),
        *(arch.drop, arch.cflags, arch.ldflags, [store.file_sha256(path) for path in sources]),
        *(str(program), str(store.place("zig"))),
    ]
    digest = store.digest_of(decides)
    prefix = store.place("toolchains", f"{target.name}-zig-{store.short(digest)}")
    toolchain = Toolchain(
        family="zig",
        target=target.name,
        version=version,
        digest=digest,
        prefix=prefix,
        sysroot=prefix / "sysroot",
        cc=prefix / "bin" / f"{target.triple}-cc",
        cxx=prefix / "bin" / f"{target.triple}-c++",
        ar=prefix / "bin" / f"{target.triple}-ar",
        ldflags=(*arch.ldflags, *(str(prefix / f"{path.stem}.o") for path in sources)),
    )
    if not prefix.is_dir():
        _make(toolchain, program, target, recipe, arch)
    return toolchain


def _make(
    toolchain: Toolchain, program: Path, target: Target, recipe: ZigRecipe, arch: _Rule
) -> None:
    with store.scratch_dir() as scratch:
        made = scratch / "made"
        try:
            (made / "bin").mkdir(parents=True)
            (made / "sysroot" / "lib" / "pkgconfig").mkdir(parents=True)
            flags = ["-target", target.zig, *target.zig_flags, *recipe.cflags]
            drop = [*recipe.drop, *arch.drop]
            for path, driver in ((toolchain.cc, "cc"), (toolchain.cxx, "c++")):
                assert path is not None
                text = wrapper([str(program), driver, *flags], drop, list(arch.cflags))
                store.write_atomically(made / "bin" / path.name, text, 0o755)
            for tool in ("ar", "ranlib"):
                text = wrapper([str(program), tool], [], [])
                name = f"{target.triple}-{tool}"
                store.write_atomically(made / "bin" / name, text, 0o755)
            for name in arch.sources:
                _compile(made / "bin" / toolchain.cc.name, paths.recipes_dir() / name, made)
            store.write_atomically(made / "manifest.json", to_manifest(toolchain))
        except OSError as error:
            what = f"the store cannot be written: {error.filename}: {error.strerror}"
            raise StoreError(what, hint="set GOTOOLFORGE_CACHE to another folder") from error
        store.publish(made, toolchain.prefix)


def _compile(cc: Path, source: Path, made: Path) -> None:
    argv = (str(cc), "-O2", "-g0", "-fPIC", "-c", str(source), "-o", str(made / f"{source.stem}.o"))
    answer = run.ask(Command(argv=argv))
    if answer.code:
        what = f"zig cannot compile {source.name}: {answer.err.strip()}"
        raise ToolchainError(what, hint="please report it with that message")


def wrapper(command: list[str], drop: list[str], last: list[str]) -> str:
    """A POSIX shell script that runs `command` with its arguments, less those that match `drop`.

    `last` comes at the end, where it wins over what Go passes.
    """
    cache = quote([str(store.place("zig"))])
    # zig opens a thousand files at once when it builds musl, as many as a plain shell may have
    # open; the first words raise the soft limit, which anybody may do up to the hard one.
    raised = 'ulimit -S -n "$(ulimit -H -n)" 2>/dev/null'
    lines = [
        "#!/bin/sh",
        raised,
        f"export ZIG_GLOBAL_CACHE_DIR={cache} ZIG_LOCAL_CACHE_DIR={cache}",
    ]
    if drop:
        lines += [
            "n=$#",
            'while [ "$n" -gt 0 ]; do',
            "  arg=$1; shift; n=$((n - 1))",
            f'  case $arg in {"|".join(drop)}) ;; *) set -- "$@" "$arg" ;; esac',
            "done",
        ]
    tail = f" {quote(last)}" if last else ""
    lines.append(f'exec {quote(command)} "$@"{tail}')
    return "\n".join(lines) + "\n"


def _installed_version(folder: Path, recipe: ZigRecipe) -> str:
    for info in folder.parent.glob(f"{recipe.package}-*.dist-info"):
        return info.name.removeprefix(f"{recipe.package}-").removesuffix(".dist-info")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(recipe.package)
    except PackageNotFoundError:
        return "unknown"
