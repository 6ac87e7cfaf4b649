"""The story of a toolchain: sources, host compiler, stages, self-check, publication."""

import re
import shutil
import time
from pathlib import Path

import msgspec

from gotoolforge import fetch, jsontext, run, sources, store
from gotoolforge.beside import side_by_side
from gotoolforge.console import Console
from gotoolforge.distro import install_command
from gotoolforge.errors import StoreError, ToolchainError
from gotoolforge.fetch import Fetched
from gotoolforge.forge import manifest, probe
from gotoolforge.forge.host import prepare_host, share_answers
from gotoolforge.forge.jobserver import JobServer, affordable_jobs
from gotoolforge.forge.manifest import Component, Manifest, Patch
from gotoolforge.forge.recipe import (
    ForgeRecipe,
    Pace,
    host_triple,
    load_components,
    load_recipe,
    toolchain_digest,
    toolchain_dir,
)
from gotoolforge.forge.stages import library_stages, target_stages
from gotoolforge.forge.work import Timing, Worker
from gotoolforge.forge.workshop import Workshop
from gotoolforge.target import Target

# What the stages call besides the host compiler; all but make are POSIX.
_TOOLS = ("make", "sed", "awk", "grep", "find", "sort", "tr", "cmp", "diff", "ln", "install")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be forged, and how: as many targets as share the machine at once.

    `forge` is the recipe, if it is not the house's own; `ccache` puts that program before the host
    compiler.
    """

    targets: tuple[Target, ...]
    languages: tuple[str, ...]
    offline: bool = False
    keep: bool = False
    given: tuple[Path, ...] = ()
    forge: ForgeRecipe | None = None
    ccache: bool = False

    @property
    def launcher(self) -> str:
        """What is run in front of the host compiler."""
        return "ccache" if self.ccache else ""


def forge_toolchains(order: Order, console: Console) -> tuple[Path, ...]:
    """Forge the toolchain of every target that the store does not hold; where each lies.

    Raises ToolchainError for a missing tool, a stage that fails or a self-check that does not pass,
    FetchError, StoreError. What was done stays, and the same call goes on from there.
    """
    forge = order.forge or load_recipe()
    digests = [toolchain_digest(forge, one, order.languages) for one in order.targets]
    jobs = tuple(zip(order.targets, digests, strict=True))
    missing = [job for job in jobs if not is_forged(toolchain_dir(*job))]
    if missing:
        _require_tools((*_TOOLS, "ccache") if order.ccache else _TOOLS)
        fetched = fetch_components(forge, console, offline=order.offline, given=order.given)
        trees = {one.name: _unpack(forge, fetched, one, console) for one, _ in missing}
        with JobServer(affordable_jobs()) as pool:
            any_trees = trees[missing[0][0].name]
            host = ensure_host(forge, any_trees, pool, console, launcher=order.launcher)
            jobs_left = tuple(
                _Job(forge=forge, trees=trees[target.name], fetched=fetched, host=host,
                     target=target, digest=digest, order=order)
                for target, digest in missing
            )  # fmt: skip

            def one(job: _Job) -> None:
                said = console.labelled(job.target.name) if len(jobs_left) > 1 else console
                _forge_one(job, pool, said)

            # Two at a time: while one configures, which is one process after another, or links
            # cc1, the other compiles. The pool keeps their jobs within the machine's.
            side_by_side(jobs_left, one)
    return tuple(toolchain_dir(*job) for job in jobs)


def expected_minutes() -> int:
    """How long a first forging takes here, by what this machine or the recipe's took."""
    pace = {**load_recipe().pace, **_remembered_pace()}
    return max(1, round(sum(one.seconds for one in pace.values()) / 60))


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


def _unpack(
    forge: ForgeRecipe, fetched: dict[str, Fetched], target: Target, console: Console
) -> dict[str, Path]:
    """The patched trees of a target's toolchain, by component; most are shared with others."""
    return {
        name: sources.ensure_tree(
            one, console, patches=forge.patch_files(name, target), skip=forge.skip.get(name, ())
        )
        for name, one in fetched.items()
    }


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    forge: ForgeRecipe
    trees: dict[str, Path]
    fetched: dict[str, Fetched]
    host: Path
    target: Target
    digest: str
    order: Order

    @property
    def label(self) -> str:
        return f"{self.target.name}-{store.short(self.digest)}"


