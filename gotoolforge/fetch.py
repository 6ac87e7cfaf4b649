"""The one door to the network: files by their sha256, from several places, resumed, checked.

Long waits are shown: one bar a file on a terminal, one line elsewhere.
"""

import time
from pathlib import Path

from gotoolforge import distro, store
from gotoolforge.console import Console, is_terminal
from gotoolforge.errors import FetchError
from gotoolforge.recipe import Source

_TRIES = 3
_TIMEOUT = (10, 60)
_PIECE = 1 << 16
_RETRIED = {408, 429, 500, 502, 503, 504}


class _PlaceError(Exception):
    """One place does not have the file; `final` means that asking again is of no use."""

    def __init__(self, why: str, *, final: bool = True) -> None:
        super().__init__(why)
        self.final = final


def ensure_source(source: Source, console: Console, *, offline: bool = False) -> Path:
    """The file of `source` in the store, fetched if it is not there.

    Raises FetchError that lists every place and why it failed.
    """
    final = store.place("downloads", f"{source.sha256[:16]}-{source.file}")
    if _is_whole(final, source):
        return final
    by_hand = f"or put the file yourself at {final}"
    if offline:
        what = f"{source.file} is not in the store, and --offline forbids fetching it"
        raise FetchError(what, hint=f"run once without --offline, {by_hand}")
    store.ensure_dir(final.parent)
    reasons = []
    with store.locked(final.name):
        if _is_whole(final, source):
            return final
        for url in source.urls:
            try:
                _from_url(url, source, final, console)
                return final
            except _PlaceError as error:
                reasons.append(f"  {url}: {error}")
        if source.distro is not None:
            place = f"the distribution's source package {source.distro.package}"
            try:
                _from_distro(source, final, console)
                return final
            except distro.DistroError as error:
                reasons.append(f"  {place}: {error}")
    what = f"{source.file} could not be had from any place:\n" + "\n".join(reasons)
    raise FetchError(what, hint=f"check the network (HTTPS_PROXY, REQUESTS_CA_BUNDLE), {by_hand}")


def _is_whole(path: Path, source: Source) -> bool:
    if not path.is_file():
        return False
    if store.file_sha256(path) == source.sha256:
        return True
    path.unlink()
    return False


def _from_distro(source: Source, final: Path, console: Console) -> None:
    assert source.distro is not None
    with (
        console.step(f"fetch {source.file} from the distribution's sources", long=True),
        store.scratch_dir() as scratch,
    ):
        found = distro.fetch_source(
            source.distro.package, source.distro.suites, source.sha256, scratch
        )
        found.replace(final)


def _from_url(url: str, source: Source, final: Path, console: Console) -> None:
    part = final.with_name(final.name + ".part")
    for attempt in range(_TRIES):
        try:
            with console.step(f"fetch {source.file} from {url}", long=True):
                _download(url, source, part)
            break
        except _PlaceError as error:
            if error.final or attempt + 1 == _TRIES:
                raise
            console.say(f"{error}; trying again")
            time.sleep(2**attempt)
    if store.file_sha256(part) != source.sha256:
        words = _what_it_is(part)
        part.unlink()
        why = f"what it gave has another sha256{words}; the file was removed"
        raise _PlaceError(why)
    part.replace(final)


def _download(url: str, source: Source, part: Path) -> None:
    # requests costs 90 ms to import: only a download pays for it.
    import requests

    begun = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:
                part.unlink()
                why = "it refuses to go on where an earlier download ended"
                raise _PlaceError(why, final=False)
            if answer.status_code >= 400:
                why = f"HTTP {answer.status_code} {answer.reason}"
                raise _PlaceError(why, final=answer.status_code not in _RETRIED)
            resumed = answer.status_code == 206
            _save(answer, source, part, begun if resumed else 0)
    except requests.exceptions.ConnectTimeout as error:
        why = "no answer"
        raise _PlaceError(why, final=False) from error
    except requests.exceptions.ConnectionError as error:
        raise _PlaceError(_connection_words(error), final=_is_final(error)) from error
    except requests.exceptions.RequestException as error:
        why = f"{type(error).__name__}: {error}"
        raise _PlaceError(why, final=False) from error
    except OSError as error:
        why = f"cannot write {part}: {error.strerror}"
        raise _PlaceError(why) from error


def _save(answer: object, source: Source, part: Path, begun: int) -> None:
    import requests
    from tqdm import tqdm

    assert isinstance(answer, requests.Response)
    total = int(answer.headers.get("Content-Length", 0)) + begun or source.size or None
    with (
        part.open("ab" if begun else "wb") as sink,
        tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=source.file,
             disable=not is_terminal(), leave=False) as bar,
    ):  # fmt: skip
        for piece in answer.iter_content(_PIECE):
            sink.write(piece)
            bar.update(len(piece))
    if total and part.stat().st_size < total:
        why = f"it broke off after {part.stat().st_size} of {total} bytes"
        raise _PlaceError(why, final=False)


def _is_final(error: Exception) -> bool:
    """Whether the name does not resolve or the connection is refused: a second try is no use."""
    text = str(error)
    return any(sign in text for sign in ("NameResolution", "refused", "Name or service"))


def _connection_words(error: Exception) -> str:
    text = str(error)
    if "NameResolution" in text or "Name or service" in text:
        return "the name does not resolve"
    if "refused" in text:
        return "the connection was refused"
    if "IncompleteRead" in text or "Connection broken" in text:
        return "it broke off in the middle"
    return f"no connection ({type(error).__name__})"


def _what_it_is(part: Path) -> str:
    start = part.read_bytes()[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return " (it is a web page, so a portal or an error page stands in between)"
    return ""
