"""The one door to the web: one file from one URL, resumed, tried again where that can help.

Also short questions to one server, over a connection that is kept (`Asker`).

Proxies and certificates are those of the environment, as requests reads it (HTTPS_PROXY,
REQUESTS_CA_BUNDLE). One bar a file on a terminal, one line elsewhere.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gotoolforge import store
from gotoolforge.console import Console, is_terminal
from gotoolforge.errors import StoreError
from gotoolforge.recipe import Form

if TYPE_CHECKING:
    from requests import Response

_TRIES = 3
# Seconds: to connect, and without a byte.
_TIMEOUT = (10.0, 60.0)
_PIECE = 1 << 16
_RETRIED = {408, 425, 429, 500, 502, 503, 504}

# Hosts that do not resolve, refuse to connect or are not trusted, with the reason: asked once in a
# run, so that five files do not wait five times.
_dead: dict[str, str] = {}


class WebError(Exception):
    """A URL does not give the file, in words; `final` means that asking again is of no use."""

    def __init__(self, why: str, *, final: bool = True) -> None:
        super().__init__(why)
        self.final = final


class Asker:
    """Asks one server again and again, over one connection that stays open.

    A server that has run out of descriptors takes no new connection, and still answers on this.
    """

    def __init__(self, *, seconds: float, most: int) -> None:
        """Each answer may take `seconds` in all and have `most` bytes."""
        import requests

        self._session = requests.Session()
        self._seconds = seconds
        self._most = most

    def get(self, url: str) -> bytes:
        """What the URL gives. Raises WebError: no answer, a stall, a redirection, too much."""
        import requests
        import urllib3.exceptions

        until = time.monotonic() + self._seconds
        content = bytearray()
        try:
            with self._session.get(
                url, stream=True, timeout=self._seconds, allow_redirects=False
            ) as answer:
                if answer.status_code != 200:
                    why = f"HTTP {answer.status_code} {answer.reason}"
                    raise WebError(why)
                # read1: what has come, so that a server that drips is given up in time.
                while piece := answer.raw.read1(_PIECE, decode_content=True):
                    content += piece
                    if len(content) > self._most:
                        why = f"it gives more than {self._most} bytes"
                        raise WebError(why)
                    if time.monotonic() > until:
                        why = f"it stalled: not all came within {self._seconds:g} seconds"
                        raise WebError(why)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            if "timed out" in str(error):
                why = f"it stalled: nothing came for {self._seconds:g} seconds"
            elif isinstance(error, urllib3.exceptions.HTTPError):
                why = f"it broke off after {len(content)} bytes"
            else:
                why, _final = _explain(error)
            raise WebError(why) from error
        return bytes(content)


def fetch_url(url: str, form: Form, final: Path, console: Console) -> None:
    """Put the file from `url` at `final`, whole and with the right digest.

    Raises WebError, and StoreError where the disk is full. What came before a break stays beside
    `final` as `.part`, and the next try, of whichever URL and process, goes on from there.
    """
    host = urlsplit(url).netloc
    if host in _dead:
        raise WebError(_dead[host])
    part = final.with_name(f"{final.name}.part")
    for attempt in range(_TRIES):
        try:
            _fetch_once(url, form, part, console)
            break
        except WebError as error:
            if error.final or attempt + 1 == _TRIES:
                raise
            console.say(f"{url}: {error}; trying again")
            time.sleep(2**attempt)
    part.replace(final)


def _fetch_once(url: str, form: Form, part: Path, console: Console) -> None:
    if part.is_file() and store.file_sha256(part) == form.sha256:
        return
    # A spinner and a bar would write over each other.
    with console.step(f"fetch {form.file} from {url}", long=not is_terminal()):
        resumed = _request(url, form, part, quiet=console.quiet)
    if store.file_sha256(part) != form.sha256:
        part.unlink()
        # The first half may have come from another place, and be what is wrong.
        why = "what it gave has another sha256; the file was removed"
        raise WebError(why, final=not resumed)


def _request(url: str, form: Form, part: Path, *, quiet: bool) -> bool:
    """One request; whether it went on where `part` ended."""
    # requests costs 90 ms to import: only a download pays for it.
    import requests

    begun = part.stat().st_size if part.is_file() else 0
    # A tarball is not to be unpacked on the way: its digest is of what lies on the server.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == 416:
                part.unlink()
                why = "it refuses to go on where an earlier download ended"
                raise WebError(why, final=False)
            if answer.status_code >= 400:
                why = f"HTTP {answer.status_code} {answer.reason}"
                raise WebError(why, final=answer.status_code not in _RETRIED)
            told = answer.headers.get("Content-Range", "")
            resumed = answer.status_code == 206 and told.startswith(f"bytes {begun}-")
            _save(answer, form, part, begun if resumed else 0, quiet=quiet)
            return resumed
    except requests.exceptions.RequestException as error:
        why, final = _explain(error)
        if final:
            _dead[urlsplit(url).netloc] = why
        raise WebError(why, final=final) from error


def _save(answer: "Response", form: Form, part: Path, begun: int, *, quiet: bool) -> None:
    import urllib3.exceptions
    from tqdm import tqdm

    rest = int(answer.headers.get("Content-Length", 0))
    total = rest + begun if rest else form.size or None
    if form.size and total != form.size and not _is_text(answer):
        why = f"its file has {total} bytes, not {form.size}"
        raise WebError(why)
    try:
        with (
            part.open("ab" if begun else "wb") as sink,
            tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=form.file,
                 disable=quiet or not is_terminal(), leave=False) as bar,
        ):  # fmt: skip
            for piece in answer.raw.stream(_PIECE, decode_content=False):
                if sink.tell() == 0 and _is_page(piece):
                    why = "it gave a web page: a portal or an error page stands in between"
                    raise WebError(why)
                sink.write(piece)
                bar.update(len(piece))
    except urllib3.exceptions.ReadTimeoutError as error:
        why = f"it stalled: nothing came for {_TIMEOUT[1]:g} seconds"
        raise WebError(why, final=False) from error
    except urllib3.exceptions.HTTPError as error:
        why = f"it broke off after {part.stat().st_size} of {total or 'unknown'} bytes"
        raise WebError(why, final=False) from error
    except OSError as error:
        what = f"cannot write {part}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
    finally:
        if part.is_file() and part.stat().st_size == 0:
            part.unlink()
    if total and (came := part.stat().st_size if part.is_file() else 0) < total:
        why = f"it broke off after {came} of {total} bytes"
        raise WebError(why, final=False)


def _explain(error: Exception) -> tuple[str, bool]:
    """Why there was no answer, and whether a second try is of no use."""
    import requests.exceptions as kinds

    text = str(error)
    if isinstance(error, kinds.ProxyError):
        return "the proxy (HTTPS_PROXY, HTTP_PROXY) does not let it through", True
    if isinstance(error, kinds.SSLError):
        return "its certificate is not trusted (REQUESTS_CA_BUNDLE can name your authority)", True
    if "NameResolution" in text or "Name or service" in text:
        return "the name does not resolve", True
    if "refused" in text:
        return "the connection was refused", True
    if isinstance(error, kinds.Timeout):
        return "no answer", False
    if isinstance(error, kinds.InvalidURL | kinds.InvalidSchema | kinds.MissingSchema):
        return f"not an address: {text}", True
    return f"no connection ({type(error).__name__})", False


def _is_text(answer: "Response") -> bool:
    return answer.headers.get("Content-Type", "").startswith("text/")


def _is_page(piece: bytes) -> bool:
    return piece[:512].lstrip().lower().startswith((b"<!doctype html", b"<html"))
