"""Which packages of Go's standard library bring which system calls, computed for a Go that is here.

A program is built for each package that keeps all that the package exports: its functions as
values, and all methods of its types by reflection. What such a program can call beyond one that
keeps nothing, the package brings.
"""

import re
from pathlib import Path

import msgspec

from gotoolforge import run, store
from gotoolforge.errors import GoError, UsageError
from gotoolforge.gosdk import GoSdk
from gotoolforge.run import Command
from gotoolforge.seccomp.listing import Listing, list_calls

DEFAULT = (
    "bufio", "bytes", "compress/gzip", "context", "crypto/rand", "crypto/tls", "database/sql",
    "debug/elf", "encoding/json", "fmt", "html/template", "io", "log", "log/syslog", "math/rand",
    "mime", "net", "net/http", "net/http/cgi", "net/smtp", "os", "os/exec", "os/signal", "os/user",
    "path/filepath", "plugin", "runtime/debug", "runtime/pprof", "runtime/trace", "sync", "syscall",
    "testing", "time",
)  # fmt: skip
_FUNCTION = re.compile(r"^ *func ([A-Z]\w*)\(")
_TYPE = re.compile(r"^type ([A-Z]\w*) (?!= )")
_MAIN = """package main

import (
	"reflect"
{imports}
)

var keep = []any{{
{values}
}}

func main() {{
	for _, one := range keep {{
		value := reflect.ValueOf(one)
		for n := range value.NumMethod() {{
			value.Method(n)
		}}
	}}
}}
"""


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """One package: the calls that it brings, each with the functions that lead to it.

    `unknown` counts places whose number nobody can tell (package syscall passes on any).
    """

    calls: dict[str, tuple[str, ...]]
    unknown: int


class Map(msgspec.Struct, frozen=True, kw_only=True):
    """`always` are the calls of a program that does nothing."""

    go: str
    arch: str
    always: tuple[str, ...]
    packages: dict[str, Brought]


def make_map(sdk: GoSdk, packages: tuple[str, ...], goarch: str) -> Map:
    """Build and read one program a package. Raises UsageError for what Go does not have."""
    with store.scratch_dir() as scratch:
        scratch.joinpath("go.mod").write_text("module example.com/map\n\ngo 1.22\n")
        names = {f"p{place}": one for place, one in enumerate(packages)}
        _write(scratch / "nothing", _MAIN.format(imports="", values=""))
        for name, package in names.items():
            _write(scratch / name, _program(sdk, package, scratch, goarch))
        _build(sdk, scratch, goarch)
        base = list_calls(scratch / "bin" / "nothing")
        found = {
            package: _brought(list_calls(scratch / "bin" / name), base)
            for name, package in names.items()
        }
    return Map(go=sdk.version, arch=goarch, always=base.reachable, packages=found)


def _write(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "main.go").write_text(text)


def _go(sdk: GoSdk, words: tuple[str, ...], cwd: Path, goarch: str) -> run.Answer:
    env = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": goarch, "GOFLAGS": "", "GOWORK": "off"}
    return run.ask(Command(argv=(str(sdk.binary), *words), cwd=cwd, env=env))


def _program(sdk: GoSdk, package: str, cwd: Path, goarch: str) -> str:
    """A main that keeps what the package exports, by what `go doc` says of it.

    Generic functions and types are left out: they are nothing until a program names their types.
    """
    said = _go(sdk, ("doc", "-short", package), cwd, goarch)
    if said.code:
        what = f"Go has no package {package!r} ({said.err.strip().splitlines()[-1]})"
        raise UsageError(what, hint="name packages of the standard library: os, net/http ...")
    short = re.sub(r"^v\d+$", "", package.rpartition("/")[2]) or package.split("/")[-2]
    values = []
    for line in said.out.splitlines():
        if found := _FUNCTION.match(line):
            values.append(f"\t{short}.{found[1]},")
        elif found := _TYPE.match(line):
            values.append(f"\tnew({short}.{found[1]}),")
    imports = f'\t{short} "{package}"' if values else f'\t_ "{package}"'
    return _MAIN.format(imports=imports, values="\n".join(values))


def _build(sdk: GoSdk, folder: Path, goarch: str) -> None:
    done = _go(sdk, ("build", "-trimpath", "-ldflags=-s", "-o", "bin/", "./..."), folder, goarch)
    if done.code:
        what = f"go build failed: {done.err.strip()[-400:]}"
        raise GoError(what, hint="leave out the package that it names")


def _brought(listing: Listing, base: Listing) -> Brought:
    calls: dict[str, list[str]] = {}
    for use in listing.uses:
        if use.path and use.name not in base.reachable:
            calls.setdefault(use.name, []).append(use.owner)
    return Brought(
        calls={name: tuple(dict.fromkeys(owners)) for name, owners in sorted(calls.items())},
        unknown=len(listing.open_ends),
    )
