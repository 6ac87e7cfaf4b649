"""The story of a toolchain: sources, host compiler, stages, self-check, publication."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gotoolforge import fetch, run, sources, store
from gotoolforge.beside import meanwhile, side_by_side
from gotoolforge.console import Console
from gotoolforge.distro import install_command
from gotoolforge.errors import ToolchainError
from gotoolforge.fetch import Fetched
from gotoolforge.forge import manifest, probe
from gotoolforge.forge.host import ensure_compiler, ensure_libraries, worker_for, workshop
from gotoolforge.forge.identity import (
    as_toolchain,
    host_compiler,
    load_components,
    toolchain_digest,
    toolchain_dir,
)
from gotoolforge.forge.jobserver import JobServer, affordable_jobs
from gotoolforge.forge.manifest import Component, Manifest, Patch
from gotoolforge.forge.pace import remember_pace
from gotoolforge.forge.recipe import LANGUAGES, ForgeRecipe, compiled_by, load_recipe
from gotoolforge.forge.sharing import family, uses_ccache
from gotoolforge.forge.stages import target_stages
from gotoolforge.forge.work import Timing
from gotoolforge.target import Target, default_target

_LIBRARIES = ("gmp", "mpfr", "mpc")
# What the stages call besides the host compiler; all but make are POSIX.
_TOOLS = ("make", "sed", "awk", "grep", "find", "sort", "tr", "cmp", "diff", "ln", "install")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be forged, and how: as many targets as share the machine at once.

    `forge` is the recipe, if it is not the house's own; `ccache` puts that program before the host
    compiler, by default where the machine has it and two of the targets are of one family.
    """

    targets: tuple[Target, ...]
    languages: tuple[str, ...]
    offline: bool = False
    keep: bool = False
    given: tuple[Path, ...] = ()
    forge: ForgeRecipe | None = None
    ccache: bool | None = None

    @property
    def launcher(self) -> str:
        """What is run in front of the host compiler."""
        return "ccache" if self.ccache else ""


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    forge: ForgeRecipe
    trees: dict[str, Path]
    fetched: dict[str, Fetched]
    host: Path
    before_gcc: Callable[[], None]
    target: Target
    digest: str
    order: Order

    @property
    def label(self) -> str:
        return f"{self.target.name}-{store.short(self.digest)}"


def forge_toolchains(order: Order, console: Console) -> tuple[Path, ...]:
    """Forge the toolchain of every target that the store does not hold; where each lies.

    Raises ToolchainError for a missing tool, a stage that fails or a self-check that does not pass
    (of several targets, when the others are done), FetchError, StoreError. What was done stays, and
    the same call goes on from there.
    """
    forge = order.forge or load_recipe()
    digests = [toolchain_digest(forge, one, order.languages) for one in order.targets]
    jobs = tuple(zip(order.targets, digests, strict=True))
    missing = [job for job in jobs if not is_forged(toolchain_dir(*job))]
    if missing:
        _require_tools((*_TOOLS, "ccache") if order.ccache else _TOOLS)
        shared = uses_ccache(order.ccache, [target for target, _ in missing], console)
        order = msgspec.structs.replace(order, ccache=shared)
        tools = _tools_before_gcc(order, forge, console)
        fetched = fetch_components(forge, console, offline=order.offline, given=order.given)
        _forge_missing(order, forge, fetched, missing, tools, console)
    return tuple(toolchain_dir(*job) for job in jobs)


def _forge_missing(
    order: Order,
    forge: ForgeRecipe,
    fetched: dict[str, Fetched],
    missing: list[tuple[Target, str]],
    tools: str,
    console: Console,
) -> None:
    """Forge those that the store does not hold, each thing as soon as there is what it needs."""
    trees = {
        one.name: {
            name: sources.tree_path(file.source, forge.changes(name, one))
            for name, file in fetched.items()
        }
        for one, _ in missing
    }
    any_trees = trees[missing[0][0].name]

    def unpack(*names: str) -> None:
        for name in names:
            for target, _ in missing:
                sources.ensure_tree(fetched[name], console, forge.changes(name, target))

    def make_compiler() -> Path:
        if forge.host.compiler == "zig":
            unpack(forge.host.source)
        shared = [any_trees[name] for name in _LIBRARIES]
        said = console.labelled("host compiler")
        return ensure_compiler(forge, any_trees[forge.host.source], shared, tools, said)

    def make_libraries() -> None:
        unpack(*_LIBRARIES)
        said = console.labelled("host libraries")
        ensure_libraries(forge, compiler(), any_trees, pool, said, launcher=order.launcher)

    with (
        JobServer(affordable_jobs()) as pool,
        # binutils needs neither the others' trees, of which GCC's takes longest, nor the libraries.
        meanwhile(lambda: unpack("gcc", *forge.sources)) as all_trees,
        meanwhile(make_compiler) as compiler,
        meanwhile(make_libraries) as libraries,
    ):

        def before_gcc() -> None:
            all_trees()
            libraries()

        unpack("binutils")
        jobs = tuple(
            _Job(forge=forge, trees=trees[target.name], fetched=fetched, host=compiler(),
                 before_gcc=before_gcc, target=target, digest=digest, order=order)
            for target, digest in missing
        )  # fmt: skip
        _forge_side_by_side(jobs, pool, console)


