"""The door to the machine's package manager: source tarballs by apt, and what to install.

apt is asked with lists of its own in the store, made from the machine's configuration, so the
machine's lists and packages stay as they are, and root is not needed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.run import Command

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class DistroError(Exception):
    """The package manager does not have the file, in words."""


def install_command(packages: str) -> str:
    """The command that installs packages here, spelled for Debian and its kin."""
    for program, words in (
        ("apt-get", "apt-get install"),
        ("dnf", "dnf install"),
        ("apk", "apk add"),
        ("pacman", "pacman -S"),
    ):
        if run.find_program(program):
            return f"{words} {packages}"
    return f"install {packages} with your package manager"


def fetch_source(package: str, suites: tuple[str, ...], sha256: str, folder: Path) -> Path:
    """The file with that digest among the sources of a package, downloaded into `folder`.

    It is looked for by its digest in every suite, not by a revision: a distribution drops
    superseded revisions, but the upstream tarball outlives them. Raises DistroError.
    """
    options, problem = private_lists(suites)
    for version in [one for one, files in source_versions(options, package) if sha256 in files]:
        argv = ("apt-get", *options, "-qq", "source", "--download-only", "--tar-only",
                f"{package}={version}")  # fmt: skip
        answer = run.ask(Command(argv=argv, cwd=folder))
        for made in folder.iterdir():
            if made.is_file() and store.file_sha256(made) == sha256:
                return made
        problem = answer.err.strip() or problem
    last = f": {problem.splitlines()[-1]}" if problem else ""
    what = f"no suite of {', '.join(suites)} has a file with that sha256{last}"
    raise DistroError(what)


def source_versions(options: tuple[str, ...], package: str) -> list[tuple[str, dict[str, str]]]:
    """The versions of a source package in the lists, each with the names of its files by sha256."""
    shown = run.ask(Command(argv=("apt-cache", *options, "showsrc", "--only-source", package)))
    found: dict[str, dict[str, str]] = {}
    for entry in shown.out.split("\n\n"):
        version = re.search(r"^Version: (\S+)$", entry, re.MULTILINE)
        if version:
            files = re.findall(r"^ ([0-9a-f]{64}) \d+ (\S+)$", entry, re.MULTILINE)
            found.setdefault(version[1], dict(files))
    return list(found.items())


def private_lists(suites: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Options that make apt use up-to-date lists of ours, for the sources of `suites` only.

    Beside them what apt complained of, if it did. Raises DistroError where there is no apt, or none
    that knows a Debian archive.
    """
    if not run.find_program("apt-get"):
        what = "this machine has no apt"
        raise DistroError(what)
    bases = list(dict.fromkeys(mirrors()))
    if not bases:
        what = "apt has no Debian archive configured here"
        raise DistroError(what)
    options = _list_options(bases, suites)
    answer = run.ask(Command(argv=("apt-get", *options, "-qq", "update")))
    return options, answer.err.strip()


def _list_options(bases: list[str], suites: tuple[str, ...]) -> tuple[str, ...]:
    folder = store.ensure_dir(store.place("apt"))
    for name in ("parts", "lists", "cache"):
        store.ensure_dir(folder / name)
    store.ensure_dir(folder / "lists" / "partial")
    signed = f" [signed-by={_KEYRING}]" if Path(_KEYRING).is_file() else ""
    lines = [f"deb-src{signed} {base} {suite} main\n" for base in bases for suite in suites]
    store.write_atomically(folder / "parts" / "gotoolforge.list", "".join(lines))
    return (
        "-o", "Dir::Etc::SourceList=/dev/null",
        "-o", f"Dir::Etc::SourceParts={folder / 'parts'}",
        "-o", f"Dir::State::Lists={folder / 'lists'}",
        "-o", f"Dir::Cache={folder / 'cache'}",
        "-o", "Debug::NoLocking=true",
        "-o", "APT::Sandbox::User=",
    )  # fmt: skip


def mirrors() -> Iterator[str]:
    """The archives that this machine's apt is configured with, without the security ones."""
    # Images come without apt's lists, and Release files that are not there name no targets.
    argv = ("apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)")
    for line in run.ask(Command(argv=argv)).out.split():
        if "security" not in line:
            yield line.rstrip("/")
