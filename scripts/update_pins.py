#!/usr/bin/env python3
"""Propose newer pins for recipes/sources, by what the distribution and the package index offer.

    scripts/update_pins.py [NAME ...] [--suites trixie,sid] > pins.diff      patch -p0 < pins.diff

Prints, as a diff, each form that a suite has at another upstream version, with its sha256 from the
index of sources, and says which wheels pip sees newer ones of. Version, size and fix-ups of a form
that moved are for a person, and so are upstream's own forms, whose digests no list gives;
`gotoolforge recipe check` then says what does not fit together. Exit code 1: something is newer.
"""

import argparse
import difflib
import re
import subprocess
import sys
from pathlib import Path

from gotoolforge import distro, paths
from gotoolforge.recipe import Form, load_source


def main() -> int:
    """Look and print; 1 if anything newer was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--suites", default="trixie,sid")
    parsed = parser.parse_args()
    options, _ = distro.private_lists(tuple(parsed.suites.split(",")))
    folder = paths.recipes_dir() / "sources"
    names = parsed.names or sorted(one.stem for one in folder.glob("*.toml"))
    newer = False
    for name in names:
        path = folder / f"{name}.toml"
        text = path.read_text()
        proposed = text
        for form in load_source(name).forms:
            proposed = _from_distro(proposed, form, options) if form.distro else proposed
            if form.pip:
                _say_newer_wheel(form)
        newer |= proposed != text
        sys.stdout.writelines(_diff(path, text, proposed))
    return int(newer)


def _from_distro(text: str, form: Form, options: tuple[str, ...]) -> str:
    """The file with this form's pin moved to the newest upstream tarball in the suites."""
    assert form.distro is not None
    rows = distro.source_versions(options, form.distro.package)
    offered = {
        file: digest
        for _, files in rows
        for digest, file in files.items()
        if re.search(r"\.orig\.tar\.\w+$", file) and not file.endswith(".asc")
    }
    if not offered:
        print(f"{form.distro.package}: none of the suites has it", file=sys.stderr)
        return text
    newest = max(offered, key=_version_key)
    if form.sha256 in offered.values() and offered[newest] == form.sha256:
        return text
    changed = text.replace(form.sha256, offered[newest])
    return changed.replace(f'"{form.file}"', f'"{newest}"')


def _say_newer_wheel(form: Form) -> None:
    assert form.pip is not None
    words = [sys.executable, "-m", "pip", "index", "versions", form.pip.package,
             "--disable-pip-version-check"]  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True)
    found = re.search(r"Available versions: ([^,\s]+)", done.stdout)
    if found and found[1] != form.pip.version:
        seen = f"{form.pip.package}: {form.pip.version} is pinned, pip sees {found[1]}"
        print(seen, file=sys.stderr)


def _version_key(file: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", file.partition("_")[2]))


def _diff(path: Path, old: str, new: str) -> list[str]:
    name = str(path.relative_to(path.parents[2]))
    return list(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, name))


if __name__ == "__main__":
    sys.exit(main())
