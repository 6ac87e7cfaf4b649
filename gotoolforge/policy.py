"""Policies: what each verdict and each check is worth.

Data: `recipes/policies/NAME.toml`, or a file of yours.
"""

import functools
import re
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import paths
from gotoolforge.errors import RecipeError, UsageError
from gotoolforge.tables import Row, load_table

Worth = Literal["error", "warning", "note", "off"]
_FLOOR = re.compile(r"glibc-(\d+\.\d+(?:\.\d+)?)")
_FIELDS = (
    "a policy has name, describes, and [verdict.NAME] with judgement (pass, warn or fail); it may "
    "have checks, versions, interpreters and needed; the README shows one"
)


class Check(Row, frozen=True):
    """One row of `recipes/checks.toml`; its fields are explained there."""

    id: str
    asks: str
    why: str
    fix: str
    severity: Worth


class Rule(Row, frozen=True):
    """What one verdict is worth; `advice` replaces the check's own."""

    judgement: Literal["pass", "warn", "fail"]
    advice: str = ""


class Policy(Row, frozen=True):
    """A rule for each verdict (one without fails), and what else a file may ask for.

    `checks` overrule severities. `versions` give the highest version of a family that is allowed:
    `GLIBC = "2.28"`. `interpreters` and `needed` are shell patterns; None allows all.
    """

    name: str
    describes: str
    verdict: dict[str, Rule]
    checks: dict[str, Worth] = {}
    versions: dict[str, str] = {}
    interpreters: tuple[str, ...] | None = None
    needed: tuple[str, ...] | None = None


class _Checks(Row, frozen=True):
    check: tuple[Check, ...]


@functools.cache
def load_checks() -> dict[str, Check]:
    """Every check by its id, in the table's order."""
    rows = load_table(paths.recipes_dir() / "checks.toml", _Checks).check
    return {row.id: row for row in rows}


def load_policy(name_or_path: str) -> Policy:
    """The named policy, or the one in a .toml file. Raises UsageError or RecipeError."""
    if name_or_path.endswith(".toml"):
        return _checked(load_table(Path(name_or_path), Policy, _FIELDS), name_or_path)
    folder = paths.recipes_dir() / "policies"
    if floor := _FLOOR.fullmatch(name_or_path):
        policy = load_table(folder / "glibc-floor.toml", Policy)
        return msgspec.structs.replace(policy, name=name_or_path, versions={"GLIBC": floor[1]})
    path = folder / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.toml")))
        what = f"no such policy: {name_or_path!r}"
        hint = f"one of {known}, glibc-VERSION (glibc-2.28), or the path of a .toml file"
        raise UsageError(what, hint=hint)
    return load_table(path, Policy)


def _checked(policy: Policy, path: str) -> Policy:
    verdicts = {name.removeprefix("verdict-") for name in load_checks() if "verdict-" in name}
    wrong = [*(set(policy.checks) - set(load_checks())), *(set(policy.verdict) - verdicts)]
    if wrong:
        what = f"{path}: no such check or verdict: {', '.join(sorted(wrong))}"
        raise RecipeError(what, hint="`gotoolforge verify --explain` lists them")
    return policy
