"""`gotoolforge toolchain`: what lies in the store, and taking in or removing one."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import compilers, store
from gotoolforge.commands import add_command, add_volume
from gotoolforge.console import Console, render_table
from gotoolforge.errors import EXIT_OK, StoreError, ToolchainError, UsageError
from gotoolforge.target import default_target, find_target, load_targets


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """The verbs, each with words of its own."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = add_command(verbs, "list", "list the toolchains in the store")
    verb.add_argument("--json", action="store_true")
    verb = add_command(verbs, "build", "forge GCC toolchains from source")
    verb.add_argument("targets", nargs="*", metavar="TARGET", help="default: this machine's")
    verb.add_argument("--all", action="store_true", help="every target of the table")
    verb.add_argument("--languages", metavar="LIST", help="c or c,c++; default: c,c++")
    verb.add_argument("--offline", action="store_true", help="download nothing")
    verb.add_argument("--keep", action="store_true", help="keep the build folders")
    add_volume(verb)
    verb = add_command(verbs, "path", "print a toolchain's prefix, made first if absent")
    verb.add_argument("target", metavar="TARGET")
    verb.add_argument("--toolchain", metavar="FAMILY")
    verb.add_argument("--offline", action="store_true")
    add_volume(verb)
    verb = add_command(verbs, "import", "take a prefix made elsewhere, such as musl-cross-make's")
    verb.add_argument("dir", metavar="DIR")
    verb.add_argument("--target", metavar="TARGET", help="if the compiler's own triple is unclear")
    add_volume(verb)
    verb = add_command(verbs, "remove", "remove a target's toolchains from the store")
    verb.add_argument("target", metavar="TARGET")
    verb.add_argument("--toolchain", metavar="FAMILY", help="only this family's")


def run(parsed: argparse.Namespace) -> int:
    """Carry out one verb."""
    verbs = {"list": _list, "build": _build, "path": _path, "import": _import, "remove": _remove}
    return verbs[parsed.verb](parsed)


def installed() -> list[dict[str, Any]]:
    """The manifests of all toolchains in the store, and the records of imported ones."""
    found = []
    folders = [
        *store.place("toolchains").glob("*/manifest.json"),
        *store.place("imported").glob("*.json"),
    ]
    for manifest in sorted(folders):
        try:
            found.append(msgspec.json.decode(manifest.read_bytes(), type=dict[str, Any]))
        except (OSError, msgspec.DecodeError) as error:
            what = f"{manifest}: not a toolchain's manifest: {error}"
            raise StoreError(what, hint="remove that folder; it will be made again") from error
    return found


def _list(parsed: argparse.Namespace) -> int:
    rows = installed()
    if parsed.json:
        from gotoolforge import report

        report.print_json({"toolchains": rows})
        return EXIT_OK
    table = [
        (str(one["target"]), str(one["family"]), str(one["version"]), str(one["prefix"]))
        for one in rows
    ]
    render_table(("TARGET", "FAMILY", "VERSION", "PREFIX"), table)
    return EXIT_OK


def _build(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.build import Order, forge_toolchains
    from gotoolforge.forge.recipe import chosen_languages

    if parsed.all and parsed.targets:
        what = "either targets or --all"
        raise UsageError(what)
    targets = tuple(find_target(word) for word in parsed.targets) or (default_target(),)
    order = Order(
        targets=load_targets() if parsed.all else tuple({one.name: one for one in targets}.values()),
        languages=chosen_languages(parsed.languages),
        offline=parsed.offline,
        keep=parsed.keep,
    )
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    for prefix in forge_toolchains(order, console):
        print(prefix)
    return EXIT_OK


def _path(parsed: argparse.Namespace) -> int:
    target = find_target(parsed.target)
    family = compilers.choose_family(parsed.toolchain, None)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    module = compilers.family_module(family)
    print(module.ensure_toolchain(target, console, offline=parsed.offline).prefix)
    return EXIT_OK


def _import(parsed: argparse.Namespace) -> int:
    from gotoolforge.compilers import imported

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    target = find_target(parsed.target) if parsed.target else None
    toolchain = imported.import_prefix(Path(parsed.dir), target, console)
    console.say(f"imported for {toolchain.target}; use it with --toolchain imported")
    print(toolchain.prefix)
    return EXIT_OK


def _remove(parsed: argparse.Namespace) -> int:
    target = find_target(parsed.target)
    families = (parsed.toolchain,) if parsed.toolchain else compilers.FAMILIES
    doomed: list[Path] = []
    for family in families:
        doomed += store.place("toolchains").glob(f"{target.name}-{family}-*")
    if (
        "imported" in families
        and (record := store.place("imported", f"{target.name}.json")).is_file()
    ):
        doomed.append(record)
    if not doomed:
        what = f"no toolchain for {target.name} in the store"
        raise ToolchainError(what, hint="`gotoolforge toolchain list` shows what there is")
    for path in doomed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        print(path)
    return EXIT_OK
