"""The `system` family: musl, from source and checked, around the machine's own GCC. C only.

For a foreign target it is the distribution's cross GCC. The compiler is driven by a specs file of
ours, so that a link finds musl's start files and libc.a and cannot leave an interpreter behind
(which the distributions' musl-gcc does).
"""

import os
import re
import shutil
from pathlib import Path

from gotoolforge import distro, fetch, paths, recipe, run, sources, store
from gotoolforge.compilers.toolchain import Toolchain, from_manifest, to_manifest
from gotoolforge.console import Console
from gotoolforge.errors import StoreError, ToolchainError
from gotoolforge.logged import run_logged
from gotoolforge.recipe import Source
from gotoolforge.run import Command
from gotoolforge.target import Target

_CFLAGS = "-O2 -g0 -fPIC -fno-stack-protector -U_FORTIFY_SOURCE"
# What C may include of the kernel; musl has its own scsi/.
_KERNEL_HEADERS = ("linux", "asm", "asm-generic", "mtd", "rdma", "sound", "video", "drm", "misc")

# *libgcc twice, since libgcc_eh and musl ask each other; the archive of ours comes last and is
# taken only for what neither has.
_SPECS = """\
*link:
-nostdlib %{{static-pie|pie:-static -pie --no-dynamic-linker --eh-frame-hdr -z text;:-static}}

*link_libgcc:
-L{lib} -L{gcc_lib}

*libgcc:
-lgcc -lgcc_eh

*startfile:
%{{static-pie|pie:{lib}/rcrt1.o;:{lib}/crt1.o}} {lib}/crti.o \
%{{static-pie|pie:crtbeginS.o%s;:crtbeginT.o%s}}

*endfile:
%{{static-pie|pie:crtendS.o%s;:crtend.o%s}} {lib}/crtn.o

*lib:
-lc

*link_gcc_c_sequence:
--start-group %G %L -lgotoolforge --end-group

"""

# Whatever is asked, the link is static; a pie that nobody asked for (GCC's own default on most
# distributions) is not made.
_DRIVER = """\
#!/bin/sh
mode=-static
for arg do case $arg in -pie|-static-pie) mode=-static-pie ;; esac; done
exec {command} $mode "$@"
"""


def find_gcc(target: Target) -> str | None:
    """The GCC that emits code for the target: the machine's own or the distribution's cross GCC."""
    if target.is_native:
        return run.find_program("gcc")
    return run.find_program(f"{target.distro_gcc}-gcc") if target.distro_gcc else None


def examine(target: Target) -> list[tuple[str, str]]:
    """What is missing for this target: pairs of what it is and the command that mends it."""
    if not target.is_native and not target.distro_gcc:
        return [(f"no distribution has a GCC for {target.name}", "use another compiler family")]
    missing = []
    if find_gcc(target) is None:
        name = "gcc" if target.is_native else f"gcc-{target.distro_gcc}"
        missing.append((f"{name} is not installed", distro.install_command(name)))
    if run.find_program("make") is None:
        missing.append(("make is not installed", distro.install_command("make")))
    return missing


def ensure_toolchain(target: Target, console: Console, *, offline: bool = False) -> Toolchain:
    """The toolchain for `target`; musl is fetched and built if it is not there (some 30 seconds).

    Raises ToolchainError for a missing compiler or a failed build, FetchError for a missing source.
    """
    if missing := examine(target):
        lacking = "; ".join(words for words, _ in missing)
        what = f"the system family cannot build for {target.name}: {lacking}"
        hint = "; ".join(mend for _, mend in missing)
        raise ToolchainError(what, hint=hint)
    gcc = find_gcc(target)
    assert gcc is not None
    musl = recipe.load_source("musl")
    version = f"musl {musl.version}, gcc {_said(gcc, '-dumpfullversion')}"
    digest = _digest(target, gcc, musl)
    prefix = store.place("toolchains", f"{target.name}-system-{store.short(digest)}")
    if not (prefix / "manifest.json").is_file():
        fetched = fetch.ensure_source(musl, console, offline=offline)
        changes = sources.Changes(patches=_patches(musl))
        source = sources.ensure_tree(fetched, console, changes)
        with store.locked(prefix.name):
            if not (prefix / "manifest.json").is_file():
                with console.step(f"build musl {musl.version} for {target.name}", long=True):
                    _make(_toolchain(target, version, digest, prefix), gcc, source)
    return from_manifest((prefix / "manifest.json").read_bytes())


def _toolchain(target: Target, version: str, digest: str, prefix: Path) -> Toolchain:
    return Toolchain(
        family="system",
        target=target.name,
        version=version,
        digest=digest,
        prefix=prefix,
        sysroot=prefix / "sysroot",
        cc=prefix / "bin" / f"{target.triple}-gcc",
        cxx=None,
        ar=prefix / "bin" / f"{target.triple}-ar",
    )


def _patches(musl: Source) -> tuple[Path, ...]:
    found = (paths.recipes_dir() / "patches" / f"musl-{musl.version}").glob("*.patch")
    return tuple(sorted(found))


def _companion() -> Path:
    return paths.recipes_dir() / "system" / "dl_find_object.c"


def _digest(target: Target, gcc: str, musl: Source) -> str:
    files = [store.file_sha256(path) for path in [*_patches(musl), _companion()]]
    return store.digest_of(
        [_SPECS, _DRIVER, _CFLAGS, [form.sha256 for form in musl.forms], files,
         target.distro_cflags, target.triple, gcc,
         _said(gcc, "-dumpfullversion"), _said(gcc, "-dumpmachine"), str(store.place())]
    )  # fmt: skip


