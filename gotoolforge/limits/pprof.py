"""What the Go runtime itself says: its pprof profiles in their text form (net/http/pprof, debug=1).

The text form, not the protobuf one: only it carries the runtime's own sums (runtime.MemStats).
"""

import re
from urllib.parse import urlsplit

import msgspec

from gotoolforge import web
from gotoolforge.errors import PprofError, UsageError

_SECONDS = 10.0
_MOST_BYTES = 64 << 20
_HINT = 'import _ "net/http/pprof", serve its mux, and give that address: http://127.0.0.1:6060'
# Lines of the heap profile's end (Go: src/runtime/pprof/pprof.go, writeHeapInternal).
_SUMS = {
    "heap": r"^# HeapAlloc = (\d+)$",
    "heap_held": r"^# HeapSys = (\d+)$",
    "heap_released": r"^# HeapReleased = (\d+)$",
    "next_collection": r"^# NextGC = (\d+)$",
    "collections": r"^# NumGC = (\d+)$",
    "stacks": r"^# Stack = (\d+) / \d+$",
    "total": r"^# Sys = (\d+)$",
}


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What one Go program says of itself.

    Bytes: `heap` in objects, `heap_held` and `heap_released` to and from the system,
    `next_collection` the heap at which the collector starts, `stacks` of goroutines, `total` all
    that the runtime has had of the system. `threads` counts those made, ended ones too.
    """

    goroutines: int
    threads: int
    heap: int
    heap_held: int
    heap_released: int
    next_collection: int
    collections: int
    stacks: int
    total: int


class Pprof:
    """The pprof pages of one program. Raises UsageError for what is no http address."""

    def __init__(self, url: str, *, seconds: float = _SECONDS) -> None:
        self.base = page_base(url)
        self._asker = web.Asker(seconds=seconds, most=_MOST_BYTES)

    def read(self) -> Runtime:
        """Ask once. Raises PprofError: refused, stalled, cut off, or something else is served."""
        goroutines = _total(self._get("goroutine?debug=1"), "goroutine", self.base)
        threads = _total(self._get("threadcreate?debug=1"), "threadcreate", self.base)
        sums = _sums(self._get("heap?debug=1"), self.base)
        return Runtime(goroutines=goroutines, threads=threads, **sums)

    def command_line(self) -> tuple[str, ...]:
        """The words that the program was started with. Raises PprofError."""
        return tuple(self._get("cmdline").split("\0"))

    def _get(self, page: str) -> str:
        try:
            return self._asker.get(self.base + page).decode(errors="replace")
        except web.WebError as error:
            what = f"{self.base}{page}: {error}"
            raise PprofError(what, hint=_HINT) from error


def page_base(url: str) -> str:
    """Where the pages lie: a bare host or `host:port` gets http:// and /debug/pprof/."""
    full = url if "://" in url else f"http://{url}"
    try:
        parts = urlsplit(full)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname)
        known = known and parts.port != 0
    except ValueError:
        known = False
    if not known:
        what = f"--pprof {url}: this is no http address"
        raise UsageError(what, hint=_HINT)
    path = parts.path if parts.path.strip("/") else "/debug/pprof"
    return f"{parts.scheme}://{parts.netloc}{path.rstrip('/')}/"


def _total(text: str, name: str, base: str) -> int:
    found = re.match(rf"{name} profile: total (\d+)\n", text)
    if not found:
        raise _other(text, name, base)
    return int(found[1])


def _sums(text: str, base: str) -> dict[str, int]:
    if not text.startswith("heap profile: "):
        raise _other(text, "heap", base)
    sums = {}
    for name, pattern in _SUMS.items():
        found = re.search(pattern, text, re.MULTILINE)
        if not found:
            what = f"{base}: the heap profile is cut off: it does not say {name}"
            raise PprofError(what, hint="is something between here and the program?")
        sums[name] = int(found[1])
    return sums


def _other(text: str, name: str, base: str) -> PprofError:
    first = text.strip().partition("\n")[0][:60]
    what = f"{base}: it serves something else than a {name} profile: {first!r}"
    return PprofError(what, hint=_HINT)
