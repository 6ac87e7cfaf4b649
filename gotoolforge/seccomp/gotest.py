"""The tests of Go packages as programs, for a witness to run."""

from pathlib import Path

import msgspec

from gotoolforge import run
from gotoolforge.errors import GoError, UsageError
from gotoolforge.gosdk import GoSdk
from gotoolforge.run import Command


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """One package: its test program, and the folder that `go test` would run it in."""

    package: str
    folder: Path
    binary: Path


def build_tests(sdk: GoSdk, packages: str, cwd: Path, into: Path) -> tuple[Tests, ...]:
    """Build the tests of `packages`, a pattern as Go takes it. Raises UsageError for none."""
    form = "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}\t{{.Dir}}{{end}}"
    said = _go(sdk, ("list", "-f", form, packages), cwd)
    made = []
    for place, line in enumerate(filter(None, said.splitlines())):
        package, _, folder = line.partition("\t")
        binary = into / f"{place}.test"
        _go(sdk, ("test", "-c", "-o", str(binary), package), cwd)
        made.append(Tests(package=package, folder=Path(folder), binary=binary))
    if not made:
        what = f"{packages} has no tests"
        raise UsageError(what, hint="name packages that have: ./...")
    return tuple(made)


def _go(sdk: GoSdk, words: tuple[str, ...], cwd: Path) -> str:
    done = run.ask(Command(argv=(str(sdk.binary), *words), cwd=cwd))
    if done.code:
        what = f"go {words[0]} failed: {done.err.strip()[-400:]}"
        raise GoError(what, hint="does `go test` work there?")
    return done.out
