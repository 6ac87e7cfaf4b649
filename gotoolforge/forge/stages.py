"""The stages of a toolchain as values: what runs, where, in what environment. Nothing runs here.

The order is musl-cross-make's: binutils; GCC's compilers (xgcc); the kernel's and musl's headers;
libgcc; musl; the rest of GCC; then everything is installed with an empty prefix, so that the
tree can be moved.
"""

import os
from pathlib import Path

import msgspec

from gotoolforge import jsontext, store
from gotoolforge.forge.recipe import ForgeRecipe
from gotoolforge.forge.workshop import (
    NEUTRAL,
    Stage,
    Workshop,
    host_env,
    launched,
    launcher_path,
    target_env,
)
from gotoolforge.run import Command
from gotoolforge.target import Target

# GCC's own make rules: no documentation, and libraries in lib, not in lib64 or lib32. It has to be
# part of $(MAKE), since the top-level Makefile clears MAKEOVERRIDES.
# GCC's generators take the host's libiberty and libcpp (build_libsubdir): the build machine is the
# host, so others of their own (see _xgcc) would be the same once more.
_MAKE_WORDS = ("MULTILIB_OSDIRNAMES=", "INFO_DEPS=", "infodir=", "MAKEINFO=true", "TEXI2POD=true",
               "POD2MAN=true", "build_libsubdir=.")  # fmt: skip
# GCC's largest sources, which it writes itself. make would come back to them when all others are
# compiled, insn-recog.cc last of all, and one core would wait for it.
_GENERATED = (
    "insn-attrtab.cc insn-automata.cc insn-emit-1.cc insn-extract.cc insn-output.cc insn-recog.cc "
    "gimple-match-1.cc generic-match-1.cc"
)
# Names of the answers that are the same for every target; the others (ac_cv_env_target_alias,
# gcc_cv_as_*, ac_cv_path_*) are not, or name folders.
_ABOUT_THE_HOST = (
    "^(ac_cv_(af|c|cxx|f|func|have|header|lib|lk|member|o|prog_cc|prog_cxx|safe|search|sizeof|std|"
    "struct|sys|type|typeof|working)|acx_cv_prog_cc|am_cv_(func|langinfo|lib|val)|"
    "gcc_cv_have_decl)_"
)


def library_stages(forge: ForgeRecipe, shop: Workshop) -> tuple[Stage, ...]:
    """gmp, mpfr and mpc, for GCC's compilers: once for a host, shared by all its targets."""
    stages = []
    for name in ("gmp", "mpfr", "mpc"):
        folder = shop.work / f"obj-{name}"
        flags = (f"--build={shop.host_triple}", f"--host={shop.host_triple}",
                 f"--prefix={shop.host}", *forge.libraries.configure,
                 f"--with-gmp={shop.host}", f"--with-mpfr={shop.host}")  # fmt: skip
        configure = ("sh", f"{shop.seen_from(folder, name)}/configure", *flags)
        commands = _in(folder, host_env(forge, shop), configure, ("make",),
                       ("make", "-j1", "install"))  # fmt: skip
        stages.append(Stage(name=name, folder=folder, fresh=(folder,), commands=commands))
    return _chained(stages, forge, shop)


def target_stages(
    forge: ForgeRecipe, shop: Workshop, target: Target, languages: tuple[str, ...]
) -> tuple[Stage, ...]:
    """All stages of one target's toolchain, in order."""
    stages = (
        _binutils(forge, shop, target),
        _xgcc(forge, shop, target, languages),
        _headers(forge, shop, target),
        _gcc_make("libgcc", forge, shop, "all-target-libgcc"),
        _musl(forge, shop, target),
        _gcc_make("libs", forge, shop, "all"),
        _install(forge, shop, target),
    )
    return _chained(list(stages), forge, shop)


def _binutils(forge: ForgeRecipe, shop: Workshop, target: Target) -> Stage:
    folder = shop.work / "obj-binutils"
    configure = (
        "sh",
        f"{shop.seen_from(folder, 'binutils')}/configure",
        *_cross_words(shop, target),
        *forge.binutils.configure,
    )
    commands = (
        *_in(
            folder,
            host_env(forge, shop),
            configure,
            _make(),
            # Installs race each other in one folder: one after another.
            _make("-j1", f"DESTDIR={shop.out}", "install"),
        ),
        _share_answers(shop),
    )
    return Stage(name="binutils", folder=folder, commands=commands, resumable=True, fresh=(folder,))


