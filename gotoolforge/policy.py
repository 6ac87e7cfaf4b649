"""Policies: what each verdict is worth. Data: `recipes/policies/NAME.toml`, or a file of yours."""

from pathlib import Path
from typing import Literal

from gotoolforge import paths
from gotoolforge.errors import UsageError
from gotoolforge.tables import Row, load_table


class Rule(Row, frozen=True):
    """What one verdict is worth, and what to do about it if it is not simply passed."""

    judgement: Literal["pass", "warn", "fail"]
    advice: str = ""


class Policy(Row, frozen=True):
    """A rule for each verdict; a verdict without one fails."""

    name: str
    describes: str
    verdict: dict[str, Rule]


def load_policy(name_or_path: str) -> Policy:
    """The named policy, or the one in a .toml file. Raises UsageError or RecipeError."""
    if name_or_path.endswith(".toml"):
        return load_table(Path(name_or_path), Policy)
    folder = paths.recipes_dir() / "policies"
    path = folder / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.toml")))
        what = f"no such policy: {name_or_path!r}"
        raise UsageError(what, hint=f"one of {known}, or the path of a .toml file")
    return load_table(path, Policy)
