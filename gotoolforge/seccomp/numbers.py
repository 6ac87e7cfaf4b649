"""System calls by name and number, per architecture. Data: `recipes/seccomp/`."""

from functools import cache
from pathlib import Path
from typing import Literal

from gotoolforge import paths
from gotoolforge.errors import TargetError
from gotoolforge.tables import Row, load_table


class Architecture(Row, frozen=True):
    """One architecture as the kernel's filter sees it; see `recipes/seccomp/architectures.toml`.

    `code` names the rows of `recipes/seccomp/code` (empty: those of its own name).
    """

    scmp: str
    audit: int
    machine: tuple[str, int, str]
    sub: tuple[str, ...]
    code: str = ""


class CallTable(Row, frozen=True):
    """Every system call of one architecture by name, and the header it was read from."""

    source: str
    calls: dict[str, int]


@cache
def architectures() -> dict[str, Architecture]:
    """All architectures by Go's name."""
    path = paths.recipes_dir() / "seccomp" / "architectures.toml"
    return load_table(path, dict[str, Architecture])


@cache
def calls_of(goarch: str) -> dict[str, int]:
    """Numbers by name."""
    return load_table(
        paths.recipes_dir() / "seccomp" / "syscalls" / f"{goarch}.toml", CallTable
    ).calls


@cache
def names_of(goarch: str) -> dict[int, str]:
    """Names by number; of two names for one number, the first of the header's."""
    found: dict[int, str] = {}
    for name, number in calls_of(goarch).items():
        found.setdefault(number, name)
    return found


@cache
def every_name() -> frozenset[str]:
    """The names of all architectures together."""
    return frozenset(name for goarch in architectures() for name in calls_of(goarch))


def by_scmp(scmp: str) -> str | None:
    """Go's name of a libseccomp architecture, or None for one that Go does not have (x32)."""
    return next((one for one, row in architectures().items() if row.scmp == scmp), None)


def by_machine(machine: str, bits: int, order: str) -> str:
    """Go's name of an ELF machine; raises TargetError for one that is not in the table."""
    for goarch, row in architectures().items():
        if row.machine == (machine, bits, order):
            return goarch
    what = f"{machine} with {bits} bits, {order} endian, is no architecture that gotoolforge knows"
    raise TargetError(what, hint="`gotoolforge targets` lists them")


def arch_of(program: Path) -> str:
    """Go's name of the architecture that a file is for; the host's for what is no ELF file.

    Raises TargetError for an architecture that is not in the table.
    """
    try:
        with program.open("rb") as handle:
            head = handle.read(20)
    except OSError:
        return host_arch()
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return host_arch()
    from elftools.elf.enums import ENUM_E_MACHINE

    order: Literal["little", "big"] = "big" if head[5] == 2 else "little"
    number = int.from_bytes(head[18:20], order)
    machine = next((k for k, v in ENUM_E_MACHINE.items() if v == number), str(number))
    return by_machine(machine, 64 if head[4] == 2 else 32, order)


def foreign(goarch: str) -> str:
    """Why the kernel of this machine cannot run such a program itself; empty if it can."""
    here = host_arch()
    if goarch == here or (here, goarch) == ("amd64", "386"):
        return ""
    return f"the program is for {goarch}, and this machine is {here}"


def host_arch() -> str:
    """Go's name of the machine that this runs on, as the kernel names it."""
    import platform

    words = {"x86_64": "amd64", "aarch64": "arm64", "riscv64": "riscv64", "i686": "386"}
    return words.get(platform.machine(), platform.machine())
