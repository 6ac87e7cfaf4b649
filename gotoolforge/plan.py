"""What a build would do, and why: everything that is decided before anything runs."""

from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import cgo, compilers, gobuild, goflags, gosdk, pkgconfig, store
from gotoolforge.beside import side_by_side
from gotoolforge.cgo import Program
from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.console import Console
from gotoolforge.errors import RefusedError, ToolchainError
from gotoolforge.gobuild import DriverOptions, GoCommand
from gotoolforge.goflags import GoFlags
from gotoolforge.gosdk import GoSdk
from gotoolforge.prebuilt import find_linked
from gotoolforge.run import Command
from gotoolforge.target import Target

CgoMode = Literal["auto", "on", "off"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for, with defaults, file, environment and flags already joined.

    `cwd` is where the go command runs, `out_dir` what a relative -o is relative to; they differ
    for PKG@VERSION, which is built in a module of its own. `overlay` has the last word on the
    environment of `go build`.
    """

    targets: tuple[Target, ...]
    patterns: tuple[str, ...] = (".",)
    cwd: Path
    out_dir: Path
    sdk: GoSdk
    flags: GoFlags
    family: str
    cgo: CgoMode = "auto"
    driver: DriverOptions = DriverOptions()
    output: str | None = None
    policy: str = "no-host-libc"
    provenance: bool = True
    allow_toolexec: bool = False
    offline: bool = False
    tests: bool = False
    overlay: dict[str, str | None] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One target's part of a build, as values."""

    target: Target
    program: Program
    toolchain: Toolchain | None
    command: GoCommand
    reason: str
    warnings: tuple[str, ...] = ()

    def environment(self) -> dict[str, str | None]:
        """What is laid over the caller's environment for the go command."""
        return self.command.env


def make_plan(request: Request, target: Target, console: Console) -> Plan:
    """Decide for one target whether C is needed, by which compiler, and with what flags.

    Raises PlanError, GoError, TargetError, ToolchainError or RefusedError before anything is made.
    """
    goflags.refuse_impossible(request.flags, allow_toolexec=request.allow_toolexec)
    pie = gobuild.wants_pie(request.flags, request.driver)
    if pie and request.cgo == "off":
        what = "--pie needs a C toolchain: a pie that Go links itself keeps an interpreter"
        raise RefusedError(what, hint="leave --cgo off out, or --pie")
    program = cgo.load_program(_list_command(request, target))
    use_c, reason = _decide(request, program, pie=pie)
    gosdk.require_target(request.sdk, target, cgo=use_c)
    if not use_c:
        command = gobuild.compute(target, None, request.flags, request.driver)
        warnings = (*_loader_warnings(program), *_stub_warnings(program))
        return Plan(target=target, program=program, toolchain=None, command=command,
                    reason=reason, warnings=warnings)  # fmt: skip
    toolchain = ensure_toolchain(request, target, console)
    _require_languages(toolchain, program)
    command = _with_pkg_config(c_command(request, target, toolchain), program)
    warnings = (*_loader_warnings(program), *_prebuilt_warnings(request, program))
    return Plan(target=target, program=program, toolchain=toolchain, command=command,
                reason=reason, warnings=warnings)  # fmt: skip


def make_plans(request: Request, console: Console) -> tuple[Plan, ...]:
    """A plan for each target, in the order asked for; all of them before anything is built."""
    plans = side_by_side(request.targets, lambda target: make_plan(request, target, console))
    for warning in dict.fromkeys(line for plan in plans for line in plan.warnings):
        console.warn(warning)
    replaced = dict.fromkeys(line for plan in plans for line in plan.program.replaced)
    for line in replaced:
        console.say(f"replaced: {line}")
    return plans


def ensure_toolchain(request: Request, target: Target, console: Console) -> Toolchain:
    """The toolchain of the chosen family, made if absent."""
    module = compilers.family_module(request.family)
    found: Toolchain = module.ensure_toolchain(target, console, offline=request.offline)
    return found


def c_command(request: Request, target: Target, toolchain: Toolchain) -> GoCommand:
    """The go command's environment and flags for a build with C."""
    # Go keys C objects on the compiler, not on the sysroot behind it (golang/go#40042): so each
    # toolchain has a build cache of its own.
    gocache = store.place("gocache", store.short(toolchain.digest))
    return gobuild.compute(target, toolchain, request.flags, request.driver, gocache=gocache)


def go_words(request: Request, plan: Plan, verb: str) -> tuple[str, ...]:
    """`go build` and its flags, without output and packages."""
    return (str(request.sdk.binary), verb, *plan.command.flags)


def _list_command(request: Request, target: Target) -> Command:
    tags = gobuild.tags(request.flags, request.driver)
    flags = (*request.flags.loading(), f"-tags={','.join(tags)}")
    argv = cgo.list_command(request.sdk, request.patterns, flags, tests=request.tests)
    # cgo on, to see what the program has; what it asks of a compiler is not run here.
    env = {**target.environment, "CGO_ENABLED": "1"}
    env["GOFLAGS"] = goflags.goflags_without(request.flags.from_env, ("tags", "toolexec"))
    return Command(argv=argv, env=env, cwd=request.cwd)


def _decide(request: Request, program: Program, *, pie: bool) -> tuple[bool, str]:
    if request.cgo == "off":
        return False, "--cgo off"
    if request.cgo == "on":
        return True, "--cgo on"
    if program.needs:
        names = ", ".join(need.package for need in program.needs)
        return True, f"needs C: {names}"
    if request.driver.resolver == "musl" and program.std_cgo:
        return True, "--resolver musl asks libc for names"
    if pie:
        return True, "--pie is linked by the C toolchain"
    return False, "no package outside the standard library needs C"


def _stub_warnings(program: Program) -> tuple[str, ...]:
    return tuple(
        f"{need.package} needs C ({'; '.join(need.reasons)}); without cgo it is left out or "
        "stubbed, and may fail only when it runs"
        for need in program.needs
    )


def _loader_warnings(program: Program) -> tuple[str, ...]:
    if "plugin" not in program.std_cgo:
        return ()
    return ("it imports plugin: a static program has no loader, so plugin.Open always fails",)


def _prebuilt_warnings(request: Request, program: Program) -> tuple[str, ...]:
    folders = tuple(one / "lib" for one in request.driver.with_prefix)
    return tuple(one.say() for one in find_linked(program.with_c, folders))


def _require_languages(toolchain: Toolchain, program: Program) -> None:
    if program.wants_cxx and toolchain.cxx is None:
        who = ", ".join(need.package for need in program.needs)
        what = f"the {toolchain.family} family compiles C only, and {who} needs C++"
        raise ToolchainError(what, hint="use a family with C++: --toolchain zig or imported")
    if program.wants_fortran and toolchain.fortran is None:
        what = f"the {toolchain.family} family has no Fortran compiler, and this program needs one"
        raise ToolchainError(what, hint="import a toolchain that has gfortran")


def _with_pkg_config(command: GoCommand, program: Program) -> GoCommand:
    if not program.pkg_config:
        return command
    wrapper = pkgconfig.ensure_wrapper(program.pkg_config, command.env)
    return GoCommand(env={**command.env, "PKG_CONFIG": str(wrapper)}, flags=command.flags)
