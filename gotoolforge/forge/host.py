"""The host compiler, and the libraries made with it: shared by all toolchains of a store."""

import shutil
from pathlib import Path

import msgspec

from gotoolforge import store
from gotoolforge.console import Console
from gotoolforge.forge.host_gcc import prepare_gcc
from gotoolforge.forge.host_zig import prepare_zig
from gotoolforge.forge.identity import host_compiler
from gotoolforge.forge.jobserver import JobServer
from gotoolforge.forge.pace import remember_pace, remembered_pace
from gotoolforge.forge.recipe import ForgeRecipe
from gotoolforge.forge.stages import library_stages
from gotoolforge.forge.work import Worker
from gotoolforge.forge.workshop import Workshop
from gotoolforge.forge.wrapping import share_scripts, wrap

# Raised when the scripts around the compiler change, so that a store has them made anew.
_SCRIPTS = b"3\n"


def ensure_compiler(
    forge: ForgeRecipe, pinned: Path, shared: list[Path], tools: str, console: Console
) -> Path:
    """The host compiler, which all targets share: a folder with bin/ and lib/.

    `pinned` is the unpacked package of the host's source, `shared` are the trees of what will be
    made with it, and `tools` stands before `gcc` in the name of a compiler that is no package.
    Raises ToolchainError.
    """
    compiler = host_compiler(forge)
    libraries = msgspec.to_builtins(forge.libraries)
    trees = [one.name for one in (pinned, *shared)]
    value = [forge.format, forge.host.decides(), libraries, compiler.identity, trees]
    # Its name ends up in `gcc -v`, so only what decides what is made may be in it.
    host = store.place("forge", "host", store.short(store.digest_of(value)))
    share_scripts(host)
    ready = host / "compiler"
    with store.locked(f"forge-host-{host.name}", waiting=console.say):
        if not ready.is_file() or ready.read_bytes() != _SCRIPTS:
            with console.step(f"host compiler: {compiler.words}", long=True):
                if compiler.name == "zig":
                    prepare_zig(pinned / "zig", compiler.triple, host)
                else:
                    prepare_gcc(tools, host)
            for name in ("host-cc", "host-c++"):
                wrap(host / "ccache" / name, ("ccache", str(host / "bin" / name)))
            store.write_atomically(ready, _SCRIPTS)
    return host


def ensure_libraries(
    forge: ForgeRecipe,
    host: Path,
    trees: dict[str, Path],
    pool: JobServer,
    console: Console,
    *,
    launcher: str = "",
) -> None:
    """gmp, mpfr and mpc in the folder of the host compiler that makes them.

    `trees` are the unpacked sources by component. Raises ToolchainError.
    """
    ready = host / "ready"
    if ready.is_file():
        return
    with store.locked(f"forge-host-{host.name}", waiting=console.say):
        if ready.is_file():
            return
        shop = workshop(forge, trees, f"host-{host.name}", host, launcher)
        worker = worker_for(forge, shop.work, f"forge-host-{host.name}", pool, console)
        timings = worker.do_all(library_stages(forge, shop), "host libraries")
        remember_pace(timings)
        store.write_atomically(ready, b"")
        shutil.rmtree(shop.work, ignore_errors=True)


def workshop(
    forge: ForgeRecipe, trees: dict[str, Path], label: str, host: Path, launcher: str
) -> Workshop:
    """Where the work called `label` is done, with the host compiler in the folder `host`."""
    compiler = host_compiler(forge)
    shop = Workshop(
        root=store.place("forge"),
        work=store.place("forge", "work", label),
        host=host,
        sources=trees,
        host_triple=compiler.triple,
        compiler_type="clang" if compiler.name == "zig" else "gcc",
        launcher=launcher,
    )
    store.ensure_dir(shop.answers)
    return shop


def worker_for(
    forge: ForgeRecipe, work: Path, name: str, pool: JobServer, console: Console
) -> Worker:
    """Who does it, with the jobs of `pool`; the logs are called `name`."""
    pace = {**forge.pace, **remembered_pace()}
    return Worker(work=work, logs=store.place("logs", name), console=console, jobs=pool, pace=pace)
