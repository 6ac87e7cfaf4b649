"""The self-check of a toolchain before it is published: programs compiled, linked, judged and run.

The programs and the ways to compile them are data: `recipes/probes.toml`. The last one is Go's and
C's, compiled as `build` would.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gotoolforge import emulator, paths, run, store
from gotoolforge.beside import meanwhile, side_by_side
from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.console import Console
from gotoolforge.elf import read_elf
from gotoolforge.errors import EmulatorError, GoError, TargetError, ToolchainError
from gotoolforge.gobuild import DriverOptions, compute
from gotoolforge.goflags import GoFlags
from gotoolforge.gosdk import find_go, require_target
from gotoolforge.run import Answer, Command
from gotoolforge.tables import Row, load_table
from gotoolforge.target import Target

_CGO = "cgo.go"


class Probe(Row, frozen=True):
    """One program: its file below recipes/probes, and what it shows."""

    file: str
    why: str
    language: str = "c"
    flags: tuple[str, ...] = ()


class Probes(Row, frozen=True):
    """`recipes/probes.toml`: every program is compiled in every one of these ways."""

    optimise: tuple[str, ...]
    link: tuple[tuple[str, ...], ...]
    probe: tuple[Probe, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One program in one way; `problem` is empty where all went well."""

    probe: str
    flags: tuple[str, ...]
    problem: str = ""


def load_probes() -> Probes:
    """The table of probes."""
    return load_table(paths.recipes_dir() / "probes.toml", Probes)


def check_toolchain(
    toolchain: Toolchain, target: Target, scratch: Path, console: Console
) -> tuple[Outcome, ...]:
    """Compile and run every probe with the toolchain; what came of each.

    Foreign programs run under qemu-user; without one they are compiled and judged only, and that is
    said, as it is where no Go is at hand. The toolchain's own programs have to be static. Raises
    ToolchainError, naming the probes, if one fails.
    """
    table, prefix = load_probes(), toolchain.prefix
    languages = ("c", "c++") if toolchain.cxx else ("c",)
    try:
        runner: tuple[str, ...] | None = emulator.runner(target)
    except EmulatorError as error:
        runner = None
        console.warn(f"the probes are compiled but not run: {error.what} ({error.hint})")
    ways = tuple(
        (probe, (optimise, *link, *probe.flags))
        for probe in table.probe
        if probe.language in languages
        for optimise in table.optimise
        for link in table.link
    )

    def one(way: tuple[Probe, tuple[str, ...]]) -> Outcome:
        probe, flags = way
        name = f"{probe.file}{'-'.join(flags)}".replace("/", "_")
        problem = _try(prefix, target, probe, flags, scratch / name, runner)
        return Outcome(probe=probe.file, flags=flags, problem=problem)

    with meanwhile(lambda: [*_try_cgo(toolchain, target, scratch, runner, console)]) as cgo:
        outcomes = side_by_side(ways, one)
    outcomes = (*outcomes, *cgo())
    bad = [f"  {one.probe} {' '.join(one.flags)}: {one.problem}" for one in outcomes if one.problem]
    bad += [f"  {path.relative_to(prefix)}: {why}" for path, why in _bound_programs(prefix)]
    if bad:
        what = f"the toolchain for {target.name} failed its self-check:\n" + "\n".join(bad)
        raise ToolchainError(what, hint="it is not published; please report this with the log")
    return outcomes


def _try_cgo(
    toolchain: Toolchain,
    target: Target,
    scratch: Path,
    runner: tuple[str, ...] | None,
    console: Console,
) -> Iterator[Outcome]:
    try:
        sdk = find_go(scratch, console, offline=True)
        require_target(sdk, target, cgo=True)
    except (GoError, TargetError) as error:
        console.warn(f"no cgo program was tried: {error.what.splitlines()[0]}")
        return
    # The cache that `build` will use: what is compiled of Go's own library is ready then.
    gocache = store.place("gocache", store.short(toolchain.digest))
    command = compute(target, toolchain, GoFlags(), DriverOptions(), gocache=gocache)
    made = scratch / "cgo"
    argv = (str(sdk.binary), "build", *command.flags, "-o", str(made),
            str(paths.recipes_dir() / "probes" / _CGO))  # fmt: skip
    env = {**command.env, "GOWORK": "off", "GOTOOLCHAIN": "local"}
    answer = run.ask(Command(argv=argv, cwd=scratch, env=env))
    problem = _judge(made, target, runner) if answer.code == 0 else _uncompiled(answer)
    yield Outcome(probe=_CGO, flags=(), problem=problem)


def _bound_programs(prefix: Path) -> Iterator[tuple[Path, str]]:
    """The toolchain's own programs that would not run on every distribution, and why."""
    for path in (*prefix.glob("bin/*"), *prefix.glob("libexec/**/*")):
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as program:
            if program.read(4) != b"\x7fELF":
                continue
        facts = read_elf(path)
        if facts.interpreter or facts.needed:
            yield path, f"is not static: it needs {facts.interpreter or ', '.join(facts.needed)}"


def _try(
    prefix: Path,
    target: Target,
    probe: Probe,
    flags: tuple[str, ...],
    made: Path,
    runner: tuple[str, ...] | None,
) -> str:
    """What is wrong with one program compiled in one way, or nothing."""
    driver = "g++" if probe.language == "c++" else "gcc"
    source = paths.recipes_dir() / "probes" / probe.file
    libraries = [flag for flag in flags if flag.startswith("-l")]
    words = [flag for flag in flags if flag not in libraries]
    argv = (str(prefix / "bin" / f"{target.triple}-{driver}"), *words, str(source), "-o", str(made),
            *libraries, "-lm")  # fmt: skip
    answer = run.ask(Command(argv=argv))
    if answer.code:
        return _uncompiled(answer)
    return _judge(made, target, runner, pie="-static-pie" in flags)


def _uncompiled(answer: Answer) -> str:
    return f"does not compile: {answer.err.strip()[-600:]}"


def _judge(made: Path, target: Target, runner: tuple[str, ...] | None, *, pie: bool = False) -> str:
    """What is wrong with a compiled program, or with what it says when it runs; or nothing."""
    facts = read_elf(made)
    if facts.interpreter or facts.needed:
        return f"is not static: it needs {facts.interpreter or ', '.join(facts.needed)}"
    if (facts.type == "DYN") != pie:
        return f"is {facts.type}, which these flags do not ask for"
    want = target.elf
    if (facts.machine, facts.bits, facts.order) != (want.machine, want.bits, want.order):
        return f"is for {facts.machine}"
    if runner is None:
        return ""
    answer = run.ask(Command(argv=(*runner, str(made))))
    if answer.code or answer.out != "ok\n":
        return f"ran and ended with {answer.code}: {(answer.out + answer.err).strip()[-300:]}"
    return ""
