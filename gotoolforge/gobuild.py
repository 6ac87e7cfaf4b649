"""The driver: environment and arguments of `go build`, computed as plain values.

Ours win over the caller's in what decides the libc; everything else of the caller's is merged.
The numbers in comments are those of Go's issue tracker (golang/go).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import goflags
from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.errors import RefusedError
from gotoolforge.goflags import GoFlags, join_quoted, split_quoted
from gotoolforge.target import Target

DEFAULT_STACK_SIZE = 8 * 1024 * 1024

# A host's headers and libraries come in through these, past every flag.
_LEAKS = (
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "LIBRARY_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "PKG_CONFIG_PATH",
    "PKG_CONFIG_SYSROOT_DIR",
)
# musl 1.2.4 has pread64, off64_t and their like only if this asks for them, and C written for
# glibc counts on them (go-sqlite3 before 1.14.22 does). They are macros: no symbol comes of it.
_LARGE_FILES = "-D_LARGEFILE64_SOURCE"
_MERGED = ("tags", "ldflags", "trimpath", "buildmode", "toolexec")


class DriverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller may choose about the binary; `stack_size` is in bytes, 0 keeps musl's."""

    pie: bool = False
    strip: bool = False
    resolver: Literal["go", "musl"] = "go"
    stack_size: int = DEFAULT_STACK_SIZE
    with_prefix: tuple[Path, ...] = ()


