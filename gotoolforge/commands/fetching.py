"""toolchain fetch: the sources of toolchains, downloaded ahead or taken from a bundle."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_OK, UsageError
from gotoolforge.target import find_target

if TYPE_CHECKING:
    from gotoolforge.config_mak import ConfigMak

_HOSTS = ("linux-amd64", "linux-arm64")


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """What to fetch, from where, and into what."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="all have the same sources; checked only"
    )
    parser.add_argument("--bundle", metavar="FILE", help="write one file that needs no network")
    parser.add_argument("--host", choices=_HOSTS, help="the machine that forges; default: this one")
    parser.add_argument("--offline", action="store_true", help="only say what is missing")
    parser.add_argument("--json", action="store_true", help="what was had, as JSON on stdout")
    add_given(parser)
    add_volume(parser)


def add_given(parser: argparse.ArgumentParser) -> None:
    """`--from`, for every verb that needs sources."""
    parser.add_argument(
        "--from",
        dest="given",
        metavar="PLACE",
        action="append",
        default=[],
        help="take sources from this bundle or folder first (repeatable); also GOTOOLFORGE_SOURCES",
    )


def given(parsed: argparse.Namespace) -> tuple[Path, ...]:
    """The places that `--from` names. Raises UsageError for one that is not there."""
    places = tuple(Path(word) for word in parsed.given)
    for place in places:
        if not place.exists():
            what = f"--from {place}: no such folder or file"
            raise UsageError(what)
    return places


def read_config_mak(file: str, console: Console) -> "ConfigMak":
    """musl-cross-make's file; what it asks for and the forge does otherwise is said."""
    from gotoolforge import config_mak
    from gotoolforge.forge.identity import load_components
    from gotoolforge.forge.recipe import load_recipe

    config = config_mak.read_config_mak(Path(file))
    config_mak.require_target(config, Path(file))
    pinned = {name: one.version for name, one in load_components(load_recipe()).items()}
    for said in config_mak.differences(config, pinned):
        console.warn(f"{file}: {said}")
    return config


def run(parsed: argparse.Namespace) -> int:
    """Fetch, write the bundle if one is wanted, and say where everything lies."""
    from gotoolforge import bundle
    from gotoolforge.forge.build import fetch_components
    from gotoolforge.forge.recipe import load_recipe

    for word in parsed.targets:
        find_target(word)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    host = parsed.host or ""
    fetched = fetch_components(
        load_recipe(), console, offline=parsed.offline, given=given(parsed), host=host
    )
    if parsed.bundle:
        files = [(one.form, one.path) for one in fetched.values()]
        size = bundle.write_bundle(files, Path(parsed.bundle))
        console.say(f"{parsed.bundle}: {size / 1e6:.1f} MB; use it with --from {parsed.bundle}")
    if parsed.json:
        from gotoolforge import report

        rows = [
            {"name": name, "version": one.source.version, "licence": one.source.licence,
             "file": one.form.file, "sha256": one.form.sha256, "path": str(one.path)}
            for name, one in fetched.items()
        ]  # fmt: skip
        report.print_json({"sources": rows, "bundle": parsed.bundle})
    elif parsed.bundle:
        print(parsed.bundle)
    else:
        for one in fetched.values():
            print(one.path)
    return EXIT_OK
