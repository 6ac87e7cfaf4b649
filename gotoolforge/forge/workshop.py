"""Where a toolchain is made, and what every program that makes it sees of this machine.

Values only: what runs there is in `stages`.
"""

import os
from pathlib import Path

import msgspec

from gotoolforge.forge.recipe import ForgeRecipe
from gotoolforge.run import Command

# What stands in an installed file for the folder in which it was made.
NEUTRAL = "/forge"
HOST_TOOLS = {"CC": "host-cc", "CXX": "host-c++", "AR": "host-ar", "RANLIB": "host-ranlib",
               "CC_FOR_BUILD": "host-cc", "CXX_FOR_BUILD": "host-c++"}  # fmt: skip


class Workshop(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work is done: all below one folder, so that relative paths are always the same.

    `sources` are unpacked trees by component; `host` has bin/ with the host compiler and, once
    `libraries` has run, lib/ with gmp, mpfr and mpc. `launcher` is a program in front of the host
    compiler (ccache), which must not change what that makes, with scripts below `host`;
    `compiler_type` is its word for that compiler.
    """

    root: Path
    work: Path
    host: Path
    sources: dict[str, Path]
    host_triple: str
    compiler_type: str = "clang"
    launcher: str = ""

    @property
    def answers(self) -> Path:
        """What the configure scripts of this work have found, as recipes/config.site has them."""
        return self.work / "answers"

    @property
    def out(self) -> Path:
        """The toolchain as it will be published."""
        return self.work / "out"

    @property
    def sysroot(self) -> Path:
        """Headers and libc for building GCC's own libraries."""
        return self.work / "sysroot"

    def seen_from(self, folder: Path, component: str) -> str:
        """A source tree as a relative path: an absolute one would end up in what is made."""
        return os.path.relpath(self.sources[component], folder)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the work. `folder` is where it builds; `digest` names all that decides it.

    A stage that was stopped goes on in its folder if it is `resumable`, else it starts anew, and
    the `fresh` folders are removed first.
    """

    name: str
    folder: Path
    commands: tuple[Command, ...]
    digest: str = ""
    resumable: bool = False
    fresh: tuple[Path, ...] = ()


def host_env(forge: ForgeRecipe, shop: Workshop) -> dict[str, str | None]:
    """The environment of what is compiled for the host: its compiler, and nothing of the user's."""
    flags = " ".join(forge.host.flags)
    clean = dict.fromkeys(("CPPFLAGS", "LDFLAGS", "LIBS", "CPATH", "LIBRARY_PATH",
                           "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "MAKEFLAGS"))  # fmt: skip
    return {
        **clean,
        # configure would look for bash, which takes longer over libtool than a plain sh.
        "CONFIG_SHELL": "/bin/sh",
        "CONFIG_SITE": str(shop.host / "config.site"),
        "FORGE_ANSWERS": str(shop.answers),
        **forge.host.env,
        **HOST_TOOLS,
        **launched(shop),
        "CFLAGS": flags,
        "CXXFLAGS": flags,
        "PATH": f"{launcher_path(shop)}{shop.host / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "1",
    }


def launched(shop: Workshop) -> dict[str, str]:
    """What the launcher must know of the host compiler; nothing without one."""
    if not shop.launcher:
        return {}
    return {
        # The compiler is a script, which names this store; what it runs is known by its digest.
        "CCACHE_COMPILERCHECK": f"string:{shop.host.name}",
        "CCACHE_COMPILERTYPE": shop.compiler_type,
        # Whatever its owner's settings are: the wrapper's lists of dependencies are not for ccache
        # to go by, and what is made must be what is made without it.
        "CCACHE_NODEPEND": "1",
        "CCACHE_SLOPPINESS": "",
        "CCACHE_BASEDIR": "",
    }


def launcher_path(shop: Workshop) -> str:
    """What the launcher puts before PATH.

    A host-cc of its own, not words in CC: GCC's checksum of itself (cc1-checksum.cc) holds those.
    """
    return f"{shop.host / shop.launcher}:" if shop.launcher else ""


def target_env(forge: ForgeRecipe, shop: Workshop) -> dict[str, str | None]:
    """The same for what also calls the new toolchain, with flags for the target's libraries."""
    flags = " ".join(forge.gcc.cflags_for_target)
    host = host_env(forge, shop)
    return {
        **host,
        "PATH": f"{shop.out / 'bin'}:{host['PATH']}",
        "CFLAGS_FOR_TARGET": flags,
        "CXXFLAGS_FOR_TARGET": flags,
    }