def _forge_one(job: _Job, pool: JobServer, console: Console) -> None:
    final = toolchain_dir(job.target, job.digest)
    with store.locked(f"forge-{job.label}", waiting=console.say):
        if is_forged(final):
            return
        shop = _workshop(
            job.trees, store.place("forge", "work", job.label), job.host, job.order.launcher
        )
        store.ensure_dir(shop.out / job.target.triple)
        worker = _worker(job.forge, shop.work, f"forge-{job.label}", pool, console)
        stages = target_stages(job.forge, shop, job.target, job.order.languages)
        timings = worker.do_all(stages, job.target.name)
        with (
            store.scratch_dir() as scratch,
            console.step(f"{job.target.name}: self-check", long=True),
        ):
            probe.check_toolchain(shop.out, job.target, job.order.languages, scratch, console)
        manifest.write_all(shop.out, _describe(job, timings))
        if final.exists():
            shutil.rmtree(final)
        store.publish(shop.out, final)
        _remember_pace(timings)
        if not job.order.keep:
            shutil.rmtree(shop.work, ignore_errors=True)
    console.say(f"{job.target.name}: forged in {final}")


def ensure_host(
    forge: ForgeRecipe,
    trees: dict[str, Path],
    pool: JobServer,
    console: Console,
    *,
    launcher: str = "",
) -> Path:
    """The host compiler, and gmp, mpfr and mpc made with it: shared by every target.

    `trees` are the unpacked sources by component. Its folder has bin/ and lib/.
    """
    triple = host_triple()
    names = (forge.host.source, "gmp", "mpfr", "mpc")
    value = [forge.format, msgspec.to_builtins(forge.host), msgspec.to_builtins(forge.libraries),
             triple, [trees[name].name for name in names]]  # fmt: skip
    # Its name ends up in `gcc -v`, so only what decides what is made may be in it.
    host = store.place("forge", "host", store.short(store.digest_of(value)))
    share_answers(host)
    ready = host / "ready"
    if ready.is_file():
        return host
    with store.locked(f"forge-host-{host.name}", waiting=console.say):
        if ready.is_file():
            return host
        with console.step("host compiler: libc and libc++", long=True):
            prepare_host(trees[forge.host.source] / "zig", triple, host)
        shop = _workshop(trees, store.place("forge", "work", f"host-{host.name}"), host, launcher)
        worker = _worker(forge, shop.work, f"forge-host-{host.name}", pool, console)
        timings = worker.do_all(library_stages(forge, shop), "host libraries")
        _remember_pace(timings)
        store.write_atomically(ready, b"")
        shutil.rmtree(shop.work, ignore_errors=True)
    return host


def _workshop(trees: dict[str, Path], work: Path, host: Path, launcher: str) -> Workshop:
    shop = Workshop(
        root=store.place("forge"),
        work=work,
        host=host,
        sources=trees,
        host_triple=host_triple(),
        launcher=launcher,
    )
    store.ensure_dir(shop.answers)
    return shop


def _worker(forge: ForgeRecipe, work: Path, name: str, pool: JobServer, console: Console) -> Worker:
    pace = {**forge.pace, **_remembered_pace()}
    return Worker(work=work, logs=store.place("logs", name), console=console, jobs=pool, pace=pace)


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
    return Manifest(
        target=job.target.name,
        triple=job.target.triple,
        digest=job.digest,
        languages=job.order.languages,
        host=host_triple(),
        components=tuple(components),
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds={name: one.seconds for name, one in timings.items()},
        cpu_seconds={name: one.cpu for name, one in timings.items()},
    )


def _pace_file() -> Path:
    return store.place("forge", "pace.json")


def _remembered_pace() -> dict[str, Pace]:
    try:
        return msgspec.json.decode(_pace_file().read_bytes(), type=dict[str, Pace])
    except (OSError, msgspec.DecodeError):
        return {}


def _remember_pace(timings: dict[str, Timing]) -> None:
    known = _remembered_pace()
    known |= {
        name: Pace(seconds=one.seconds, lines=one.lines)
        for name, one in timings.items()
        if one.whole
    }
    try:
        store.write_atomically(_pace_file(), jsontext.compact(known))
    except OSError as error:
        what = f"cannot write {_pace_file()}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error


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
