"""What a program is made of, as `go list` tells it, and whether it needs C at all."""

from pathlib import Path

import msgspec

from gotoolforge import run, symptoms
from gotoolforge.errors import GoError, PlanError
from gotoolforge.gosdk import GoSdk, too_old_hint
from gotoolforge.run import Command

_ASK_GO = "`go list` says why; nothing was built"


class Module(msgspec.Struct, frozen=True, rename="pascal"):
    """A module of the program, as `go list` prints it."""

    path: str
    version: str = ""
    main: bool = False
    replace: "Module | None" = None
    go_version: str = ""
    sum: str = ""


class Package(msgspec.Struct, frozen=True, rename="pascal"):
    """A package of the program, with what it brings besides Go."""

    import_path: str
    name: str = ""
    dir: str = ""
    standard: bool = False
    dep_only: bool = False
    for_test: str = ""
    module: Module | None = None
    go_files: tuple[str, ...] = ()
    cgo_files: tuple[str, ...] = ()
    c_files: tuple[str, ...] = ()
    cxx_files: tuple[str, ...] = msgspec.field(default=(), name="CXXFiles")
    m_files: tuple[str, ...] = ()
    f_files: tuple[str, ...] = ()
    s_files: tuple[str, ...] = ()
    swig_files: tuple[str, ...] = ()
    swig_cxx_files: tuple[str, ...] = msgspec.field(default=(), name="SwigCXXFiles")
    syso_files: tuple[str, ...] = ()
    cgo_ldflags: tuple[str, ...] = msgspec.field(default=(), name="CgoLDFLAGS")
    cgo_pkg_config: tuple[str, ...] = ()

    @property
    def is_cxx(self) -> bool:
        """Whether it needs a C++ compiler or C++'s library."""
        linked = {"-lstdc++", "-lc++"} & set(self.cgo_ldflags)
        return bool(self.cxx_files or self.swig_cxx_files or linked)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why this package needs a C toolchain, in words; empty if it does not."""
        kinds = {
            "cgo": self.cgo_files,
            "C": self.c_files,
            "C++": self.cxx_files,
            "Objective-C": self.m_files,
            "Fortran": self.f_files,
            "SWIG": self.swig_files + self.swig_cxx_files,
            "prebuilt .syso": self.syso_files,
        }
        # Assembler beside cgo is the C compiler's; on its own it is Go's and needs nothing.
        if self.cgo_files:
            kinds["assembler"] = self.s_files
        words = [_count(kind, files) for kind, files in kinds.items() if files]
        libraries = [flag for flag in self.cgo_ldflags if flag.startswith("-l")]
        if words and libraries:
            words.append("links " + " ".join(libraries))
        if words and self.cgo_pkg_config:
            words.append("pkg-config " + " ".join(self.cgo_pkg_config))
        return tuple(words)


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One package that decides that C is needed, and why."""

    package: str
    module: str
    reasons: tuple[str, ...]


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the patterns of a command line stand for."""

    mains: tuple[Package, ...]
    named: tuple[Package, ...]
    with_c: tuple[Package, ...]
    needs: tuple[Need, ...]
    std_cgo: tuple[str, ...]
    wants_cxx: bool
    wants_fortran: bool
    pkg_config: tuple[str, ...]
    replaced: tuple[str, ...]


# Naming the fields keeps `go list` from computing the dear ones (stale-ness, errors of tests).
_FIELDS = ",".join(field.encode_name for field in msgspec.structs.fields(Package))


def list_command(
    sdk: GoSdk, patterns: tuple[str, ...], flags: tuple[str, ...], *, tests: bool = False
) -> tuple[str, ...]:
    """The `go list` that answers what the program is made of; cgo is on in its environment."""
    extra = ("-test",) if tests else ()
    # Neither changes which packages there are, and both cost time here.
    quick = ("-buildvcs=false", "-pgo=off")
    return (
        str(sdk.binary),
        "list",
        "-deps",
        *extra,
        f"-json={_FIELDS}",
        *quick,
        *flags,
        "--",
        *patterns,
    )


def load_program(command: Command) -> Program:
    """Ask `go list` and sort out what it says.

    Raises GoError if this Go is too old for the module, PlanError with Go's own words otherwise.
    """
    answer = run.ask(command)
    if answer.code:
        text = answer.err.strip()
        if hint := too_old_hint(text):
            raise GoError(text, hint=hint)
        raise PlanError(text, hint=_plan_hint(text))
    return sort_out(decode_packages(answer.out))


def decode_packages(text: str) -> tuple[Package, ...]:
    """`go list -json` prints one indented object after the other: read them as one list."""
    joined = "[" + text.strip().replace("\n}\n{\n", "\n},\n{\n") + "]"
    return msgspec.json.decode(joined, type=tuple[Package, ...])


def sort_out(packages: tuple[Package, ...]) -> Program:
    """Judge the packages: only those outside the standard library decide whether C is needed.

    The standard library's own cgo (net, os/user, runtime/cgo, plugin) has twins in Go.
    """
    foreign = [one for one in packages if not one.standard and one.reasons]
    named = tuple(one for one in packages if not one.dep_only and not one.for_test)
    return Program(
        with_c=tuple(foreign),
        mains=tuple(one for one in named if one.name == "main" and one.go_files + one.cgo_files),
        named=named,
        needs=tuple(
            Need(
                package=one.import_path,
                module=f"{one.module.path} {one.module.version}".strip() if one.module else "",
                reasons=one.reasons,
            )
            for one in foreign
        ),
        std_cgo=tuple(one.import_path for one in packages if one.standard and one.cgo_files),
        wants_cxx=any(one.is_cxx for one in foreign),
        wants_fortran=any(one.f_files for one in foreign),
        pkg_config=tuple(sorted({word for one in foreign for word in one.cgo_pkg_config})),
        replaced=_replacements(packages),
    )


def executable_name(package: Package) -> str:
    """The name that `go build` gives to a command (`go help build`; load.DefaultExecName).

    The last element of the import path, or the one before it where the last is a major version;
    for files named on the command line, the first of them.
    """
    if package.import_path == "command-line-arguments":
        files = package.go_files + package.cgo_files
        return Path(files[0]).name.removesuffix(".go") if files else "main"
    *before, last = package.import_path.split("/")
    is_version = last[:1] == "v" and last[1:].isdigit() and last not in {"v0", "v1"}
    return before[-1] if before and is_version else last


def _replacements(packages: tuple[Package, ...]) -> tuple[str, ...]:
    found = {}
    for one in packages:
        if one.module and (new := one.module.replace):
            found[one.module.path] = f"{one.module.path} => {new.path} {new.version}".strip()
    return tuple(found[path] for path in sorted(found))


def _count(kind: str, files: tuple[str, ...]) -> str:
    shown = ", ".join(files[:3]) + (" ..." if len(files) > 3 else "")
    return f"{kind} ({shown})"


def _plan_hint(text: str) -> str:
    if "go.mod file not found" in text or "cannot find main module" in text:
        return "run it inside a module, name its folder with -C DIR, or name PKG@VERSION"
    if "no required module provides" in text or "missing go.sum entry" in text:
        return "`go mod tidy` in the module, or `go get` the package"
    if "build constraints exclude all Go files" in text:
        return "the package has no files for this target and these tags"
    known = symptoms.recognise(text)
    return known.say() if known else _ASK_GO
