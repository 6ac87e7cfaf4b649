"""Sources that the user brings: a folder of files, or a bundle, for machines with no network.

A bundle is a plain tar: `bundle.json`, which says what is inside, then the files by the names that
they have in the store. Nothing in it is trusted: a file is taken by its sha256.
"""

import io
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gotoolforge import jsontext, store
from gotoolforge.errors import OutputError, StoreError
from gotoolforge.recipe import Form

_INDEX = "bundle.json"
_VERSION = 1


class GivenError(Exception):
    """A folder or a bundle of the user's does not have the file, in words."""


def given_places() -> tuple[Path, ...]:
    """Folders and bundles that GOTOOLFORGE_SOURCES names, separated as in PATH."""
    words = os.environ.get("GOTOOLFORGE_SOURCES", "").split(os.pathsep)
    return tuple(Path(word).expanduser() for word in words if word)


def kept_name(form: Form) -> str:
    """The name of a form's file in the store and in a bundle: its digest, then its own name."""
    return f"{form.sha256[:16]}-{form.file}"


def take(place: Path, form: Form, final: Path) -> None:
    """Copy the file from a folder or a bundle to `final`, checked by its digest.

    Raises GivenError, and StoreError where it cannot be written.
    """
    try:
        if place.is_dir():
            _from_folder(place, form, final)
        else:
            _from_bundle(place, form, final)
    except (tarfile.TarError, EOFError) as error:
        what = f"not a bundle, or not a whole one: {error}"
        raise GivenError(what) from error
    except OSError as error:
        raise GivenError(error.strerror or str(error)) from error


def write_bundle(files: Iterable[tuple[Form, Path]], out: Path) -> int:
    """Write a bundle of these files, whole or not at all; its size in bytes.

    The same files give the same bundle, bit for bit. Raises OutputError.
    """
    rows = sorted(files, key=lambda row: kept_name(row[0]))
    index = {
        "version": _VERSION,
        "files": [{"name": kept_name(form), "sha256": form.sha256, "size": path.stat().st_size}
                  for form, path in rows],
    }  # fmt: skip
    text = jsontext.document(index)
    scratch = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as made:
            made.addfile(_member(_INDEX, len(text)), io.BytesIO(text))
            for form, path in rows:
                with path.open("rb") as content:
                    made.addfile(_member(kept_name(form), path.stat().st_size), content)
        scratch.replace(out)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        what = f"cannot write {out}: {error.strerror}"
        raise OutputError(what, hint="name another file, or free some space") from error
    return out.stat().st_size


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _from_folder(folder: Path, form: Form, final: Path) -> None:
    wrong = ""
    for path in (folder / form.file, folder / kept_name(form)):
        if not path.is_file():
            continue
        if store.file_sha256(path) == form.sha256:
            with path.open("rb") as content:
                _put(content, form, final)
            return
        wrong = f"its {path.name} has another sha256"
    raise GivenError(wrong or "it is not there")


def _from_bundle(bundle: Path, form: Form, final: Path) -> None:
    with tarfile.open(bundle, "r:") as opened:
        try:
            member = opened.getmember(kept_name(form))
        except KeyError as error:
            what = "it is not in it"
            raise GivenError(what) from error
        content = opened.extractfile(member) if member.isfile() else None
        if content is None:
            what = f"its {member.name} is not a file"
            raise GivenError(what)
        with content:
            _put(content, form, final)


def _put(content: IO[bytes], form: Form, final: Path) -> None:
    scratch = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as sink:
            shutil.copyfileobj(content, sink, 1 << 20)
        if store.file_sha256(scratch) != form.sha256:
            what = f"its {form.file} has another sha256"
            raise GivenError(what)
        scratch.replace(final)
    except OSError as error:
        what = f"cannot write {scratch}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
    finally:
        scratch.unlink(missing_ok=True)
