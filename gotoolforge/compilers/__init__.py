"""The compiler families: interchangeable siblings, each a module with the same two functions.

The family is chosen by flag, environment, file or default, never by what the store holds.
"""

import os
from importlib import import_module
from types import ModuleType

from gotoolforge.errors import UsageError

FAMILIES = ("gcc", "zig", "system", "imported")
DEFAULT_FAMILY = "gcc"


def choose_family(flag: str | None, setting: str | None) -> str:
    """default < file < environment (GOTOOLFORGE_TOOLCHAIN) < flag. Raises UsageError."""
    chosen = flag or os.environ.get("GOTOOLFORGE_TOOLCHAIN") or setting or DEFAULT_FAMILY
    if chosen not in FAMILIES:
        what = f"no such compiler family: {chosen!r}"
        raise UsageError(what, hint=f"one of {', '.join(FAMILIES)}")
    return chosen


def family_module(name: str) -> ModuleType:
    """The module of a family: `ensure_toolchain(target, console, offline=)`, `examine(target)`."""
    return import_module(f"gotoolforge.compilers.{name}")
