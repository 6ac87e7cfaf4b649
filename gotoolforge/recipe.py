"""Recipes: upstream files with digests and places, read from `recipes/sources/*.toml`."""

import re
from urllib.parse import urlsplit

from gotoolforge import paths
from gotoolforge.errors import RecipeError
from gotoolforge.tables import Row, load_table


class DistroPlace(Row, frozen=True):
    """A distribution's source package that carries the same file, and the suites to look in."""

    package: str
    suites: tuple[str, ...]


class Source(Row, frozen=True):
    """One upstream file. It is known by its sha256; `size` is in bytes, 0 where not recorded."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    urls: tuple[str, ...]
    size: int = 0
    host: str = ""
    distro: DistroPlace | None = None


class _Table(Row, frozen=True):
    source: tuple[Source, ...]


def load_sources(name: str) -> tuple[Source, ...]:
    """The sources in `recipes/sources/NAME.toml`.

    Raises RecipeError, naming file and key, for a place without a digest or a bad URL.
    """
    path = paths.recipes_dir() / "sources" / f"{name}.toml"
    rows = load_table(path, _Table).source
    for row in rows:
        if not re.fullmatch(r"[0-9a-f]{64}", row.sha256):
            what = f"{path}: {row.file}: sha256 is not a digest: {row.sha256!r}"
            raise RecipeError(what, hint="64 hexadecimal digits in lower case")
        for url in row.urls:
            parts = urlsplit(url)
            if parts.scheme not in {"https", "http"} or not parts.netloc:
                what = f"{path}: {row.file}: urls: not an http(s) address: {url!r}"
                raise RecipeError(what, hint="correct it in that file")
    return rows
