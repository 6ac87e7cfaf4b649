"""Unpacking archives that came from outside: nothing may climb out of the folder."""

import fnmatch
import re
import sys
import zipfile
from pathlib import Path

from gotoolforge import run
from gotoolforge.errors import FetchError, StoreError

if sys.version_info >= (3, 12):
    import tarfile
else:
    from backports import tarfile


def unpack(archive: Path, folder: Path, skip: tuple[str, ...] = ()) -> None:
    """Unpack a tarball or a wheel into the new folder `folder`.

    `skip` are shell patterns of folders, relative to the archive's top one, that are left out.
    Raises FetchError for a member that climbs out or is absolute and for a broken archive,
    StoreError where the disk is full, InterruptedRunError when the run is being stopped.
    """
    folder.mkdir(parents=True)
    try:
        if archive.suffix in {".whl", ".zip"}:
            _unzip(archive, folder)
        else:
            _untar(archive, folder, skip)
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


def _untar(archive: Path, folder: Path, skip: tuple[str, ...]) -> None:
    patterns = [fnmatch.translate(pattern) for one in skip for pattern in (one, f"{one}/*")]
    doomed = re.compile("|".join(patterns)) if patterns else None

    def wanted(member: tarfile.TarInfo, where: str) -> tarfile.TarInfo | None:
        run.refuse_when_stopping()
        if doomed and doomed.match(member.name.partition("/")[2]):
            return None
        return tarfile.data_filter(member, where)

    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter=wanted)  # noqa: S202 (the filter is the guard)


def _unzip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        # zipfile itself strips what would climb out; it forgets who may be run.
        for member in opened.infolist():
            run.refuse_when_stopping()
            path = opened.extract(member, folder)
            if member.external_attr >> 16 & 0o111:
                Path(path).chmod(0o755)