def _make(toolchain: Toolchain, gcc: str, source: Path) -> None:
    log = store.place("logs", f"{toolchain.prefix.name}.log")
    with store.scratch_dir() as scratch:
        made, work = scratch / "made", store.ensure_dir(scratch / "work")
        _build_musl(toolchain, gcc, source, work, made, log)
        try:
            _copy_kernel_headers(gcc, made / "sysroot" / "include", scratch)
            _write_driver(toolchain, gcc, made)
            _build_companion(toolchain, gcc, made, log)
            (made / "sysroot" / "lib" / "pkgconfig").mkdir()
            store.write_atomically(made / "manifest.json", to_manifest(toolchain))
        except OSError as error:
            what = f"cannot write the toolchain: {error.filename}: {error.strerror}"
            raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
        if toolchain.prefix.exists():
            shutil.rmtree(toolchain.prefix)
        store.publish(made, toolchain.prefix)


def _build_musl(
    toolchain: Toolchain, gcc: str, source: Path, work: Path, made: Path, log: Path
) -> None:
    target_flags = _target_flags(toolchain)
    tools = gcc.removesuffix("gcc")
    env = {
        "CC": " ".join([gcc, *target_flags]),
        "CFLAGS": _CFLAGS,
        "AR": f"{tools}ar",
        "RANLIB": f"{tools}ranlib",
        "CROSS_COMPILE": None,
        "CPPFLAGS": None,
        "LDFLAGS": None,
    }
    triple = toolchain.cc.name.removesuffix("-gcc")
    configure = (str(source / "configure"), f"--host={triple}", "--prefix=", "--disable-shared")
    jobs = f"-j{os.cpu_count() or 1}"
    install = ("make", "install", f"DESTDIR={made / 'sysroot'}")
    for what, argv in (("configure", configure), ("make", ("make", jobs)), ("install", install)):
        run_logged(Command(argv=argv, env=env, cwd=work), log, f"musl: {what}")


def _target_flags(toolchain: Toolchain) -> tuple[str, ...]:
    from gotoolforge.target import find_target

    target = find_target(toolchain.target)
    return () if target.is_native else target.distro_cflags


def _copy_kernel_headers(gcc: str, include: Path, scratch: Path) -> None:
    probe = scratch / "probe.c"
    names = ("linux/version.h", "asm/unistd.h", "asm-generic/errno.h")
    probe.write_text("".join(f"#include <{name}>\n" for name in names))
    answer = run.ask(Command(argv=(gcc, "-M", str(probe))))
    found = re.findall(r"(\S+)/(?:linux/version|asm/unistd|asm-generic/errno)\.h", answer.out)
    if answer.code or not found:
        what = f"{gcc} finds no Linux kernel headers: {answer.err.strip()}"
        raise ToolchainError(what, hint=distro.install_command("linux-libc-dev"))
    for root in dict.fromkeys(found):
        for name in _KERNEL_HEADERS:
            if (Path(root) / name).is_dir():
                shutil.copytree(Path(root) / name, include / name, dirs_exist_ok=True)


def _write_driver(toolchain: Toolchain, gcc: str, made: Path) -> None:
    lib = toolchain.sysroot / "lib"
    (made / "lib").mkdir()
    (made / "bin").mkdir()
    gcc_lib = Path(_said(gcc, "-print-libgcc-file-name")).parent
    specs = _SPECS.format(lib=lib, gcc_lib=gcc_lib)
    store.write_atomically(made / "lib" / "static.specs", specs)
    own = _said(gcc, "-print-file-name=include")
    command = [gcc, *_target_flags(toolchain), f"-specs={toolchain.prefix}/lib/static.specs",
               "-nostdinc", "-isystem", str(toolchain.sysroot / "include"), "-isystem", own,
               "-U_FORTIFY_SOURCE"]  # fmt: skip
    text = _DRIVER.format(command=run.quote(command))
    triple = toolchain.cc.name.removesuffix("-gcc")
    for name in (f"{triple}-gcc", f"{triple}-cc"):
        store.write_atomically(made / "bin" / name, text, 0o755)
    for tool in ("ar", "ranlib", "nm", "objdump", "readelf", "strip"):
        if program := run.find_program(gcc.removesuffix("gcc") + tool):
            script = f'#!/bin/sh\nexec {run.quote([program])} "$@"\n'
            store.write_atomically(made / "bin" / f"{triple}-{tool}", script, 0o755)


def _build_companion(toolchain: Toolchain, gcc: str, made: Path, log: Path) -> None:
    """The archive for what the distribution's libgcc_eh wants of glibc (`_dl_find_object`)."""
    lib, include = made / "sysroot" / "lib", made / "sysroot" / "include"
    own = _said(gcc, "-print-file-name=include")
    flags = (*_target_flags(toolchain), *_CFLAGS.split(), "-nostdinc", "-isystem", str(include))
    obj = made / "dl_find_object.o"
    compile_it = (gcc, *flags, "-isystem", own, "-c", str(_companion()), "-o", str(obj))
    ar = (gcc.removesuffix("gcc") + "ar", "rcsD", str(lib / "libgotoolforge.a"), str(obj))
    for argv in (compile_it, ar):
        run_logged(Command(argv=argv), log, "companion archive")
    obj.unlink()


def _said(gcc: str, *question: str) -> str:
    return run.ask(Command(argv=(gcc, *question))).out.strip()
