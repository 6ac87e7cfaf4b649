"""Running what was built: on this machine itself, or under qemu's user-mode emulation."""

import platform

from gotoolforge import run
from gotoolforge.errors import EmulatorError
from gotoolforge.target import Target

# An x86-64 Linux runs 32-bit x86 programs unless its kernel was told not to.
_ALSO_NATIVE = {"i686-alpine-musl": {"x86_64", "amd64"}}


def runner(target: Target) -> tuple[str, ...]:
    """The words to put before a program of `target`: none, or qemu. Raises EmulatorError."""
    if target.is_native or platform.machine().lower() in _ALSO_NATIVE.get(target.name, set()):
        return ()
    for name in (f"qemu-{target.qemu}-static", f"qemu-{target.qemu}"):
        if found := run.find_program(name):
            return (found,)
    what = f"programs for {target.name} do not run on this machine, and there is no emulator"
    raise EmulatorError(
        what, hint=f"install qemu-{target.qemu} (Debian: apt-get install qemu-user-static)"
    )
