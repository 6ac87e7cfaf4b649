#!/usr/bin/env python3
"""Forge every target of the table, one after another, and record each row's result as data.

    scripts/forge_all.py [TARGET ...]      default: every target, those not yet recorded first

Stop it when you like: what is forged stays, and the next call goes on. The record is
recipes/forged.toml, which says of each target what came of it, with which recipe and when.

With ccache on PATH, rows that differ in GCC's defaults only (Arm 5, 6 and 7; hard and soft float
of MIPS) share what is compiled of it: whatever the preprocessor gives alike is compiled once.
"""

import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

from gotoolforge.forge.identity import toolchain_digest
from gotoolforge.forge.manifest import load_manifest
from gotoolforge.forge.recipe import load_recipe
from gotoolforge.forge.sharing import family
from gotoolforge.target import Target, find_target, load_targets

RECORD = Path(__file__).parent.parent / "recipes" / "forged.toml"
HEAD = """\
# What came of forging each target: written by scripts/forge_all.py.
# `digest` is the recipe's; another one today means that the row speaks of an older recipe.
"""


def main() -> int:
    """Forge what was asked; the number of targets that failed."""
    rows = {row["target"]: row for row in _recorded()}
    wanted = [find_target(word) for word in sys.argv[1:]] or sorted(
        load_targets(), key=lambda one: one.name in rows
    )
    failed = 0
    for target in wanted:
        rows[target.name] = row = _forge(target)
        failed += row["result"] != "forged"
        _write(rows)
    return failed


def _forge(target: Target) -> dict[str, Any]:
    digest = toolchain_digest(load_recipe(), target, ("c", "c++"))
    row: dict[str, Any] = {"target": target.name, "date": time.strftime("%Y-%m-%d"),
                           "digest": digest}  # fmt: skip
    words = [sys.executable, "-m", "gotoolforge", "toolchain", "build", target.name]
    relatives = [one for one in load_targets() if family(one) == family(target)]
    words += ["--ccache"] if len(relatives) > 1 and shutil.which("ccache") else []
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=None, text=True)
    if done.returncode:
        return {**row, "result": "failed", "why": _last_error(target, words)}
    prefix = Path(done.stdout.strip())
    made = load_manifest(prefix)
    size = sum(one.lstat().st_size for one in prefix.rglob("*") if not one.is_symlink())
    seconds = round(sum(made.seconds.values()))
    return {**row, "result": "forged", "seconds": seconds, "mebibytes": round(size / 2**20)}


def _last_error(target: Target, words: list[str]) -> str:
    # Asked again it fails at once, at the same command, and this time its words are kept.
    done = subprocess.run(words, capture_output=True, text=True)
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    while lines and not lines[0].startswith("error:"):
        lines.pop(0)
    # Its log's last lines follow; what failed stands there, and make only says that something did.
    reasons = [one for one in lines[1:] if "error" in one.lower() and not one.startswith("make")]
    return " ".join(lines[:1] + reasons[:1]) or f"{target.name}: unknown"


def _recorded() -> list[dict[str, Any]]:
    try:
        return list(tomllib.loads(RECORD.read_text()).get("forged", []))
    except FileNotFoundError:
        return []


def _write(rows: dict[str, dict[str, Any]]) -> None:
    order = [one.name for one in load_targets()]
    text = HEAD
    for name in sorted(rows, key=order.index):
        text += "\n[[forged]]\n"
        for key, value in rows[name].items():
            shown = value if isinstance(value, int) else '"' + str(value).replace('"', "'") + '"'
            text += f"{key} = {shown}\n"
    RECORD.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