def _xgcc(forge: ForgeRecipe, shop: Workshop, target: Target, languages: tuple[str, ...]) -> Stage:
    folder = shop.work / "obj-gcc"
    headers = shop.work / "headers"
    env = {**target_env(forge, shop), "FORGE_HEADERS": str(headers)}
    configure = (
        "sh",
        f"{shop.seen_from(folder, 'gcc')}/configure",
        *_cross_words(shop, target),
        f"--enable-languages={','.join(languages)}",
        f"--with-build-sysroot={shop.sysroot}",
        "--with-native-system-header-dir=/include",
        *(f"--with-{name}={shop.host}" for name in ("gmp", "mpfr", "mpc")),
        *forge.gcc.configure,
        *target.gcc_configure,
    )
    # The driver keeps its configure line (`gcc -v`), folders of this machine included.
    neutral = f"/^TOPLEVEL_CONFIGURE_ARGUMENTS=/s#{shop.root}#{NEUTRAL}#g"
    once = "/^maybe-[a-z]*-build-lib[a-z]*: [a-z]/d"
    commands = (
        Command(argv=("mkdir", "-p", str(shop.sysroot / "include"), str(headers)), cwd=shop.work),
        *_in(
            folder,
            env,
            configure,
            ("sed", "-i", "-e", neutral, "-e", once, "Makefile"),
            _make(f"TARGET-gcc={_GENERATED}", "all-gcc"),
            _make("all-gcc"),
        ),
        _share_answers(shop),
    )
    return Stage(name="xgcc", folder=folder, commands=commands, resumable=True, fresh=(folder,))


def _share_answers(shop: Workshop) -> Command:
    """Keep for other targets what was found out about the host, and nothing about the target."""
    script = (
        'for one in "$1"/*; do test -f "$one" || continue; new="$2/.${one##*/}.$$"; '
        'grep -E "$3" "$one" > "$new" || :; mv -f "$new" "$2/${one##*/}"; done'
    )
    kept = shop.host / "answers"
    argv = ("sh", "-eu", "-c", script, "sh", str(shop.answers), str(kept), _ABOUT_THE_HOST)
    return Command(argv=argv, cwd=shop.work)


def _headers(forge: ForgeRecipe, shop: Workshop, target: Target) -> Stage:
    folder = shop.work / "obj-musl"
    compiler = f"{shop.work}/obj-gcc/gcc/xgcc -B{shop.work}/obj-gcc/gcc --sysroot={shop.sysroot}"
    env = {
        **target_env(forge, shop),
        "CC": compiler,
        "CFLAGS": " ".join(forge.musl.cflags),
        "AR": f"{target.triple}-ar",
        "RANLIB": f"{target.triple}-ranlib",
        "LIBCC": f"{shop.work}/obj-gcc/{target.triple}/libgcc/libgcc.a",
    }
    configure = (
        "sh",
        f"{shop.seen_from(folder, 'musl')}/configure",
        "--prefix=",
        f"--host={target.triple}",
        *forge.musl.configure,
    )
    include = shop.sysroot / "include"
    links = [("ln", "-sfn", "lib", f"{shop.sysroot}/{target.gcc_lib}")] if target.gcc_lib else []
    # The kernel's first: where both have a file (scsi/), libc's stands.
    commands = (
        *_kernel_headers(forge, shop, target, include),
        *(Command(argv=line, cwd=shop.work) for line in links),
        *_in(folder, env, configure, ("make", f"DESTDIR={shop.sysroot}", "install-headers")),
    )
    return Stage(name="headers", folder=folder, commands=commands, fresh=(folder,))


def _kernel_headers(
    forge: ForgeRecipe, shop: Workshop, target: Target, include: Path
) -> tuple[Command, ...]:
    root = shop.sources[forge.host.source] / forge.headers.root
    lines: list[tuple[str, ...]] = [("rm", "-rf", str(include)), ("mkdir", "-p", str(include))]
    for name in (forge.headers.common, forge.headers.arch[target.kernel_arch]):
        lines.append(("cp", "-R", f"{root / name}/.", f"{include}/"))
    # musl-cross-make left them out for riscv64 without a word: its header set has no such arch.
    lines.append(("test", "-f", f"{include}/linux/version.h"))
    lines.append(("test", "-f", f"{include}/asm/unistd.h"))
    return tuple(Command(argv=line, cwd=shop.work) for line in lines)


def _gcc_make(name: str, forge: ForgeRecipe, shop: Workshop, goal: str) -> Stage:
    folder = shop.work / "obj-gcc"
    commands = _in(folder, target_env(forge, shop), _make(goal))
    return Stage(name=name, folder=folder, commands=commands, resumable=True)


