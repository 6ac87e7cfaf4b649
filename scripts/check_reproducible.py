#!/usr/bin/env python3
"""Forge one target twice, in different folders at different times, and compare every file.

    scripts/check_reproducible.py [TARGET] [--languages c]

The first of the two is the one in the store, if it is there. Exit code 1 names what differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from gotoolforge import store
from gotoolforge.forge.manifest import describe_files


def main() -> int:
    """0 if both forgings gave the same files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", default="amd64")
    parser.add_argument("--languages", default="c,c++")
    parsed = parser.parse_args()
    words = ("toolchain", "build", parsed.target, "--languages", parsed.languages)
    first = _forge(words, store.place())
    with tempfile.TemporaryDirectory(prefix="another-place-", dir=store.place()) as folder:
        other = Path(folder) / "store"
        other.mkdir()
        # The same files to start from; everything that is compiled is compiled again.
        (other / "downloads").symlink_to(store.place("downloads"))
        second = _forge(words, other)
        one, two = describe_files(first), describe_files(second)
    differ = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    print(f"{len(one)} files, {len(differ)} differ")
    for name in differ:
        print(f"  {name}")
    return 1 if differ else 0


def _forge(words: tuple[str, ...], place: Path) -> Path:
    env = {**os.environ, "GOTOOLFORGE_CACHE": str(place)}
    argv = [sys.executable, "-m", "gotoolforge", *words]
    return Path(subprocess.run(argv, env=env, check=True, stdout=subprocess.PIPE,
                               text=True).stdout.strip())  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
