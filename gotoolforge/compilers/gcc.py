"""The `gcc` family: GCC and musl forged from source by a recipe; the default.

A warm build only computes the recipe's digest and looks it up in the store.
"""

from pathlib import Path

from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.console import Console
from gotoolforge.errors import ToolchainError
from gotoolforge.forge.identity import as_toolchain, host_name, toolchain_digest, toolchain_dir
from gotoolforge.forge.recipe import ForgeRecipe, chosen_languages, chosen_recipe
from gotoolforge.target import Target


def examine(target: Target) -> list[tuple[str, str]]:
    """What is missing for this target: pairs of what it is and the command that mends it."""
    try:
        host_name()
    except ToolchainError as error:
        return [(error.what, error.hint)]
    if (_folder(chosen_recipe(), target)[0] / "manifest.json").is_file():
        return []
    return [
        (f"not forged yet for {target.name}", f"gotoolforge toolchain build {target.name}"),
    ]


def ensure_toolchain(target: Target, console: Console, *, offline: bool = False) -> Toolchain:
    """The toolchain for `target`; forged if it is not there, which takes a good while.

    Raises what `forge.build.forge_toolchains` raises.
    """
    forge = chosen_recipe()
    prefix, digest, languages = _folder(forge, target)
    if not (prefix / "manifest.json").is_file():
        from gotoolforge.forge.build import Order, forge_toolchains
        from gotoolforge.forge.pace import expected_minutes

        console.say(
            f"there is no GCC toolchain for {target.name} yet: forging one takes about "
            f"{expected_minutes()} minutes, once; --toolchain zig is ready at once"
        )
        order = Order(targets=(target,), languages=languages, offline=offline, forge=forge)
        forge_toolchains(order, console)
    return as_toolchain(prefix, target, digest, languages)


def _folder(forge: ForgeRecipe, target: Target) -> tuple[Path, str, tuple[str, ...]]:
    languages = chosen_languages()
    digest = toolchain_digest(forge, target, languages)
    return toolchain_dir(target, digest), digest, languages
