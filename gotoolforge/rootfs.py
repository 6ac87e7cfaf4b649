"""Folders and image tarballs that stand for another machine, and the libraries in them.

A link in a foreign root counts from that root. An image is what `docker save` or `podman save`
writes (Docker's or OCI's layout), or the tarball of a plain root.
"""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gotoolforge import store
from gotoolforge.errors import UnreadableError

_FOLDERS = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib")
_MOST_LINKS = 40


def inside(root: Path, path: str) -> Path | None:
    """Where an absolute path of a foreign root really lies; None if it is not there."""
    done = root
    parts = [one for one in path.split("/") if one not in {"", "."}]
    for _ in range(_MOST_LINKS * 10):
        if not parts:
            return done if done.exists() else None
        part = parts.pop(0)
        if part == "..":
            done = done.parent if done != root else root
            continue
        step = done / part
        if step.is_symlink():
            target = str(step.readlink())
            if target.startswith("/"):
                done = root
            parts = [one for one in target.split("/") if one not in {"", "."}] + parts
            continue
        done = step
    return None


def find_libraries(root: Path, name: str) -> Iterator[Path]:
    """Every file of that soname in the usual folders, multiarch ones too."""
    for folder in _FOLDERS:
        base = inside(root, folder)
        if base is None or not base.is_dir():
            continue
        inner = os.path.relpath(base, root)
        names = [inner, *(f"{inner}/{one.name}" for one in base.glob("*-linux-*") if one.is_dir())]
        for where in names:
            found = inside(root, f"{where}/{name}")
            if found is not None and found.is_file():
                yield found


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """`path` as a root folder: itself, or an image tarball unpacked for as long as it is used.

    Raises UnreadableError if it is neither.
    """
    if path.is_dir():
        yield path
        return
    with store.scratch_dir() as scratch:
        root = scratch / "root"
        root.mkdir()
        try:
            _unpack_image(path, root, scratch / "image")
        except (OSError, tarfile.TarError, ValueError, KeyError, TypeError, EOFError) as error:
            what = f"{path}: no root folder and no image tarball: {error}"
            hint = "a folder, `docker save IMAGE -o FILE.tar`, or the tarball of a root"
            raise UnreadableError(what, hint=hint) from error
        try:
            yield root
        finally:
            _make_removable(root)


def _unpack_image(tarball: Path, root: Path, scratch: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = set(archive.getnames())
        if not {"manifest.json", "index.json"} & names:
            _unpack_layer(archive, root)
            return
        scratch.mkdir()
        archive.extractall(scratch, filter="data")
    for layer in _layers(scratch):
        with tarfile.open(layer) as one:
            _unpack_layer(one, root)


def _layers(image: Path) -> list[Path]:
    if (image / "manifest.json").is_file():
        (first, *_) = json.loads((image / "manifest.json").read_text())
        return [_member(image, name) for name in first["Layers"]]
    value = json.loads((image / "index.json").read_text())
    while "manifests" in value:
        value = json.loads(_blob(image, value["manifests"][0]["digest"]).read_text())
    return [_blob(image, one["digest"]) for one in value["layers"]]


def _blob(image: Path, digest: str) -> Path:
    kind, _, name = digest.partition(":")
    return _member(image, f"blobs/{kind}/{name}")


def _member(image: Path, name: str) -> Path:
    path = (image / name).resolve()
    if not path.is_relative_to(image.resolve()):
        what = f"a layer lies outside the image: {name}"
        raise ValueError(what)
    return path


def _unpack_layer(archive: tarfile.TarFile, root: Path) -> None:
    """One layer over what is there: OCI's whiteouts take away, devices are left out."""
    for member in archive:
        base = os.path.normpath("/" + member.name).lstrip("/")
        parent = inside(root, os.path.dirname(base))  # noqa: PTH120 - it is a name in the archive
        if parent is None:
            parent = root / os.path.dirname(base)  # noqa: PTH120
            parent.mkdir(parents=True, exist_ok=True)
        name = os.path.basename(base)  # noqa: PTH119
        if name == ".wh..wh..opq":
            for child in parent.iterdir():
                _remove(child)
        elif name.startswith(".wh."):
            _remove(parent / name.removeprefix(".wh."))
        elif name:
            _place(archive, member, parent / name, root)


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, root: Path) -> None:
    if member.isdir():
        if path.is_symlink() or not path.is_dir():
            _remove(path)
            path.mkdir()
        path.chmod(member.mode & 0o777 | 0o700)
        return
    _remove(path)
    if member.issym():
        path.symlink_to(member.linkname)
    elif member.islnk():
        source = inside(root, member.linkname)
        if source is not None and source.is_file():
            os.link(source, path)
    elif member.isfile():
        content = archive.extractfile(member)
        assert content is not None
        with path.open("wb") as sink:
            shutil.copyfileobj(content, sink)
        path.chmod(member.mode & 0o777 | 0o600)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _make_removable(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o700)
