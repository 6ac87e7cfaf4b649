"""Unpacking archives that came from outside: nothing may climb out of the folder."""

import fnmatch
import os
import re
import sys
import zipfile
from pathlib import Path

import msgspec

from gotoolforge import jsontext, run
from gotoolforge.errors import FetchError, GotoolforgeError, StoreError
from gotoolforge.run import Command

if sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile


class _Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong, as one process tells it to another; `kind` is the error's class."""

    kind: str
    what: str
    hint: str


def unpack(archive: Path, folder: Path, skip: tuple[str, ...] = ()) -> None:
    """Unpack a tarball or a wheel into the new folder `folder`.

    `skip` are shell patterns of folders, relative to the archive's top one, that are left out.
    It is done by another Python, so that several at once do not wait for each other's interpreter,
    and so that a stopped run can end it.

    Raises FetchError for a member that climbs out or is absolute and for a broken archive,
    StoreError where the disk is full, InterruptedRunError when the run is being stopped.
    """
    # With the same modules as here, and none from the current folder.
    env = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    words = (str(archive), str(folder), *skip)
    answer = run.ask(Command(argv=(sys.executable, "-P", "-m", __name__, *words), env=env))
    run.refuse_when_stopping()
    if not answer.code:
        return
    if not answer.out:
        what = f"cannot unpack {archive.name}: exit code {answer.code}: {answer.err.strip()[-300:]}"
        raise StoreError(what, hint="is memory short? The same command then goes on")
    said = msgspec.json.decode(answer.out, type=_Refusal)
    kinds = {one.__name__: one for one in (FetchError, StoreError)}
    raise kinds[said.kind](said.what, hint=said.hint)


def _unpack(archive: Path, folder: Path, skip: tuple[str, ...]) -> None:
    try:
        folder.mkdir(parents=True)
        if archive.suffix in {".whl", ".zip"}:
            _unzip(archive, folder, _any_of(skip))
        else:
            _untar(archive, folder, _any_of(skip))
    except tarfile.FilterError as error:
        what = f"{archive.name} is refused: {error}"
        raise FetchError(
            what, hint="no honest archive has such a member; remove the file"
        ) from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        what = f"{archive.name} is not a whole archive: {error}"
        raise FetchError(what, hint="remove the file, and it will be fetched again") from error
    except OSError as error:
        what = f"cannot unpack {archive.name} into {folder}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error


def _any_of(skip: tuple[str, ...]) -> re.Pattern[str] | None:
    """What matches a member's name if it, or a folder it is in, is one of those patterns."""
    patterns = [fnmatch.translate(pattern) for one in skip for pattern in (one, f"{one}/*")]
    return re.compile("[^/]*/(" + "|".join(patterns) + ")") if patterns else None


def _untar(archive: Path, folder: Path, doomed: re.Pattern[str] | None) -> None:
    def wanted(member: tarfile.TarInfo, where: str) -> tarfile.TarInfo | None:
        if doomed and doomed.match(member.name):
            return None
        return tarfile.data_filter(member, where)

    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter=wanted)  # noqa: S202 (the filter is the guard)


def _unzip(archive: Path, folder: Path, doomed: re.Pattern[str] | None) -> None:
    with zipfile.ZipFile(archive) as opened:
        # zipfile itself strips what would climb out; it forgets who may be run.
        for member in opened.infolist():
            if doomed and doomed.match(member.filename):
                continue
            path = opened.extract(member, folder)
            if member.external_attr >> 16 & 0o111:
                Path(path).chmod(0o755)


if __name__ == "__main__":
    run.ending_with_parent()()
    try:
        _unpack(Path(sys.argv[1]), Path(sys.argv[2]), tuple(sys.argv[3:]))
    except GotoolforgeError as error:
        refusal = _Refusal(kind=type(error).__name__, what=error.what, hint=error.hint)
        sys.stdout.buffer.write(jsontext.compact(refusal))
        sys.exit(1)
