"""Write the published schema of `verify --json` from the structs that it is made of.

scripts/make_schemas.py
"""

import inspect
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gotoolforge.verify import FileReport  # noqa: E402

PATH = ROOT / "recipes" / "schemas" / "verify-1.json"
# `passed` is worked out, so msgspec does not know it.
FileValue = msgspec.defstruct("FileValue", [("passed", bool)], bases=(FileReport,), kw_only=True)
Document = msgspec.defstruct(
    "Document", [("version", Literal[1]), ("files", tuple[FileValue, ...])], kw_only=True
)


def schema() -> bytes:
    """The schema as it is published."""
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gotoolforge verify --json, version 1",
        **_tidy(msgspec.json.schema(Document)),
    }
    return msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n"


def _tidy(value: Any) -> Any:
    """The same for every release of msgspec and Python.

    They differ in the order of alternatives, and in the indentation that docstrings keep.
    """
    if isinstance(value, list):
        return [_tidy(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _tidy(one) for name, one in value.items()}
    if isinstance(words := made.get("description"), str):
        made["description"] = inspect.cleandoc(words)
    if "anyOf" in made:
        made["anyOf"].sort(key=msgspec.json.encode)
    return made


if __name__ == "__main__":
    PATH.write_bytes(schema())
