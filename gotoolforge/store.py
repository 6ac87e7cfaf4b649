"""The store: a folder for each digest, made whole or not at all.

toolchains/TARGET-FAMILY-DIGEST/   a toolchain with its manifest.json
downloads/SHA256-NAME              fetched files, known by their content
gocache/DIGEST/                    Go's build cache, one for each toolchain
zig/                               zig's own cache, shared by all targets
logs/                              what builds said
tmp/                               work in progress; what a killed run left is swept by the next
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gotoolforge import jsontext, paths
from gotoolforge.errors import StoreError

_DIGEST_CHARS = 16
_SCRATCH = ".gotoolforge-"
# Seconds after which a scratch folder that nobody holds was left by a killed run.
_HELD_AFTER = 60
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


def place(*parts: str) -> Path:
    """A path inside the store; nothing is made."""
    return paths.store_dir().joinpath(*parts)


def digest_of(value: object) -> str:
    """sha256 of the canonical JSON of a plain value, as hex."""
    import hashlib

    return hashlib.sha256(jsontext.compact(value, order="sorted")).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of a file's content, as hex; the file is read in pieces."""
    # Imported here: it loads OpenSSL, and the first question to Go need not wait for that.
    import hashlib

    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def short(digest: str) -> str:
    """A digest as it stands in folder names."""
    return digest[:_DIGEST_CHARS]


def ensure_dir(path: Path) -> Path:
    """`path` as a folder. Raises StoreError with the way out if it cannot be made."""
    if "\\udc" in ascii(os.fspath(path)):
        # Scripts, manifests and configure's answers name places in the store, and they are text.
        what = f"the name {path} is no text (UTF-8)"
        raise StoreError(what, hint="set GOTOOLFORGE_CACHE to a folder whose name is")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write below `folder`, which need not be there yet."""
    there = next((one for one in (folder, *folder.parents) if one.exists()), Path("/"))
    disk = os.statvfs(there)
    return disk.f_bavail * disk.f_frsize


def write_atomically(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Write a file whole or not at all; a text keeps bytes that were no UTF-8. Raises OSError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_bytes(os.fsencode(content))
        scratch.chmod(mode)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


@contextmanager
def locked(name: str, *, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the store-wide lock `name`; a second process waits for the first.

    `waiting` is told, in words, if there is somebody to wait for.
    """
    # Imported here: only making things needs a lock, and the import costs 40 ms.
    import filelock

    folder = ensure_dir(place("locks"))
    try:
        lock = filelock.FileLock(folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0 if waiting else -1)
        except filelock.Timeout:
            assert waiting is not None
            waiting(f"another gotoolforge works on {name}; waiting for it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StoreError:
    what = f"the store cannot be written: {folder}: {error.strerror}"
    return StoreError(what, hint="set GOTOOLFORGE_CACHE to a folder that you can write to")


def is_locked(name: str) -> bool:
    """Whether some process holds the store-wide lock `name` now."""
    import filelock

    path = place("locks", f"{name}.lock")
    if not path.exists():
        return False
    try:
        with filelock.FileLock(path, timeout=0):
            return False
    except filelock.Timeout:
        return True


@contextmanager
def scratch_dir(near: Path | None = None) -> Iterator[Path]:
    """A temporary folder that is gone afterwards; `near` keeps it on that folder's file system.

    What killed runs left beside it is removed first.
    """
    import tempfile

    base = near if near is not None else ensure_dir(place("tmp"))
    _sweep(base)
    try:
        made = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=base))
    except OSError as error:
        if near is not None or error.errno not in _READ_ONLY:
            raise
        raise _unwritable(base, error) from error
    handle = os.open(made, os.O_RDONLY)
    try:
        _flock(handle)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def _sweep(base: Path) -> None:
    """Remove the scratch folders that nobody holds: a number of a process would mean another one
    in the next container that shares the store."""
    for left in base.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(OSError):
            # One that was only just made may not be held yet.
            if time.time() - left.stat().st_mtime < _HELD_AFTER:
                continue
            handle = os.open(left, os.O_RDONLY)
            try:
                if _flock(handle):
                    shutil.rmtree(left)
            finally:
                os.close(handle)


def _flock(handle: int) -> bool:
    """Hold that folder until its handle is closed or the process ends; whether it is ours now.

    A file system that cannot lock says no each time: nothing is swept there.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def publish(made: Path, final: Path) -> None:
    """Rename a finished folder into place; if another process was first, its result stands."""
    ensure_dir(final.parent)
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise
