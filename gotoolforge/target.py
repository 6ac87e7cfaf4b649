"""The table of targets, and every usual spelling of each. Data: `recipes/targets.toml`."""

import platform
from collections.abc import Iterator
from typing import Literal

from gotoolforge import paths
from gotoolforge.errors import TargetError
from gotoolforge.tables import Row, load_table


class ElfShape(Row, frozen=True):
    """What the ELF header of a program for the target says."""

    machine: str
    bits: Literal[32, 64]
    order: Literal["little", "big"]
    flags_set: int = 0
    flags_clear: int = 0


class Target(Row, frozen=True):
    """One row of the table; the fields are explained at the top of `recipes/targets.toml`."""

    name: str
    triple: str
    goarch: str
    elf: ElfShape
    musl_arch: str
    qemu: str
    kernel_arch: str
    seccomp_arch: str
    gcc_configure: tuple[str, ...]
    gcc_lib: str = ""
    goos: str = "linux"
    go_env: dict[str, str] = {}
    variant: str = ""
    zig: str = ""
    zig_flags: tuple[str, ...] = ()
    distro_gcc: str = ""
    distro_cflags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """Go's and OCI's spelling: `linux/arm/v7`."""
        return "/".join(filter(None, (self.goos, self.goarch, self.variant)))

    @property
    def suffix(self) -> str:
        """What is appended to an artifact's name: `_linux_armv7`, `_linux_mips_softfloat`."""
        joint = "_" if self.variant and not self.variant.startswith("v") else ""
        return f"_{self.goos}_{self.goarch}{joint}{self.variant}"

    @property
    def loader(self) -> str:
        """musl's dynamic loader on this target."""
        return f"/lib/ld-musl-{self.musl_arch}.so.1"

    @property
    def is_native(self) -> bool:
        """Whether programs for the target run on this machine without an emulator."""
        return host_target_name() == self.name

    @property
    def environment(self) -> dict[str, str]:
        """GOOS, GOARCH and the variables that choose Go's variant of it."""
        return {"GOOS": self.goos, "GOARCH": self.goarch, **self.go_env}


class _Table(Row, frozen=True):
    target: tuple[Target, ...]


def load_targets() -> tuple[Target, ...]:
    """All targets, in the table's order."""
    return load_table(paths.recipes_dir() / "targets.toml", _Table).target


def spellings(target: Target) -> Iterator[str]:
    """Every spelling that means `target`: name, triples with and without vendor, Go's, OCI's."""
    cpu, _, abi = target.name.partition("-alpine-")
    yield from (target.name, target.triple, f"{cpu}-linux-{abi}", f"{cpu}-{abi}")
    go = target.goarch + target.variant
    yield from (target.platform, target.platform.removeprefix("linux/"))
    yield from (go, f"linux/{go}", f"linux_{go}", f"linux-{go}", target.suffix.removeprefix("_"))
    yield from target.aliases
    if abi != "muslsf":
        yield from (cpu, f"linux/{cpu}")


def find_target(spelling: str) -> Target:
    """The target that `spelling` means.

    Raises TargetError, naming the nearest spellings, if there is none.
    """
    wanted = spelling.strip().lower()
    index = {word: row for row in reversed(load_targets()) for word in spellings(row)}
    if found := index.get(wanted):
        return found
    import difflib

    near = difflib.get_close_matches(wanted, index, n=6, cutoff=0.5)
    names = list(dict.fromkeys(index[word].name for word in near))[:3]
    what = f"no such target: {spelling!r}"
    if "gnu" in wanted.split("-")[-1]:
        what += ": gotoolforge links against musl, a glibc target would need the host's libc"
    nearest = f"did you mean {' or '.join(names)}? " if names else ""
    raise TargetError(what, hint=f"{nearest}`gotoolforge targets` lists them all")


def host_target_name() -> str:
    """The name of the target whose programs this machine runs itself, or "" if none does.

    A 64-bit kernel under a 32-bit userland still counts as the machine that it says it is.
    """
    machine = platform.machine().lower()
    cpu = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "powerpc64le"}.get(machine, machine)
    names = {
        "armv7l": "armv7-alpine-musleabihf",
        "armv6l": "armv6-alpine-musleabihf",
    }
    return names.get(cpu, f"{cpu}-alpine-musl") if platform.system() == "Linux" else ""


def default_target() -> Target:
    """The target of the machine itself, for a command line that names none (its musl twin)."""
    machine = platform.machine().lower()
    return find_target(host_target_name() or machine)
