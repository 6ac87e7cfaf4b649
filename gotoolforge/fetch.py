"""The one door to the network: files by their sha256, from several places, resumed, checked.

Long waits are shown: one bar a file on a terminal, one line elsewhere.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gotoolforge import distro, run, store
from gotoolforge.console import Console, is_terminal
from gotoolforge.errors import FetchError
from gotoolforge.recipe import Form, Source
from gotoolforge.run import Command

_TRIES = 3
_TIMEOUT = (10, 60)
_PIECE = 1 << 16
_RETRIED = {408, 429, 500, 502, 503, 504}


# Hosts that do not resolve or refuse to connect, with the reason: asked once in a run.
_dead: dict[str, str] = {}


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A source whose file lies in the store, and the form in which it was had."""

    source: Source
    form: Form
    path: Path


class _PlaceError(Exception):
    """One place does not have the file; `final` means that asking again is of no use."""

    def __init__(self, why: str, *, final: bool = True) -> None:
        super().__init__(why)
        self.final = final


def find_source(source: Source) -> Fetched | None:
    """The source if one of its forms lies in the store whole; a damaged file is removed."""
    for form in source.forms:
        if _is_whole(path := _kept(form), form):
            return Fetched(source=source, form=form, path=path)
    return None


def ensure_source(source: Source, console: Console, *, offline: bool = False) -> Fetched:
    """The file of `source` in the store, in one of its forms, fetched if none is there.

    Raises FetchError that lists every place and why it failed.
    """
    if found := find_source(source):
        return found
    first = _kept(source.forms[0])
    by_hand = f"or put the file yourself at {first}"
    if offline:
        names = " or ".join(form.file for form in source.forms)
        what = f"{names} is not in the store, and --offline forbids fetching it"
        raise FetchError(what, hint=f"run once without --offline, {by_hand}")
    store.ensure_dir(first.parent)
    reasons: list[str] = []
    with store.locked(f"{source.name}-{source.version}"):
        if found := find_source(source):
            return found
        for form in source.forms:
            for place, fetch in _places(form, console):
                try:
                    fetch(_kept(form))
                    return Fetched(source=source, form=form, path=_kept(form))
                except (_PlaceError, distro.DistroError) as error:
                    reasons.append(f"  {place}: {error}")
    name = source.forms[0].file if len(source.forms) == 1 else f"{source.name} {source.version}"
    what = f"{name} could not be had from any place:\n" + "\n".join(reasons)
    raise FetchError(what, hint=f"check the network (HTTPS_PROXY, REQUESTS_CA_BUNDLE), {by_hand}")


def _kept(form: Form) -> Path:
    return store.place("downloads", f"{form.sha256[:16]}-{form.file}")


def _is_whole(path: Path, form: Form) -> bool:
    if not path.is_file():
        return False
    if store.file_sha256(path) == form.sha256:
        return True
    path.unlink()
    return False


def _places(form: Form, console: Console) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Where a form may be had, in words, and what fetches it from there."""
    for url in form.urls:
        yield url, partial(_from_url, url, form, console)
    if form.distro:
        words = f"the distribution's source package {form.distro.package}"
        yield words, partial(_from_distro, form, console)
    if form.pip:
        words = f"the package {form.pip.package} {form.pip.version}, by pip"
        yield words, partial(_from_pip, form, console)


def _from_distro(form: Form, console: Console, final: Path) -> None:
    assert form.distro is not None
    with (
        console.step(f"fetch {form.file} from the distribution's sources", long=True),
        store.scratch_dir() as scratch,
    ):
        found = distro.fetch_source(form.distro.package, form.distro.suites, form.sha256, scratch)
        found.replace(final)


def _from_pip(form: Form, console: Console, final: Path) -> None:
    """A wheel by the user's own pip, with its index, proxy and certificates as they are set up."""
    place = form.pip
    assert place is not None
    argv = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--only-binary=:all:", "--platform", place.platform,
            f"{place.package}=={place.version}")  # fmt: skip
    with (
        console.step(f"fetch {form.file} by pip", long=True),
        store.scratch_dir() as scratch,
    ):
        answer = run.ask(Command(argv=(*argv, "--dest", str(scratch))))
        made = [one for one in scratch.iterdir() if one.is_file()]
        if answer.code or not made:
            said = (answer.err.strip() or answer.out.strip()).splitlines()
            raise _PlaceError(said[-1] if said else f"pip ended with exit code {answer.code}")
        if store.file_sha256(made[0]) != form.sha256:
            why = f"it gave {made[0].name} with another sha256; the file was removed"
            raise _PlaceError(why)
        made[0].replace(final)


def _from_url(url: str, form: Form, console: Console, final: Path) -> None:
    host = urlsplit(url).netloc
    if host in _dead:
        raise _PlaceError(_dead[host])
    part = final.with_name(final.name + ".part")
    for attempt in range(_TRIES):
        try:
            with console.step(f"fetch {form.file} from {url}", long=True):
                _download(url, form, part)
            break
        except _PlaceError as error:
            if error.final or attempt + 1 == _TRIES:
                raise
            console.say(f"{error}; trying again")
            time.sleep(2**attempt)
    if store.file_sha256(part) != form.sha256:
        words = _what_it_is(part)
        part.unlink()
        why = f"what it gave has another sha256{words}; the file was removed"
        raise _PlaceError(why)
    part.replace(final)


def _download(url: str, form: Form, part: Path) -> None:
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
            _save(answer, form, part, begun if resumed else 0)
    except requests.exceptions.ConnectTimeout as error:
        why = "no answer"
        raise _PlaceError(why, final=False) from error
    except requests.exceptions.ConnectionError as error:
        words, final = _connection_words(error), _is_final(error)
        if final:
            _dead[urlsplit(url).netloc] = words
        raise _PlaceError(words, final=final) from error
    except requests.exceptions.RequestException as error:
        why = f"{type(error).__name__}: {error}"
        raise _PlaceError(why, final=False) from error
    except OSError as error:
        why = f"cannot write {part}: {error.strerror}"
        raise _PlaceError(why) from error


def _save(answer: object, form: Form, part: Path, begun: int) -> None:
    import requests
    from tqdm import tqdm

    assert isinstance(answer, requests.Response)
    total = int(answer.headers.get("Content-Length", 0)) + begun or form.size or None
    with (
        part.open("ab" if begun else "wb") as sink,
        tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=form.file,
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
