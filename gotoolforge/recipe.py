"""Recipes: upstream sources, the forms in which each is accepted, and where those lie.

Read from `recipes/sources/*.toml`. A form without a sha256 does not load.
"""

import re
from urllib.parse import urlsplit

import msgspec

from gotoolforge import paths
from gotoolforge.errors import RecipeError
from gotoolforge.tables import Row, load_table


class DistroPlace(Row, frozen=True):
    """A distribution's source package that carries the file, and the suites to look in."""

    package: str
    suites: tuple[str, ...]


class PipPlace(Row, frozen=True):
    """A package of the Python index, fetched by pip; `platform` is that of the wheel."""

    package: str
    version: str
    platform: str


class Fixup(Row, frozen=True):
    """A small change that a repacked tree needs before it builds.

    `content` is the whole of a new file. Without it, `file` is edited: from the line that starts
    with `start` up to the one that starts with `until`, `put` stands instead.
    """

    file: str
    content: str = ""
    start: str = ""
    until: str = ""
    put: str = ""


class Form(Row, frozen=True):
    """One file that is accepted as a source: known by its sha256, wherever it comes from.

    `size` is in bytes, 0 where not recorded. `inner` is an archive inside the archive, `root` the
    folder that is the tree where the archive has several, `host` the machine that it is for.
    """

    file: str
    sha256: str
    size: int = 0
    urls: tuple[str, ...] = ()
    distro: DistroPlace | None = None
    pip: PipPlace | None = None
    host: str = ""
    inner: str = ""
    root: str = ""
    fixups: tuple[Fixup, ...] = ()


class Source(Row, frozen=True):
    """One component at one version, in the forms that are accepted, the preferred one first."""

    name: str
    version: str
    licence: str
    forms: tuple[Form, ...]


def load_source(name: str, host: str = "") -> Source:
    """The source in `recipes/sources/NAME.toml`; of its forms, those for `host` (linux-amd64) only.

    Raises RecipeError, naming file and key, for a form without a digest, a bad URL, or no place,
    and if no form is for that host.
    """
    path = paths.recipes_dir() / "sources" / f"{name}.toml"
    source = load_table(path, Source)
    for form in source.forms:
        if problem := _problem(form):
            what = f"{path}: forms: {form.file}: {problem}"
            raise RecipeError(what, hint="correct it in that file")
    forms = tuple(form for form in source.forms if not host or form.host in {"", host})
    if not forms:
        what = f"{path}: no form of {source.name} {source.version} is for {host}"
        raise RecipeError(what, hint="add one to that file")
    return msgspec.structs.replace(source, forms=forms)


def _problem(form: Form) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", form.sha256):
        return f"sha256: not 64 hexadecimal digits in lower case: {form.sha256!r}"
    if "/" in form.file or form.file in {"", ".", ".."}:
        return "file: a name without folders is wanted"
    for url in form.urls:
        parts = urlsplit(url)
        if parts.scheme not in {"https", "http"} or not parts.netloc:
            return f"urls: not an http(s) address: {url!r}"
    if not (form.urls or form.distro or form.pip):
        return "urls, distro, pip: one of them has to say where it lies"
    if form.size < 0:
        return f"size: less than nothing: {form.size}"
    if form.host and not re.fullmatch(r"(linux|darwin)-[a-z0-9]+", form.host):
        return f"host: wanted is such as linux-amd64: {form.host!r}"
    for key, name in [("root", form.root), ("inner", form.inner),
                      *(("fixups", one.file) for one in form.fixups)]:  # fmt: skip
        if name.startswith("/") or ".." in name.split("/"):
            return f"{key}: leads out of the tree: {name!r}"
    for fixup in form.fixups:
        if bool(fixup.content) == bool(fixup.start and fixup.until):
            return f"fixups: {fixup.file}: either content, or start and until"
    return ""
