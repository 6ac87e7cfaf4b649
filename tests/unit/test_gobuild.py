"""The driver's environment and arguments, as plain values."""

from pathlib import Path

import pytest

from gotoolforge import gobuild
from gotoolforge.compilers.toolchain import Toolchain, from_manifest, to_manifest
from gotoolforge.errors import RefusedError
from gotoolforge.gobuild import DriverOptions
from gotoolforge.goflags import GoFlag, GoFlags, parse_goflags, split_quoted
from gotoolforge.target import find_target

PREFIX = Path("/store/tc")
TOOLCHAIN = Toolchain(
    family="zig",
    target="armv7-alpine-musleabihf",
    version="1",
    digest="d" * 64,
    prefix=PREFIX,
    sysroot=PREFIX / "sysroot",
    cc=PREFIX / "bin/cc",
    cxx=PREFIX / "bin/c++",
    ar=PREFIX / "bin/ar",
)
ARMV7 = find_target("armv7")


def compute(
    *line: GoFlag, goflags: str = "", c: bool = True, options: DriverOptions | None = None
) -> gobuild.GoCommand:
    flags = GoFlags(from_env=parse_goflags(goflags), from_line=line)
    tool = TOOLCHAIN if c else None
    return gobuild.compute(ARMV7, tool, flags, options or DriverOptions(), gocache=Path("/gc"))


def ldflags(command: gobuild.GoCommand) -> list[str]:
    (value,) = [word for word in command.flags if word.startswith("-ldflags=")]
    return split_quoted(value.removeprefix("-ldflags="))


def extldflags(command: gobuild.GoCommand) -> list[str]:
    (value,) = [word for word in ldflags(command) if word.startswith("-extldflags=")]
    return split_quoted(value.removeprefix("-extldflags="))


def test_cgo_always_links_externally_and_statically() -> None:
    command = compute()
    assert "-linkmode=external" in ldflags(command)
    assert extldflags(command) == ["-static", "-Wl,-z,stack-size=8388608"]
    assert command.env["CGO_ENABLED"] == "1"
    assert command.env["GOARM"] == "7"
    assert command.env["CC"] == "/store/tc/bin/cc"
    assert command.env["GOCACHE"] == "/gc"
    assert "-trimpath" in command.flags
    assert "-tags=netgo,osusergo" in command.flags


def test_without_c_no_compiler_is_named() -> None:
    command = compute(c=False)
    assert command.env["CGO_ENABLED"] == "0"
    assert "CC" not in command.env
    assert "GOCACHE" not in command.env
    assert not any("ldflags" in word for word in command.flags)


def test_the_callers_flags_are_merged_never_lost() -> None:
    command = compute(
        GoFlag("ldflags", "-X 'main.v=a b' -extldflags '-static -lm' -s"),
        GoFlag("tags", "sqlite_fts5"),
        GoFlag("gcflags", "all=-N"),
        GoFlag("v"),
        GoFlag("mod", "vendor"),
    )
    assert ldflags(command)[:3] == ["-X", "main.v=a b", "-s"]
    assert extldflags(command) == ["-static", "-Wl,-z,stack-size=8388608", "-lm"]
    assert {"-gcflags=all=-N", "-v", "-mod=vendor"} <= set(command.flags)
    assert "-tags=sqlite_fts5,netgo,osusergo" in command.flags


def test_goflags_are_merged_and_the_rest_of_them_kept() -> None:
    command = compute(goflags="-tags=a '-ldflags=-X main.v=1' -mod=mod -buildvcs=false")
    assert command.env["GOFLAGS"] == "-mod=mod -buildvcs=false"
    assert "-tags=a,netgo,osusergo" in command.flags
    assert ldflags(command)[:2] == ["-X", "main.v=1"]


def test_the_command_line_wins_over_goflags() -> None:
    command = compute(GoFlag("tags", "b"), goflags="-tags=a")
    assert "-tags=b,netgo,osusergo" in command.flags


def test_a_pattern_of_ldflags_carries_ours_too() -> None:
    command = compute(GoFlag("ldflags", "all=-s"))
    values = [word for word in command.flags if word.startswith("-ldflags=")]
    assert values[1].startswith("-ldflags=all=-s ")
    assert all("-linkmode=external" in value for value in values)


def test_internal_linking_with_cgo_is_refused() -> None:
    with pytest.raises(RefusedError, match="internal"):
        compute(GoFlag("ldflags", "-linkmode internal"))


def test_pie_is_static_pie() -> None:
    command = compute(options=DriverOptions(pie=True))
    assert "-buildmode=pie" in command.flags
    assert extldflags(command)[0] == "-static-pie"
    assert extldflags(compute(GoFlag("buildmode", "pie")))[0] == "-static-pie"


def test_pie_without_relocation_is_refused() -> None:
    with pytest.raises(RefusedError, match="-d"):
        compute(GoFlag("ldflags", "-d"), options=DriverOptions(pie=True))


def test_strip_resolver_and_stack_are_choices() -> None:
    command = compute(options=DriverOptions(strip=True, resolver="musl", stack_size=0))
    assert ldflags(command)[:2] == ["-s", "-w"]
    assert "-tags=netcgo" in command.flags
    assert extldflags(command) == ["-static"]


def test_the_hosts_headers_and_libraries_are_kept_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CPATH", "/usr/include")
    monkeypatch.setenv("CGO_CFLAGS", "-DMINE")
    command = compute(options=DriverOptions(with_prefix=(Path("/mine"),)))
    assert command.env["CPATH"] is None
    assert command.env["PKG_CONFIG_PATH"] is None
    assert command.env["PKG_CONFIG_LIBDIR"] == (
        "/mine/lib/pkgconfig:/store/tc/sysroot/lib/pkgconfig:/store/tc/sysroot/usr/lib/pkgconfig"
    )
    assert command.env["CGO_CFLAGS"] == "-DMINE -D_LARGEFILE64_SOURCE -I/mine/include"
    assert command.env["CGO_LDFLAGS"] == "-O2 -g -L/mine/lib"


def test_a_manifest_is_read_back_as_written() -> None:
    assert from_manifest(to_manifest(TOOLCHAIN)) == TOOLCHAIN
