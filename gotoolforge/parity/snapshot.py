"""A snapshot: what one machine, or one process on it, was found to be. JSON, version 1."""

from pathlib import Path

import msgspec

from gotoolforge import jsontext
from gotoolforge.errors import SnapshotError

KIND = "gotoolforge-parity"
VERSION = 1
_START = f'{{"kind": "{KIND}"'
_COMPLETE = "capture.complete"
_MAKE = "make one with `gotoolforge parity capture -o FILE`"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key: a value, always as text, or the reason why it is unknown."""

    value: str | None = None
    unknown: str | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """Keys to entries. A key that is not there was not looked for."""

    entries: dict[str, Entry]
    kind: str = KIND
    version: int = VERSION

    def value(self, key: str) -> str | None:
        """The value of a key; None where it is unknown or was not looked for."""
        entry = self.entries.get(key)
        return entry.value if entry else None

    def to_json(self) -> bytes:
        """The document that `load_snapshot` reads back."""
        document = {"kind": self.kind, "version": self.version, "entries": self.entries}
        return jsontext.document(document)


class _Head(msgspec.Struct):
    kind: str = ""
    version: int = 0


def load_snapshot(path: Path) -> Snapshot:
    """Read a snapshot file. Raises SnapshotError."""
    try:
        text = path.read_bytes()
    except OSError as error:
        what = f"{path}: cannot be read: {error.strerror}"
        raise SnapshotError(what, hint=_MAKE) from error
    return parse_snapshot(text, str(path))


def parse_snapshot(content: bytes, name: str) -> Snapshot:
    """The snapshot in what a script or a shell said; a banner before and words behind are ignored.

    Raises SnapshotError for another kind of file, a newer version, or one cut off.
    """
    text = content.decode(errors="replace")
    found = text.find(_START)
    begin = max(found, 0)
    try:
        raw, _end = _json_value(text[begin:])
        head = msgspec.convert(raw, _Head)
    except ValueError as error:
        if found >= 0:
            what = f"{name}: the snapshot is cut off or damaged: {error}"
            raise SnapshotError(what, hint="capture it again") from error
        what = f"{name}: this is no snapshot of gotoolforge"
        raise SnapshotError(what, hint=_MAKE) from error
    if head.kind != KIND:
        what = f"{name}: this is no snapshot of gotoolforge"
        raise SnapshotError(what, hint=_MAKE)
    if head.version != VERSION:
        what = f"{name}: version {head.version} of the format; this gotoolforge reads {VERSION}"
        raise SnapshotError(what, hint="use the gotoolforge that wrote it, or capture it again")
    try:
        snapshot = msgspec.convert(raw, Snapshot)
    except msgspec.ValidationError as error:
        what = f"{name}: the snapshot is damaged: {error}"
        raise SnapshotError(what, hint="capture it again") from error
    if snapshot.value(_COMPLETE) != "yes":
        what = f"{name}: the snapshot is cut off: its last entry is missing"
        raise SnapshotError(what, hint="capture it again")
    return snapshot


def _json_value(text: str) -> tuple[object, int]:
    # msgspec wants the whole text to be one value; what a shell says on leaving may follow here.
    import json

    return json.JSONDecoder().raw_decode(text.lstrip())
