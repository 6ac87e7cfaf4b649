"""The matrix: one file in many roots, side by side; then what the table of distributions knows."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import compat, distro, rootfs, run, store
from gotoolforge.beside import side_by_side
from gotoolforge.elf import ElfFacts
from gotoolforge.errors import UnprovenError
from gotoolforge.prove.engine import exported_root, find_engine, made_container, try_in_container
from gotoolforge.prove.trial import Trial, Wanted, is_foreign, try_in
from gotoolforge.run import Command

_MAKERS = ("mmdebstrap", "debootstrap")
Say = Callable[[str], None]
Kind = Literal["root", "image", "engine", "debian", "musl", "scratch"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a root comes from: a folder, an image tarball or an engine's image, a Debian suite,
    musl alone, nothing.
    """

    kind: Kind
    name: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line: `symbols` is what the libraries there say, `trial` what running it there says.

    Without a trial the line is judged by the table of distributions, and says so in `judged`.
    """

    image: str
    libc: str
    symbols: str
    because: tuple[str, ...]
    judged: Literal["run", "table"]
    trial: Trial | None = None


def try_all(
    sources: tuple[Source, ...], wanted: Wanted, facts: ElfFacts, verdict: str, say: Say
) -> tuple[Line, ...]:
    """A line for each source, tried; then one for each distribution that the table knows.

    `say` is told what takes minutes.
    """
    tried = side_by_side(sources, lambda source: _line_of(source, wanted, facts, verdict, say))
    known = compat.by_table(facts, verdict, datetime.date.today())
    judged = tuple(
        Line(image=one.name, libc=one.libc, symbols=one.answer, because=one.because, judged="table")
        for one in known
        if not one.past_eol and one.name not in {line.image for line in tried}
    )
    return tried + judged


def _line_of(source: Source, wanted: Wanted, facts: ElfFacts, verdict: str, say: Say) -> Line:
    try:
        return _line(source, wanted, facts, verdict, say)
    except UnprovenError as error:
        # One root that cannot be had takes nothing from the others.
        why = f"{error.what}; {error.hint}" if error.hint else error.what
        return Line(image=source.name, libc="not known", symbols="not known", because=(),
                    judged="run", trial=Trial(state="not proven", why=why))  # fmt: skip


def _line(source: Source, wanted: Wanted, facts: ElfFacts, verdict: str, say: Say) -> Line:
    title = source.name or source.kind
    if source.kind == "scratch":
        trial = try_in(None, wanted, facts)
        answer = "runs" if not facts.interpreter and not facts.needed else "does not run"
        return Line(image="scratch", libc="none", symbols=answer, because=(), judged="run",
                    trial=trial)  # fmt: skip
    if source.kind == "engine":
        return _engine_line(source.name, wanted, facts, verdict)
    if source.kind == "debian":
        path, title = debian_root(source.name, say), f"Debian {source.name}"
    else:
        path = musl_root() if source.kind == "musl" else Path(source.name)
    with rootfs.opened(path) as root:
        place = compat.by_root(facts, verdict, root, title)
        trial = try_in(root, wanted, facts)
    return Line(
        image=title,
        libc=place.libc,
        symbols=place.answer,
        because=place.because,
        judged="run",
        trial=trial,
    )


def _engine_line(image: str, wanted: Wanted, facts: ElfFacts, verdict: str) -> Line:
    engine = find_engine()
    with made_container(engine, image, wanted) as container, exported_root(container) as root:
        place = compat.by_root(facts, verdict, root, image)
        # Whether an engine runs foreign programs is its machine's business; our cell can.
        foreign = is_foreign(facts)
        trial = try_in(root, wanted, facts) if foreign else try_in_container(container, wanted)
    return Line(image=image, libc=place.libc, symbols=place.answer, because=place.because,
                judged="run", trial=trial)  # fmt: skip


def debian_root(suite: str, say: Say) -> Path:
    """A small root of a Debian suite, made once: libc, libgcc, libstdc++ and a shell.

    Raises UnprovenError if the suite cannot be had.
    """
    root = store.place("roots", f"debian-{suite}")
    if root.is_dir():
        return root
    maker = next((found for name in _MAKERS if (found := run.find_program(name))), None)
    if maker is None:
        what = "a Debian root is made by mmdebstrap or debootstrap, and neither is here"
        raise UnprovenError(what, hint=distro.install_command("mmdebstrap"))
    with store.locked(f"root-{suite}"), store.scratch_dir() as scratch:
        if root.is_dir():
            return root
        say(f"make a root of Debian {suite} by {Path(maker).name}: minutes, and once ...")
        made, problem = scratch / "root", ""
        for mirror in dict.fromkeys(distro.mirrors()):
            argv = (*_make_words(maker, suite, made), mirror)
            answer = run.ask(Command(argv=argv))
            if answer.code == 0:
                store.publish(made, root)
                return root
            problem = (answer.err.strip().splitlines() or [""])[-1]
    what = f"no root of Debian {suite} can be made: {problem or 'apt has no Debian archive here'}"
    raise UnprovenError(what, hint="give a root folder or an image tarball: --root, --image")


def _make_words(maker: str, suite: str, made: Path) -> tuple[str, ...]:
    packages = "libc6,libgcc-s1,libstdc++6,base-files,dash,coreutils"
    if maker.endswith("mmdebstrap"):
        return (maker, "--quiet", "--variant=extract", f"--include={packages}", suite, str(made))
    return (maker, "--variant=minbase", f"--include={packages}", suite, str(made))


def musl_root() -> Path:
    """An Alpine-like root: musl's loader alone, from a toolchain of the store or this machine.

    Raises UnprovenError if there is no musl here.
    """
    import shutil

    from gotoolforge.target import default_target

    target = default_target()
    places = sorted(store.place("toolchains").glob(f"{target.name}-*/**/lib/libc.so"))
    places.append(Path(target.loader))
    library = next((one for one in places if one.is_file() and _is_musl(one)), None)
    if library is None:
        what = "there is no musl for this machine, in the store or installed"
        raise UnprovenError(what, hint=f"`gotoolforge toolchain build {target.name}` makes one")
    root = store.place("roots", f"musl-{store.short(store.file_sha256(library))}")
    if not root.is_dir():
        with store.scratch_dir() as scratch:
            made = scratch / "root"
            for name in ("lib", "tmp", "dev", "etc"):
                (made / name).mkdir(parents=True)
            shutil.copyfile(library, made / target.loader.lstrip("/"))
            (made / target.loader.lstrip("/")).chmod(0o755)
            (made / "lib" / f"libc.musl-{target.musl_arch}.so.1").symlink_to(
                Path(target.loader).name
            )
            (made / "lib" / "libc.so").symlink_to(Path(target.loader).name)
            store.publish(made, root)
    return root


def _is_musl(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(4) == b"\x7fELF"
