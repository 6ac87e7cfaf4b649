"""A forged toolchain as one file, and back: for a cache of CI, or a machine without a compiler.

The file is the same for the same toolchain: members sorted, no owner, no time.
"""

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from gotoolforge import archive, store
from gotoolforge.console import Console
from gotoolforge.errors import FetchError, OutputError, StoreError, ToolchainError, UsageError
from gotoolforge.forge import manifest
from gotoolforge.forge.manifest import Manifest, load_manifest

_AGAIN = "export it again; nothing was taken in"
_SUFFIXES = (".tar.xz", ".tar.zst")
# Level 19 takes ten times as long for a tenth less; 27 is a window of 128 MiB, in which the alike
# parts of two compilers see each other.
_ZSTD_LEVEL = 12
_ZSTD_WINDOW = 27


def export_toolchain(prefix: Path, file: Path, console: Console) -> int:
    """Write the toolchain in `prefix` as `file` (.tar.xz or .tar.zst); its size in bytes.

    Raises UsageError for another suffix, OutputError if it cannot be written.
    """
    if not file.name.endswith(_SUFFIXES):
        what = f"{file}: an export ends in {' or '.join(_SUFFIXES)}"
        raise UsageError(what)
    part = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with (
            console.step(f"export {prefix.name} as {file}", long=True),
            _compressed(part, file.name) as sink,
            tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            for path in sorted(prefix.rglob("*")):
                _add(tar, path, f"{prefix.name}/{path.relative_to(prefix).as_posix()}")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        what = f"cannot write {file}: {error.strerror}"
        raise OutputError(what, hint="name another file, or free some space") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return file.stat().st_size


def copy_toolchain(prefix: Path, folder: Path) -> Path:
    """Put a copy of the toolchain in `prefix` at `folder`, in place of an earlier copy.

    Raises OutputError if something else lies there, or it cannot be written.
    """
    if folder.exists() and not (folder / manifest.NAME).is_file() and any(folder.iterdir()):
        what = f"{folder} is there, and is not a toolchain of the forge"
        raise OutputError(what, hint="name another folder, or remove it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with store.scratch_dir(near=folder.parent) as scratch:
            shutil.copytree(prefix, scratch / "new", symlinks=True)
            if folder.exists():
                folder.rename(scratch / "old")
            (scratch / "new").rename(folder)
    except OSError as error:
        what = f"cannot write {folder}: {error.strerror or error}"
        raise OutputError(what, hint="name another folder, or free some space") from error
    return folder


def import_toolchain(file: Path, console: Console) -> tuple[Path, Manifest]:
    """Take an exported toolchain into the store; where it lies, and its manifest.

    Every file must have the digest that it was exported with. Raises ToolchainError if not, or if
    the file holds no toolchain of the forge.
    """
    folder = store.ensure_dir(store.place("toolchains"))
    with store.scratch_dir(near=folder) as scratch:
        with console.step(f"unpack {file.name}", long=True):
            _unpack(file, scratch)
        tops = [one for one in (scratch / "tree").iterdir() if (one / manifest.NAME).is_file()]
        if len(tops) != 1:
            what = f"{file} holds no exported toolchain"
            raise ToolchainError(what, hint="make one with `gotoolforge toolchain export`")
        made = load_manifest(tops[0])
        if changed := manifest.changed_files(tops[0]):
            what = f"{file} is damaged: " + "; ".join(changed[:5])
            raise ToolchainError(what, hint=_AGAIN)
        final = folder / f"{made.target}-gcc-{store.short(made.digest)}"
        if final.exists():
            shutil.rmtree(final)
        store.publish(tops[0], final)
    return final, made


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    info = tar.gettarinfo(path, name)
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    runs = info.isdir() or info.mode & 0o100
    info.mode = 0o755 if runs else 0o644
    if info.isreg() or info.islnk():
        # Which of two hard links comes first (TRIPLE-c++, TRIPLE-g++) is settled by the sorting.
        with path.open("rb") as content:
            tar.addfile(info, content if info.isreg() else None)
    else:
        tar.addfile(info)


@contextmanager
def _compressed(path: Path, name: str) -> Iterator[IO[bytes]]:
    if name.endswith(".zst"):
        import zstandard

        parameters = zstandard.ZstdCompressionParameters.from_level(
            _ZSTD_LEVEL, window_log=_ZSTD_WINDOW, threads=-1
        )
        squeeze = zstandard.ZstdCompressor(compression_params=parameters)
        with path.open("wb") as sink, squeeze.stream_writer(sink) as writer:
            yield cast("IO[bytes]", writer)
    else:
        import lzma

        with lzma.open(path, "wb", preset=6) as writer:
            yield cast("IO[bytes]", writer)


def _unpack(file: Path, scratch: Path) -> None:
    try:
        archive.unpack(_plain(file, scratch), scratch / "tree")
    except FetchError as error:
        raise ToolchainError(error.what, hint=_AGAIN) from error


def _plain(file: Path, scratch: Path) -> Path:
    """The file, as a tarball that the standard library can read."""
    if not file.name.endswith(".zst"):
        return file
    import zstandard

    # Its content says what it is, and its name is what an error will say.
    plain = scratch / file.name
    unsqueeze = zstandard.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW)
    try:
        with file.open("rb") as source, plain.open("wb") as sink:
            unsqueeze.copy_stream(source, sink)
    except zstandard.ZstdError as error:
        what = f"{file} is not a whole archive: {error}"
        raise ToolchainError(what, hint=_AGAIN) from error
    except OSError as error:
        what = f"cannot unpack {file}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
    return plain
