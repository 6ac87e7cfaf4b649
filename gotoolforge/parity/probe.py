"""The static probe of each architecture: recipes/parity/probe.c, built by zig, kept in the store.

It finds what no file of /proc tells: which system calls answer, and what clock_gettime costs.
"""

from pathlib import Path

from gotoolforge import paths, run, store
from gotoolforge.compilers import zig
from gotoolforge.console import Console
from gotoolforge.errors import ToolchainError, UsageError
from gotoolforge.run import Command
from gotoolforge.target import Target, find_target

# What `uname -m` says, as the script spells it, and the target that runs there.
MACHINES = {
    "x86_64": "x86_64-alpine-musl",
    "i386": "i686-alpine-musl",
    "aarch64": "aarch64-alpine-musl",
    "armv6l": "armv6-alpine-musleabihf",
    "armv7l": "armv7-alpine-musleabihf",
    "riscv64": "riscv64-alpine-musl",
    "ppc64le": "powerpc64le-alpine-musl",
    "s390x": "s390x-alpine-musl",
    "loongarch64": "loongarch64-alpine-musl",
}
_FLAGS = ("-Os", "-static", "-s")
# zig takes vector instructions for granted that not every LoongArch has, nor qemu before 8.2.
_MACHINE_FLAGS = {"loongarch64-alpine-musl": ("-mcpu=la464-lsx-lasx",)}


def script_name(machine: str) -> str:
    """What the script calls a machine, by its `uname -m`: i686 is i386, armv8l armv7l."""
    if machine.startswith("i") and machine.endswith("86"):
        return "i386"
    return "armv7l" if machine in {"armv7l", "armv8l"} else machine


def machine_target(machine: str) -> Target:
    """The target of what `uname -m` says, or of a target's own spelling. Raises UsageError."""
    name = MACHINES.get(script_name(machine))
    if name is None:
        what = f"there is no probe for the architecture {machine!r}"
        raise UsageError(what, hint=f"one of {', '.join(MACHINES)}")
    return find_target(name)


def ensure_probe(machine: str, console: Console) -> Path:
    """The probe for `machine`, built if the store has none. Raises ToolchainError, UsageError."""
    target = machine_target(machine)
    source = paths.recipes_dir() / "parity" / "probe.c"
    toolchain = zig.ensure_toolchain(target, console)
    flags = (*_FLAGS, *_MACHINE_FLAGS.get(target.name, ()))
    digest = store.digest_of([toolchain.digest, store.file_sha256(source), flags])
    folder = store.place("probes", f"{target.name}-{store.short(digest)}")
    if not folder.is_dir():
        with (
            store.locked(f"probe-{target.name}", waiting=console.say),
            console.step(f"build the probe for {target.name}", long=True),
            store.scratch_dir() as scratch,
        ):
            made = scratch / "made"
            made.mkdir()
            argv = (str(toolchain.cc), *flags, "-o", str(made / "probe"), str(source))
            answer = run.ask(Command(argv=argv))
            if answer.code:
                what = f"the probe for {target.name} does not compile: {answer.err.strip()}"
                raise ToolchainError(what, hint="please report it with that message")
            store.publish(made, folder)
    return folder / "probe"
