"""TOML files to frozen values: the one loader behind every table in `recipes/`."""

import threading
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gotoolforge.errors import RecipeError

T = TypeVar("T")
# msgspec 0.22 crashes if two threads use a type for the first time at once: the second sees what
# the first has found out of its fields half done.
_one_at_a_time = threading.Lock()
_HINT = "correct that file; `git diff` shows what changed in it"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that is read from a data file: frozen, and strict about its keys."""


def load_table(path: Path, kind: type[T], hint: str = _HINT) -> T:
    """Read the TOML file `path` as a `kind`.

    Raises RecipeError, naming the file and the key, if it cannot be read or does not fit; `hint`
    says what to do then.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        with _one_at_a_time:
            return msgspec.convert(raw, kind)
    except OSError as error:
        what = f"{path}: cannot be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        what = f"{path}: {error}"
    raise RecipeError(what, hint=hint)