def _forge_side_by_side(jobs: tuple[_Job, ...], pool: JobServer, console: Console) -> None:
    """Two at a time: while one configures, which is one process after another, or links cc1, the
    other compiles. The pool keeps their jobs within the machine's. With ccache those of one family
    go one after another, since it knows only what is finished."""
    failed: list[ToolchainError] = []

    def in_turn(some: tuple[_Job, ...]) -> None:
        for job in some:
            said = console.labelled(job.target.name) if len(jobs) > 1 else console
            try:
                _forge_one(job, pool, said)
            except ToolchainError as error:
                failed.append(error)

    families: dict[str, tuple[_Job, ...]] = {}
    for job in jobs:
        name = family(job.target) if job.order.ccache else job.target.name
        families[name] = (*families.get(name, ()), job)
    side_by_side(tuple(families.values()), in_turn)
    if failed:
        raise _of_all(failed, len(jobs))


def _of_all(failed: list[ToolchainError], targets: int) -> ToolchainError:
    """One error for what went wrong with some of the targets; the others were forged."""
    if targets == 1:
        return failed[0]
    # What they share, gmp for one, fails for each of them.
    reasons = dict.fromkeys(one.what for one in failed)
    what = "\n".join([*reasons, f"{len(failed)} of {targets} targets failed"])
    return ToolchainError(what, hint=failed[0].hint, log=failed[0].log)


def _tools_before_gcc(order: Order, forge: ForgeRecipe, console: Console) -> str:
    """What stands before `gcc` in the host compiler's name; a forged one is forged first."""
    if forge.host.compiler != "forged":
        return ""
    native = default_target()
    first = msgspec.structs.replace(order, targets=(native,), languages=LANGUAGES,
                                    forge=compiled_by(forge, "zig"))  # fmt: skip
    return f"{forge_toolchains(first, console)[0]}/bin/{native.triple}-"


def is_forged(prefix: Path) -> bool:
    """Whether a finished toolchain lies there."""
    return (prefix / manifest.NAME).is_file()


def fetch_components(
    forge: ForgeRecipe,
    console: Console,
    *,
    offline: bool,
    given: tuple[Path, ...] = (),
    host: str = "",
) -> dict[str, Fetched]:
    """Every component's file in the store, by name; for another `host` if one is named.

    `given` are folders and bundles to take files from first. Raises FetchError.
    """
    pinned = load_components(forge, host)
    fetched = fetch.fetch_all(pinned.values(), console, offline=offline, given=given)
    return dict(zip(pinned, fetched, strict=True))


def _forge_one(job: _Job, pool: JobServer, console: Console) -> None:
    final = toolchain_dir(job.target, job.digest)
    with store.locked(f"forge-{job.label}", waiting=console.say):
        if is_forged(final):
            return
        shop = workshop(job.forge, job.trees, job.label, job.host, job.order.launcher)
        store.ensure_dir(shop.out / job.target.triple)
        worker = worker_for(job.forge, shop.work, f"forge-{job.label}", pool, console)
        stages = target_stages(job.forge, shop, job.target, job.order.languages)
        timings = worker.do_all(stages, job.target.name, waits={"xgcc": job.before_gcc})
        with (
            store.scratch_dir() as scratch,
            console.step(f"{job.target.name}: self-check", long=True),
        ):
            made = as_toolchain(shop.out, job.target, job.digest, job.order.languages)
            probe.check_toolchain(made, job.target, scratch, console)
        manifest.write_all(shop.out, _describe(job, timings))
        if final.exists():
            shutil.rmtree(final)
        store.publish(shop.out, final)
        remember_pace(timings)
        if not job.order.keep:
            shutil.rmtree(shop.work, ignore_errors=True)
    console.say(f"{job.target.name}: forged in {final}")
    if host_compiler(job.forge).libc != "musl":
        console.warn("its own programs hold a static glibc, which is a fallback: zig's hold musl")


def _describe(job: _Job, timings: dict[str, Timing]) -> Manifest:
    components = []
    for name, one in job.fetched.items():
        patches = tuple(
            Patch(file=f"{path.parent.name}/{path.name}", sha256=store.file_sha256(path))
            for path in job.forge.patch_files(name, job.target)
        )
        components.append(
            Component(name=name, version=one.source.version, licence=one.source.licence,
                      file=one.form.file, sha256=one.form.sha256, patches=patches)
        )  # fmt: skip
    compiler = host_compiler(job.forge)
    return Manifest(
        target=job.target.name,
        triple=job.target.triple,
        digest=job.digest,
        languages=job.order.languages,
        host=compiler.triple,
        host_compiler=compiler.name,
        host_words=compiler.words,
        components=tuple(components),
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds={name: one.seconds for name, one in timings.items()},
        cpu_seconds={name: one.cpu for name, one in timings.items()},
    )


def _require_tools(tools: tuple[str, ...]) -> None:
    if odd := re.search(r"[\s#:'\"$\\]", str(store.place())):
        what = (
            f"{store.place()}: configure and make cannot work below a folder with {odd[0]!r} in it"
        )
        raise ToolchainError(what, hint="set GOTOOLFORGE_CACHE to a folder with a plain name")
    missing = [one for one in tools if run.find_program(one) is None]
    if missing:
        what = f"forging needs {', '.join(missing)}, which this machine does not have"
        packages = " ".join("make" if one == "make" else one for one in missing)
        raise ToolchainError(what, hint=install_command(packages))
