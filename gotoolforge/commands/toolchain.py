"""toolchain: forging C toolchains, and looking after those in the store."""

import argparse
import shutil
from pathlib import Path
from typing import Any

import msgspec

from gotoolforge import compilers, store
from gotoolforge.commands import CommandParser, add_command, add_volume, fetching
from gotoolforge.console import Console, render_table
from gotoolforge.errors import (
    EXIT_FINDINGS,
    EXIT_OK,
    OutputError,
    StoreError,
    ToolchainError,
    UsageError,
)
from gotoolforge.target import Target, default_target, find_target, load_targets

_JSON = "the result as JSON on stdout"
_TARGET = "any usual spelling: amd64, linux/arm/v7, x86_64-linux-musl"


def add_arguments(parser: CommandParser, _name: str) -> None:
    """The verbs, each with words of its own."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _add_making(verbs)
    verb = add_command(verbs, "list", "list the toolchains in the store")
    verb.add_argument("--json", action="store_true", help=_JSON)
    verb = add_command(verbs, "status", "say which forged ones are out of date, or have holes")
    verb.add_argument("--json", action="store_true", help=_JSON)
    for name, summary in (
        ("show", "show what a forged toolchain is made of"),
        ("verify", "hash a forged toolchain's files again"),
    ):
        verb = add_command(verbs, name, summary)
        verb.add_argument("target", metavar="TARGET", help=_TARGET)
        verb.add_argument("--json", action="store_true", help=_JSON)
    verb = add_command(verbs, "path", "print a toolchain's prefix, made first if absent")
    verb.add_argument("target", metavar="TARGET", help=_TARGET)
    verb.add_argument("--toolchain", metavar="FAMILY", help="gcc, zig, system or imported")
    verb.add_argument("--offline", action="store_true", help="download nothing")
    add_volume(verb)
    verb = add_command(verbs, "remove", "remove a target's toolchains from the store")
    verb.add_argument("target", metavar="TARGET", help=_TARGET)
    verb.add_argument("--toolchain", metavar="FAMILY", help="only this family's")
    verb = add_command(verbs, "gc", "remove what no current recipe uses: build folders, old trees")
    verb.add_argument("--dry-run", "-n", action="store_true", help="only say what would go")


def _add_making(verbs: "argparse._SubParsersAction[CommandParser]") -> None:
    verb = add_command(verbs, "build", "forge GCC toolchains from source")
    verb.add_argument("targets", nargs="*", metavar="TARGET", help="default: this machine's")
    verb.add_argument("--all", action="store_true", help="every target of the table")
    verb.add_argument("--config-mak", metavar="FILE", help="a target from musl-cross-make's file")
    verb.add_argument("--languages", metavar="LIST", help="c or c,c++; default: c,c++")
    verb.add_argument("--offline", action="store_true", help="download nothing")
    fetching.add_given(verb)
    verb.add_argument(
        "--host-compiler", metavar="NAME", help="of its own programs: zig, machine or forged"
    )
    verb.add_argument(
        "--ccache", action=argparse.BooleanOptionalAction,
        help="keep compiled objects in ccache(1); default: for several targets of one family, "
        "if it is there",
    )  # fmt: skip
    verb.add_argument("--keep", action="store_true", help="keep the build folders")
    verb.add_argument("--json", action="store_true", help="targets and prefixes, as JSON on stdout")
    add_volume(verb)
    verb = add_command(verbs, "fetch", "download the sources only, or make one bundle of them")
    fetching.add_arguments(verb, "fetch")
    verb = add_command(verbs, "import", "take a prefix made elsewhere, or an exported toolchain")
    verb.add_argument("source", metavar="DIR|FILE", help="the prefix, or the exported file")
    verb.add_argument("--target", metavar="TARGET", help="if a prefix's own triple is unclear")
    add_volume(verb)
    verb = add_command(verbs, "export", "write a forged toolchain as one file")
    verb.add_argument("target", metavar="TARGET", help=_TARGET)
    verb.add_argument("file", metavar="FILE", help="ends in .tar.xz or .tar.zst")
    add_volume(verb)


def run(parsed: argparse.Namespace) -> int:
    """Carry out one verb."""
    verbs = {
        "build": _build, "list": _list, "status": _status, "show": _show, "verify": _verify,
        "path": _path, "fetch": fetching.run, "import": _import, "export": _export,
        "remove": _remove, "gc": _gc,
    }  # fmt: skip
    return verbs[parsed.verb](parsed)


def _installed() -> list[dict[str, Any]]:
    """What every toolchain in the store says of itself, forged ones and those of other families."""
    from gotoolforge.forge.upkeep import forged

    rows = [
        {"family": "gcc", "target": made.target, "version": made.summary, "prefix": str(prefix),
         "digest": made.digest}
        for prefix, made in forged()
    ]  # fmt: skip
    ours = {row["prefix"] for row in rows}
    others = [
        path
        for path in store.place("toolchains").glob("*/manifest.json")
        if str(path.parent) not in ours
    ]
    for path in sorted([*others, *store.place("imported").glob("*.json")]):
        try:
            rows.append(msgspec.json.decode(path.read_bytes(), type=dict[str, Any]))
        except (OSError, msgspec.DecodeError) as error:
            what = f"{path}: not a toolchain's manifest: {error}"
            raise StoreError(what, hint="remove that folder; it will be made again") from error
    return sorted(rows, key=lambda row: (row["target"], row["family"]))


def _build(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.build import Order, forge_toolchains
    from gotoolforge.forge.recipe import chosen_languages, chosen_recipe, with_flags

    if parsed.all and parsed.targets:
        what = "either targets or --all"
        raise UsageError(what)
    if parsed.config_mak and (parsed.all or parsed.targets):
        what = "either targets or --config-mak, which names its own"
        raise UsageError(what)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    config = fetching.read_config_mak(parsed.config_mak, console) if parsed.config_mak else None
    words = (config.target,) if config else parsed.targets
    targets = tuple(find_target(word) for word in words) or (default_target(),)
    forge = chosen_recipe(parsed.host_compiler)
    order = Order(
        targets=load_targets()
        if parsed.all
        else tuple({one.name: one for one in targets}.values()),
        languages=chosen_languages(parsed.languages),
        offline=parsed.offline,
        keep=parsed.keep,
        given=fetching.given(parsed),
        forge=with_flags(forge, config.configure) if config else forge,
        ccache=parsed.ccache,
    )
    made = forge_toolchains(order, console)
    if config and config.output:
        from gotoolforge.forge.transfer import copy_toolchain

        made = (copy_toolchain(made[0], Path(parsed.config_mak).parent / config.output),)
    if parsed.json:
        from gotoolforge import report

        pairs = zip(order.targets, made, strict=True)
        rows = [{"target": target.name, "prefix": str(prefix)} for target, prefix in pairs]
        report.print_json({"toolchains": rows})
        return EXIT_OK
    for prefix in made:
        print(prefix)
    return EXIT_OK


def _list(parsed: argparse.Namespace) -> int:
    rows = _installed()
    if parsed.json:
        from gotoolforge import report

        report.print_json({"toolchains": rows})
        return EXIT_OK
    names = ("target", "family", "version", "prefix")
    table = [tuple(str(one[name]) for name in names) for one in rows]
    render_table(tuple(name.upper() for name in names), table)
    return EXIT_OK


def _status(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge import upkeep

    rows = [upkeep.status(prefix, made) for prefix, made in upkeep.forged()]
    if parsed.json:
        from gotoolforge import report

        report.print_json({"toolchains": msgspec.to_builtins(rows)})
    for one in () if parsed.json else rows:
        kept = "current" if one.current else "the recipe has changed since"
        print(f"{one.target} ({','.join(one.languages)}): {kept}")
        for hole in one.holes:
            print(f"  {hole.id} in {hole.component}: {hole.what}")
        if one.tool_holes:
            names = ", ".join(hole.id for hole in one.tool_holes)
            print(f"  note: do not give its tools files of strangers: {names}")
        if not one.current or one.holes:
            print(f"  -> gotoolforge toolchain build {one.target}")
    lacking = [one for one in rows if one.holes or not one.current]
    return EXIT_FINDINGS if lacking else EXIT_OK


def _forged(word: str) -> Path:
    """The forged toolchain of a target that `build` would use, else the newest. ToolchainError."""
    from gotoolforge.forge.identity import toolchain_digest
    from gotoolforge.forge.recipe import chosen_languages, chosen_recipe
    from gotoolforge.forge.upkeep import forged

    target = find_target(word)
    wanted = toolchain_digest(chosen_recipe(), target, chosen_languages())
    found = [
        (made.digest == wanted, made.made, prefix)
        for prefix, made in forged()
        if made.target == target.name
    ]
    if not found:
        what = f"no toolchain was forged for {target.name}"
        raise ToolchainError(what, hint=f"gotoolforge toolchain build {target.name}")
    return max(found)[2]


def _show(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.manifest import load_manifest

    prefix = _forged(parsed.target)
    made = load_manifest(prefix)
    if parsed.json:
        from gotoolforge import report

        report.print_json({"prefix": str(prefix), "toolchain": msgspec.to_builtins(made)})
        return EXIT_OK
    print(f"{made.target}  {','.join(made.languages)}  for {made.host}")
    if made.host_words:
        print(f"compiled by {made.host_words}")
    print(f"prefix   {prefix}\ndigest   {made.digest}\nmade     {made.made} by {made.made_by}")
    for one in made.components:
        print(f"{one.name:8} {one.version}  {one.licence}  {one.file}")
        for patch in one.patches:
            print(f"         + {patch.file}")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in made.seconds.items())
    print(f"stages   {spent}")
    return EXIT_OK


def _verify(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.manifest import changed_files

    prefix = _forged(parsed.target)
    changed = changed_files(prefix)
    if parsed.json:
        from gotoolforge import report

        report.print_json({"prefix": str(prefix), "changed": changed})
    else:
        print("\n".join(changed) or f"{prefix}: every file is as it was made")
    return EXIT_FINDINGS if changed else EXIT_OK


def _path(parsed: argparse.Namespace) -> int:
    target = find_target(parsed.target)
    family = compilers.choose_family(parsed.toolchain, None)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    module = compilers.family_module(family)
    print(module.ensure_toolchain(target, console, offline=parsed.offline).prefix)
    return EXIT_OK


def _import(parsed: argparse.Namespace) -> int:
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    source = Path(parsed.source)
    if source.is_file():
        from gotoolforge.forge.transfer import import_toolchain

        prefix, made = import_toolchain(source, console)
        console.say(f"taken in for {made.target}: {','.join(made.languages)}")
        print(prefix)
        return EXIT_OK
    from gotoolforge.compilers import imported

    target = find_target(parsed.target) if parsed.target else None
    toolchain = imported.import_prefix(source, target, console)
    console.say(f"imported for {toolchain.target}; use it with --toolchain imported")
    print(toolchain.prefix)
    return EXIT_OK


def _export(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.transfer import export_toolchain

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    size = export_toolchain(_forged(parsed.target), Path(parsed.file), console)
    console.say(f"{size / 1e6:.1f} MB")
    print(parsed.file)
    return EXIT_OK


def _remove(parsed: argparse.Namespace) -> int:
    target = find_target(parsed.target)
    families = (parsed.toolchain,) if parsed.toolchain else compilers.FAMILIES
    doomed = _of_families(target, families)
    if not doomed:
        what = f"no toolchain for {target.name} in the store"
        raise ToolchainError(what, hint="`gotoolforge toolchain list` shows what there is")
    _delete(doomed)
    return EXIT_OK


def _of_families(target: Target, families: tuple[str, ...]) -> list[Path]:
    found: list[Path] = []
    for family in families:
        found += store.place("toolchains").glob(f"{target.name}-{family}-*")
    record = store.place("imported", f"{target.name}.json")
    if "imported" in families and record.is_file():
        found.append(record)
    return found


def _gc(parsed: argparse.Namespace) -> int:
    from gotoolforge.forge.upkeep import unused

    doomed = unused()
    if parsed.dry_run:
        for path in doomed:
            print(path)
    else:
        _delete(doomed)
    return EXIT_OK


def _delete(doomed: list[Path]) -> None:
    for path in doomed:
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            what = f"cannot remove {path}: {error.strerror}"
            raise OutputError(what, hint="is it yours?") from error
        print(path)