class GoCommand(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the go command as values: what is laid over the environment, and the words."""

    env: dict[str, str | None]
    flags: tuple[str, ...]


def compute(
    target: Target,
    toolchain: Toolchain | None,
    flags: GoFlags,
    options: DriverOptions,
    *,
    gocache: Path | None = None,
    wrapper_env: Mapping[str, str] | None = None,
) -> GoCommand:
    """The environment and the flags for `go build`, `go run` and `go test` alike.

    `toolchain` None means a build without C. Raises RefusedError if the caller's flags contradict
    what a static binary needs.
    """
    env: dict[str, str | None] = dict(target.environment)
    env["GOFLAGS"] = goflags.goflags_without(flags.from_env, _MERGED)
    if toolchain is None:
        env["CGO_ENABLED"] = "0"
    else:
        env.update(_cgo_environment(toolchain, options))
        env.update(wrapper_env or {})
        env["GOCACHE"] = str(gocache) if gocache else None
    words = [*_mode(flags, options), *_trimpath(flags), *_tags(flags, options)]
    words += [f"-ldflags={value}" for value in _ldflags(flags, options, toolchain)]
    if toolexec := flags.last("toolexec"):
        words.append(f"-toolexec={toolexec}")
    return GoCommand(env=env, flags=(*words, *flags.others(_MERGED)))


def tags(flags: GoFlags, options: DriverOptions) -> tuple[str, ...]:
    """The build tags: the caller's, and those that keep names and users out of libc."""
    own = ["netgo", "osusergo"] if options.resolver == "go" else ["netcgo"]
    given = flags.last("tags") or ""
    return tuple(dict.fromkeys([*given.replace(",", " ").split(), *own]))


def wants_pie(flags: GoFlags, options: DriverOptions) -> bool:
    """Whether a position-independent executable is asked for, by our flag or by Go's."""
    return options.pie or flags.last("buildmode") == "pie"


def _cgo_environment(toolchain: Toolchain, options: DriverOptions) -> dict[str, str | None]:
    includes = [f"-I{prefix / 'include'}" for prefix in options.with_prefix]
    libraries = [f"-L{prefix / 'lib'}" for prefix in options.with_prefix]
    roots = [*options.with_prefix, toolchain.sysroot, toolchain.sysroot / "usr"]
    env: dict[str, str | None] = dict.fromkeys(_LEAKS)
    env |= {
        "CGO_ENABLED": "1",
        "CC": _program(toolchain.cc),
        "CXX": _program(toolchain.cxx),
        "FC": _program(toolchain.fortran),
        "AR": str(toolchain.ar),
        # Only the target's own .pc files; the host's would bring the host's headers in.
        "PKG_CONFIG_LIBDIR": os.pathsep.join(str(root / "lib" / "pkgconfig") for root in roots),
    }
    for name in ("CGO_CFLAGS", "CGO_CXXFLAGS"):
        theirs = os.environ.get(name, "-O2 -g")
        env[name] = _joined(theirs, [_LARGE_FILES, *toolchain.cflags, *includes])
    env["CGO_LDFLAGS"] = _joined(os.environ.get("CGO_LDFLAGS", "-O2 -g"), libraries)
    return env


def _program(path: Path | None) -> str:
    """A compiler as Go reads it: quoted words. `false` stands for one that is not there."""
    return goflags.join_quoted([str(path)]) if path else "false"


def _joined(theirs: str, ours: list[str]) -> str:
    return join_quoted([*split_quoted(theirs), *ours])


def _mode(flags: GoFlags, options: DriverOptions) -> list[str]:
    if wants_pie(flags, options):
        return ["-buildmode=pie"]
    # Not `exe` unasked: it makes Go pass over packages that are no commands, errors and all.
    given = flags.last("buildmode")
    return [f"-buildmode={given}"] if given else []


def _trimpath(flags: GoFlags) -> list[str]:
    given = flags.last("trimpath")
    return [f"-trimpath={given}" if given not in {None, "true"} else "-trimpath"]


def _tags(flags: GoFlags, options: DriverOptions) -> list[str]:
    return ["-tags=" + ",".join(tags(flags, options))]


def _ldflags(flags: GoFlags, options: DriverOptions, toolchain: Toolchain | None) -> list[str]:
    """Our link flags joined to each -ldflags of the caller's, patterns (`all=-s`) kept.

    Go takes the last -ldflags whose pattern matches a package, so each must carry ours.
    """
    given = [flag.value or "" for flag in flags.all() if flag.name == "ldflags"]
    if not any(_pattern(value)[0] == "" for value in given):
        given.insert(0, "")
    values = []
    for value in given:
        pattern, rest = _pattern(value)
        fields = _merge_ldflags(split_quoted(rest), options, flags, toolchain)
        values.append(pattern + join_quoted(fields))
    return [value for value in values if value]


def _pattern(value: str) -> tuple[str, str]:
    """Part `pattern=` from its flags, the way cmd/go does: only if it does not begin with -."""
    if value.lstrip().startswith(("-", "'", '"')) or "=" not in value:
        return "", value
    head, _, rest = value.partition("=")
    return f"{head}=", rest


def _merge_ldflags(
    fields: list[str], options: DriverOptions, flags: GoFlags, toolchain: Toolchain | None
) -> list[str]:
    kept: list[str] = []
    extld: list[str] = []
    queue = list(fields)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if name in {"extldflags", "linkmode"}:
            value = value if equals else (queue.pop(0) if queue else "")
            if name == "extldflags":
                extld += split_quoted(value)
            elif toolchain is not None and value == "internal":
                what = "-linkmode=internal leaves libc to the host's dynamic loader with cgo on"
                raise RefusedError(what, hint="leave -linkmode out, or build with --cgo off")
            elif toolchain is None:
                kept.append(f"-linkmode={value}")
        else:
            kept.append(word)
    if options.strip:
        kept = [word for word in kept if word not in {"-s", "-w"}] + ["-s", "-w"]
    if toolchain is None:
        return kept + ([f"-extldflags={' '.join(extld)}"] if extld else [])
    if wants_pie(flags, options) and "-d" in kept:
        what = "-ldflags=-d leaves a position-independent program that cannot relocate itself"
        raise RefusedError(what, hint="leave -d out (golang/go#80464)")
    # Without -linkmode=external Go links cgo of the standard library itself and ignores
    # -extldflags, so -static would do nothing (#56386).
    joined = join_quoted(_extldflags(extld, options, flags, toolchain))
    return [*kept, "-linkmode=external", f"-extldflags={joined}"]


def _extldflags(
    theirs: list[str], options: DriverOptions, flags: GoFlags, toolchain: Toolchain
) -> list[str]:
    ours = ["-static-pie" if wants_pie(flags, options) else "-static"]
    if options.stack_size:
        # musl gives a thread 128 KiB unless PT_GNU_STACK asks for more, and C under cgo runs there.
        ours.append(f"-Wl,-z,stack-size={options.stack_size}")
    decided = {"-static", "-static-pie", "-dynamic", "-pie", "-no-pie", "-shared"}
    return [*ours, *(word for word in theirs if word not in decided), *toolchain.ldflags]
