"""Which toolchain a recipe makes here: the host, its compiler, and the digest of all that decides.

The digest comes from data alone, before any download, so a warm build finds its toolchain by it.
"""

import platform
from pathlib import Path

import msgspec

from gotoolforge import recipe, run, store
from gotoolforge.compilers.toolchain import Toolchain
from gotoolforge.distro import install_command
from gotoolforge.errors import ToolchainError
from gotoolforge.forge.recipe import LANGUAGES, ForgeRecipe, compiled_by, load_recipe
from gotoolforge.recipe import Source
from gotoolforge.run import Command
from gotoolforge.target import Target, default_target


class HostCompiler(msgspec.Struct, frozen=True, kw_only=True):
    """What compiles a toolchain's own programs, for the GNU `triple` on which they run.

    `identity` is all that decides what it makes and is not in the recipe. `version` is in its own
    words, if it is neither zig nor forged here.
    """

    name: str
    triple: str
    identity: str
    version: str = ""

    @property
    def libc(self) -> str:
        """The libc that the programs hold: `musl`, or `glibc` where that is the machine's."""
        # Not every triple of glibc's says so: Fedora's is x86_64-redhat-linux.
        return "musl" if "-musl" in self.triple else "glibc"

    @property
    def words(self) -> str:
        """For people: what compiles the programs, and the libc that they hold."""
        named = {"machine": f"the machine's {self.version}", "forged": "a forged GCC"}
        said = f"{named.get(self.name, self.name)}, with a static {self.libc}"
        return f"{said}: a fallback" if self.libc == "glibc" else said


def host_compiler(forge: ForgeRecipe) -> HostCompiler:
    """What the recipe's host compiler is on this machine.

    Raises ToolchainError where toolchains cannot be forged, or the machine has no such GCC.
    """
    name = forge.host.compiler
    if name == "machine":
        return _machine_compiler()
    if name == "forged":
        identity = toolchain_digest(compiled_by(forge, "zig"), default_target(), LANGUAGES)
        return HostCompiler(name=name, triple=host_triple(), identity=identity)
    # The pinned source says the rest.
    return HostCompiler(name=name, triple=host_triple(), identity=host_triple())


def _machine_compiler() -> HostCompiler:
    host_name()
    if missing := [one for one in ("gcc", "g++") if run.find_program(one) is None]:
        what = f"this machine has no {' and no '.join(missing)}"
        raise ToolchainError(what, hint=f"{install_command('g++')}, or --host-compiler zig")
    questions = ("-dumpmachine", "--version", "-print-file-name=libc.a")
    triple, version, libc = (_answer(one).splitlines()[0] for one in questions)
    if not Path(libc).is_file():
        what = "the machine's gcc has no libc.a, so it cannot make static programs"
        hint = "install it (Fedora's glibc-static, with libstdc++-static), or --host-compiler zig"
        raise ToolchainError(what, hint=hint)
    identity = store.digest_of([triple, version, store.file_sha256(Path(libc))])
    return HostCompiler(name="machine", triple=triple, identity=identity, version=version)


def _answer(word: str) -> str:
    answer = run.ask(Command(argv=("gcc", word)))
    if answer.code or not answer.out.strip():
        what = f"gcc {word} does not answer: {answer.err.strip()[-300:]}"
        raise ToolchainError(what, hint="or --host-compiler zig, which needs no compiler")
    return answer.out


def host_name() -> str:
    """This machine as sources spell it: `linux-amd64`, `linux-arm64`.

    Raises ToolchainError where toolchains cannot be forged.
    """
    machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    machine = machines.get(platform.machine().lower())
    if platform.system() != "Linux" or machine is None:
        here = f"{platform.system()} {platform.machine()}"
        what = f"toolchains are forged on Linux, x86_64 or aarch64, and this is {here}"
        raise ToolchainError(what, hint="--toolchain zig needs no forging")
    return f"linux-{machine}"


def host_triple() -> str:
    """The GNU triple of the toolchain's own programs."""
    cpu = {"linux-amd64": "x86_64", "linux-arm64": "aarch64"}[host_name()]
    return f"{cpu}-linux-musl"


def load_components(forge: ForgeRecipe, host: str = "") -> dict[str, Source]:
    """The pinned source of every component, for this host or the named one (linux-arm64)."""
    return {name: recipe.load_source(name, host or host_name()) for name in forge.sources}


def toolchain_digest(forge: ForgeRecipe, target: Target, languages: tuple[str, ...]) -> str:
    """sha256 over all that decides what is made for `target` on this host.

    All accepted forms of each source count, not the one that was used, and no URL does: where a
    file came from must not change what is installed.
    """
    sources = {
        name: [source.version, [[form.sha256, form.fixups] for form in source.forms]]
        for name, source in load_components(forge).items()
    }
    files = {name: forge.patch_files(name, target) for name in forge.sources}
    patches = {
        name: [store.file_sha256(one) for one in many] for name, many in files.items() if many
    }
    decides = msgspec.to_builtins(forge)
    decides["host"] = forge.host.decides()
    for name in ("pace", "skip", "empty", "patches", "patches_for", "languages"):
        del decides[name]
    row = [target.name, target.triple, target.gcc_configure, target.kernel_arch]
    row += [target.gcc_lib] if target.gcc_lib else []
    value = [decides, sources, patches, row, languages, host_compiler(forge).identity]
    return store.digest_of(msgspec.to_builtins(value))


def toolchain_dir(target: Target, digest: str) -> Path:
    """Where the finished toolchain lies in the store."""
    return store.place("toolchains", f"{target.name}-gcc-{store.short(digest)}")


def as_toolchain(
    prefix: Path, target: Target, digest: str, languages: tuple[str, ...]
) -> Toolchain:
    """What the build driver needs to know of a forged toolchain."""
    program = prefix / "bin" / target.triple
    return Toolchain(
        family="gcc",
        target=target.name,
        version=load_recipe().version_words,
        digest=digest,
        prefix=prefix,
        sysroot=prefix / target.triple,
        cc=program.with_name(f"{target.triple}-gcc"),
        cxx=program.with_name(f"{target.triple}-g++") if "c++" in languages else None,
        ar=program.with_name(f"{target.triple}-ar"),
    )
