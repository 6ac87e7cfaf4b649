"""pkg-config for a static link: Go asks it without --static, and then private libraries lack."""

import os
import sys
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.errors import ToolchainError
from gotoolforge.run import Command, quote


def find_pkg_config() -> str | None:
    """The machine's pkg-config, or the one that the `pkgconf` package put beside our Python."""
    named = os.environ.get("PKG_CONFIG")
    beside = Path(sys.executable).parent / "pkg-config"
    return (
        (run.find_program(named) if named else None)
        or run.find_program("pkg-config")
        or run.find_program("pkgconf")
        or (str(beside) if beside.is_file() else None)
    )


def ensure_wrapper(modules: tuple[str, ...], env: dict[str, str | None]) -> Path:
    """A `pkg-config --static` for CGO's use, after a check that every module is there.

    Raises ToolchainError naming all the modules that are missing, not only the first.
    """
    program = find_pkg_config()
    if program is None:
        what = f"the program asks pkg-config for {', '.join(modules)}, and there is none here"
        raise ToolchainError(what, hint="install pkg-config, or `pip install pkgconf`")
    names = [one for one in modules if not one.startswith("-")]
    missing = [
        one for one in names if run.ask(Command(argv=(program, "--exists", one), env=env)).code
    ]
    if missing:
        looked = env.get("PKG_CONFIG_LIBDIR") or ""
        what = f"pkg-config finds no {', '.join(missing)} for the target; it looked in {looked}"
        hint = (
            "build the library for the target as a static one and name its prefix: "
            "--with-prefix DIR (with include, lib, lib/pkgconfig)"
        )
        raise ToolchainError(what, hint=hint)
    text = f'#!/bin/sh\nexec {quote([program])} --static "$@"\n'
    path = store.place("tools", f"pkg-config-{store.short(store.digest_of(text))}")
    if not path.is_file():
        store.ensure_dir(path.parent)
        store.write_atomically(path, text, 0o755)
    return path
