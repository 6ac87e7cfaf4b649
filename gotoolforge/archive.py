"""Unpacking tarballs that came from outside: nothing may climb out of the folder."""

import tarfile
from pathlib import Path

from gotoolforge.errors import FetchError, StoreError


def unpack(tarball: Path, folder: Path) -> None:
    """Unpack `tarball` into the new folder `folder`.

    Raises FetchError for a member that climbs out or is absolute, or a broken archive, and
    StoreError for a full disk.
    """
    folder.mkdir(parents=True)
    try:
        with tarfile.open(tarball) as archive:
            archive.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        what = f"{tarball.name} is refused: {error}"
        raise FetchError(
            what, hint="no honest archive has such a member; remove the file"
        ) from error
    except (tarfile.TarError, EOFError) as error:
        what = f"{tarball.name} is not a whole archive: {error}"
        raise FetchError(what, hint="remove the file, and it will be fetched again") from error
    except OSError as error:
        what = f"cannot unpack {tarball.name} into {folder}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