def _musl(forge: ForgeRecipe, shop: Workshop, target: Target) -> Stage:
    folder = shop.work / "obj-musl"
    tools = (f"AR={target.triple}-ar", f"RANLIB={target.triple}-ranlib")
    env = target_env(forge, shop)
    commands = _in(
        folder,
        env,
        ("make", *tools, "all"),
        ("make", "-j1", *tools, f"DESTDIR={shop.sysroot}", "install"),
    )
    return Stage(name="musl", folder=folder, commands=commands, resumable=True)


def _install(forge: ForgeRecipe, shop: Workshop, target: Target) -> Stage:
    folder = shop.work / "obj-gcc"
    sysroot = shop.out / target.triple
    env = target_env(forge, shop)
    commands = (
        *_in(folder, env, _make("-j1", f"DESTDIR={shop.out}", "install")),
        Command(argv=("cp", "-R", f"{shop.sysroot}/.", f"{sysroot}/"), cwd=shop.work),
        *_tidy(shop, target),
        *_links(forge, shop, target),
    )
    return Stage(name="install", folder=folder, commands=commands)


def _tidy(shop: Workshop, target: Target) -> tuple[Command, ...]:
    """What nobody needs, and what holds folders of this machine (libtool's and fixincludes')."""
    triple = target.triple
    gone = [f"{shop.out}/{name}" for name in ("share", "include", "lib/bfd-plugins")]
    script = (
        "find . -name '*.la' -exec rm -f {} + ; find . -name '*-gdb.py' -exec rm -f {} + ; "
        "find . -depth -type d -name install-tools -exec rm -rf {} + ; "
        # Parts of libgcc and libstdc++ insist on -g.
        f"find {triple}/lib lib/gcc -name '*.[ao]' -exec bin/{triple}-strip -g {{}} + ; "
        f"bin/{triple}-strip {triple}/lib/libc.so ; "
        f"chmod -R u+w,go+rX,go-w ."
    )
    return (
        Command(argv=("rm", "-rf", *gone), cwd=shop.out),
        Command(argv=("sh", "-eu", "-c", script), cwd=shop.out),
    )


def _links(forge: ForgeRecipe, shop: Workshop, target: Target) -> tuple[Command, ...]:
    """The loader's link made relative, TRIPLE-cc, and the tools under the alias triples."""
    rule = forge.aliases
    names = [target.triple.replace(rule.from_, to) for to in rule.to]
    script = (
        'triple=$1; shift; ln -sfn libc.so "$triple/lib/$1"; shift; cd bin; '
        'ln -sfn "$triple-gcc" "$triple-cc"; '
        'for alias; do for tool in "$triple"-*; do '
        'ln -sfn "$tool" "$alias${tool#"$triple"}"; done; done'
    )
    loader = Path(target.loader).name
    argv = ("sh", "-eu", "-c", script, "sh", target.triple, loader)
    return (Command(argv=(*argv, *(one for one in names if one != target.triple)), cwd=shop.out),)


def _cross_words(shop: Workshop, target: Target) -> tuple[str, ...]:
    return (
        f"--build={shop.host_triple}", f"--host={shop.host_triple}", f"--target={target.triple}",
        "--prefix=", "--libdir=/lib", f"--with-sysroot=/{target.triple}",
    )  # fmt: skip


def _make(*words: str) -> tuple[str, ...]:
    return ("make", f"MAKE=make {' '.join(_MAKE_WORDS)}", *_MAKE_WORDS, *words)


def _in(folder: Path, env: dict[str, str | None], *lines: tuple[str, ...]) -> tuple[Command, ...]:
    return tuple(Command(argv=line, env=env, cwd=folder) for line in lines)


def _chained(stages: list[Stage], forge: ForgeRecipe, shop: Workshop) -> tuple[Stage, ...]:
    """Each stage's digest holds its own words and those of all stages before it.

    A launcher's words are left out: with and without one, a stage makes the same.
    """
    dropped = launched(shop).keys()
    made, before = [], store.digest_of([forge.format, sorted(shop.sources)])
    for stage in stages:
        words = [
            [one.argv, sorted(item for item in one.env.items() if item[0] not in dropped)]
            for one in stage.commands
        ]
        text = jsontext.compact(words).decode()
        text = text.replace(launcher_path(shop), "")
        neutral = text.replace(str(shop.root), NEUTRAL).replace(os.environ.get("PATH", ""), "")
        before = store.digest_of([stage.name, neutral, before])
        made.append(msgspec.structs.replace(stage, digest=before))
    return tuple(made)
