"""What every compiler family gives: a C toolchain for one target, as a frozen value."""

from pathlib import Path

import msgspec

from gotoolforge import jsontext


class Toolchain(msgspec.Struct, frozen=True, kw_only=True):
    """An installed C toolchain for one target.

    `prefix` is its root and `sysroot` holds the target's headers and libc. `cc`, `cxx` and `ar` are
    absolute paths that stay the same from run to run, since Go keys its cache on them; `cxx` is
    None where the family has no C++. `digest` names everything that decides what it emits.
    """

    family: str
    target: str
    version: str
    digest: str
    prefix: Path
    sysroot: Path
    cc: Path
    cxx: Path | None
    ar: Path
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    fortran: Path | None = None


def to_manifest(toolchain: Toolchain) -> bytes:
    """The toolchain as the JSON of its manifest.json; paths as text."""
    return jsontext.document(msgspec.to_builtins(toolchain, enc_hook=str))


def from_manifest(content: bytes) -> Toolchain:
    """The inverse of `to_manifest`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=Toolchain, dec_hook=lambda kind, text: kind(text))
