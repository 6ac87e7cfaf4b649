"""C archives and objects that a program links ready-made, and whether they were made for glibc.

What their symbols say is known before the link, whose own words about it name no cause.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec

from gotoolforge.cgo import Package

_ENDINGS = (".a", ".o", ".syso")
# Folders that the go command does not look into either, and those of other package managers.
_SKIPPED = ("testdata", "node_modules")


class Prebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A C archive or object of a package; `symbols` say that glibc's headers made it.

    `linked` says that this build links it: by its name, or by the package's `#cgo LDFLAGS`. Others
    only lie beside the package's files, perhaps for other tags.
    """

    path: str
    package: str
    symbols: tuple[str, ...]
    linked: bool

    def say(self) -> str:
        """One line for people: what it is and what comes of it."""
        more = " ..." if self.symbols[5:] else ""
        return (
            f"{self.path} (of {self.package}) was built for glibc: it asks for "
            f"{', '.join(self.symbols[:5])}{more}. The link against musl fails for what musl "
            "lacks, and what links may still count on glibc's structures: build it against musl, "
            "without -D_FORTIFY_SOURCE, or look for a build tag of the module's"
        )


def find_linked(
    packages: tuple[Package, ...], folders: tuple[Path, ...] = ()
) -> tuple[Prebuilt, ...]:
    """What the packages link ready-made and glibc's headers made; `folders` are searched too.

    Without any such file nothing is read.
    """
    return tuple(_judged(_linked_paths(packages, folders), linked=True))


def find_beside(packages: tuple[Package, ...]) -> tuple[Prebuilt, ...]:
    """What lies in the packages' folders and below, and is not linked."""
    linked = {path for path, _ in _linked_paths(packages, ())}
    owners = {Path(one.dir): one for one in packages if one.dir and not one.standard}
    found = {path: owners[folder] for folder in owners for path in _below(folder, set(owners))}
    left = ((path, one) for path, one in sorted(found.items()) if path not in linked)
    return tuple(_judged(left, linked=False))


def _judged(paths: Iterator[tuple[Path, Package]], *, linked: bool) -> Iterator[Prebuilt]:
    for path, package in paths:
        # A program without such files is the rule, and a warm build pays for no reader of them.
        from gotoolforge.objects import glibc_symbols

        try:
            symbols = glibc_symbols(path)
        except OSError:
            continue  # whoever links it says so better
        if symbols:
            yield Prebuilt(
                path=str(path), package=package.import_path, symbols=symbols, linked=linked
            )


def _linked_paths(
    packages: tuple[Package, ...], folders: tuple[Path, ...]
) -> Iterator[tuple[Path, Package]]:
    seen = set()
    for one in packages:
        if one.standard or not one.dir:
            continue
        for path in (*(Path(one.dir, name) for name in one.syso_files), *_named(one, folders)):
            if path not in seen and path.is_file():
                seen.add(path)
                yield path, one


def _named(package: Package, folders: tuple[Path, ...]) -> Iterator[Path]:
    """What `#cgo LDFLAGS` name: files, and -lNAME in the first -L that has it.

    `go list` has put the folder in the place of ${SRCDIR}. CGO_LDFLAGS, where `folders` come from,
    stand before a package's own.
    """
    words = package.cgo_ldflags
    places = list(folders)
    for word, after in pairwise((*words, "")):
        if word.startswith("-L"):
            places.append(_placed(package, word[2:] or after))
    for word in words:
        if word.startswith("-l"):
            name = word[3:] if word.startswith("-l:") else f"lib{word[2:]}.a"
            yield from [path for place in places if (path := place / name).is_file()][:1]
        elif word.endswith(_ENDINGS) and not word.startswith("-"):
            yield _placed(package, word)


def _placed(package: Package, word: str) -> Path:
    return Path(os.path.normpath(os.path.join(package.dir, word)))  # noqa: PTH118 - "a/../b" too


def _below(folder: Path, others: set[Path]) -> Iterator[Path]:
    # Libraries lie below the package, as in lib/linux_amd64/libx.a; other packages are not ours.
    for base, names, files in os.walk(folder):
        names[:] = [
            name
            for name in names
            if name[0] not in "._" and name not in _SKIPPED and Path(base, name) not in others
        ]
        yield from (Path(base, file) for file in files if file.endswith(_ENDINGS))
