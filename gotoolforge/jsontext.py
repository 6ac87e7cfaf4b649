"""JSON as this program writes it. A name of a file need not be text, and JSON is."""

from typing import Any, Literal

import msgspec

Order = Literal["deterministic", "sorted"]


def document(value: Any, *, order: Order | None = None) -> bytes:
    """A JSON document for people too: indented, with a line end; as `compact` otherwise."""
    return msgspec.json.format(compact(value, order=order), indent=2) + b"\n"


def compact(value: Any, *, order: Order | None = None) -> bytes:
    """A value as JSON on one line; bytes that are no UTF-8 are told by their numbers."""
    try:
        return msgspec.json.encode(value, order=order)
    except UnicodeEncodeError:
        return msgspec.json.encode(_as_text(msgspec.to_builtins(value)), order=order)


def _as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {_as_text(key): _as_text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return value
