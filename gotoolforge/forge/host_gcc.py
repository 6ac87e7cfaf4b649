"""A GCC as the host compiler: the machine's own, or one that was forged for this machine."""

from pathlib import Path

from gotoolforge import run, store
from gotoolforge.errors import ToolchainError
from gotoolforge.forge.wrapping import wrap, wrap_compiler
from gotoolforge.run import Command

_PROGRAM = """\
#include <string>
int main(int argc, char **argv) { return std::string(argv[argc - 1]).empty(); }
"""


def prepare_gcc(prefix: str, folder: Path) -> None:
    """Make `folder` hold bin/host-{cc,c++,ar,ranlib}; `prefix` is what stands before `gcc`.

    Raises ToolchainError if a static C++ program cannot be made with it.
    """
    store.ensure_dir(folder / "lib")
    programs = store.ensure_dir(folder / "bin")
    for tool in ("ar", "ranlib"):
        wrap(programs / f"host-{tool}", (f"{prefix}{tool}",))
    for name, driver in (("cc", "gcc"), ("c++", "g++")):
        wrap_compiler(programs / f"host-{name}", (f"{prefix}{driver}",))
    with store.scratch_dir() as scratch:
        (scratch / "x.cc").write_text(_PROGRAM)
        argv = (str(programs / "host-c++"), "x.cc", "-o", "x")
        answer = run.ask(Command(argv=argv, cwd=scratch))
    if answer.code:
        what = f"{prefix}g++ cannot make a static program:\n{answer.err.strip()[-600:]}"
        hint = "install its static libraries (Fedora's libstdc++-static), or --host-compiler zig"
        raise ToolchainError(what, hint=hint)
