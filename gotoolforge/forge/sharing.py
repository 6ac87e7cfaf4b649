"""What targets of one family share: GCC for one is, file for file, nearly what it is for the next.

Arm 5, 6 and 7, the MIPS: what the preprocessor gives alike is compiled once, by ccache(1).
"""

from collections import Counter
from collections.abc import Sequence

from gotoolforge import run
from gotoolforge.console import Console
from gotoolforge.distro import install_command
from gotoolforge.target import Target


def family(target: Target) -> str:
    """The family of a target, whose others differ from it by GCC's defaults only. x86_64 and i686
    are two: GCC for the first decides when it runs what GCC for the second has been told.
    """
    return target.elf.machine


def uses_ccache(asked: bool | None, targets: Sequence[Target], console: Console) -> bool:
    """Whether ccache stands before the host compiler: as `asked`, or else where it is at hand and
    two of these targets are of one family. Where it is missing, people are told what it would do.
    """
    members = Counter(family(one) for one in targets)
    alike = [one.name for one in targets if members[family(one)] > 1]
    if asked is not None or not alike:
        return bool(asked)
    if run.find_program("ccache"):
        return True
    how = install_command("ccache")
    console.say(f"with ccache, {' and '.join(alike)} would share what they have alike: {how}")
    return False
