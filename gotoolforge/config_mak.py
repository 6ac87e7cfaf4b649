"""musl-cross-make's config.mak: what it asks for, and what of it the forge does not do.

The file is a Makefile. Assignments are read, with references to earlier ones; whatever else stands
there (conditionals, includes, rules, functions) is reported by its line, not guessed at.
"""

import re
import shlex
from pathlib import Path

import msgspec

from gotoolforge.errors import UnreadableError, UsageError

# The versions by our names, and the flags by the parts that they are for.
_VERSIONS = {
    "GCC_VER": "gcc", "BINUTILS_VER": "binutils", "MUSL_VER": "musl", "GMP_VER": "gmp",
    "MPC_VER": "mpc", "MPFR_VER": "mpfr",
}  # fmt: skip
_FLAGS = {
    "COMMON_CONFIG": ("binutils", "gcc"), "TOOLCHAIN_CONFIG": ("gcc",),
    "GCC_CONFIG": ("gcc",), "GCC_CONFIG_FOR_TARGET": ("gcc",),
    "BINUTILS_CONFIG": ("binutils",), "MUSL_CONFIG": ("musl",),
}  # fmt: skip
# Flags of configure that the forge itself gives: another value would break what it makes.
_OWN = ("--prefix", "--target", "--host", "--build", "--enable-languages", "--with-sysroot",
        "--with-build-sysroot", "--with-gmp", "--with-mpfr", "--with-mpc")  # fmt: skip
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_][\w.-]*)\s*(\?=|:=|::=|\+=|=)\s*(.*)")
_REFERENCE = re.compile(r"\$\(([\w.-]+)\)|\$\{([\w.-]+)\}")


class ConfigMak(msgspec.Struct, frozen=True, kw_only=True):
    """What a config.mak says: empty where it says nothing.

    `versions`, and `configure` (flags of its script), are by component; `unknown` are lines,
    variables and words without a counterpart, a sentence each.
    """

    target: str = ""
    output: str = ""
    versions: dict[str, str] = {}
    configure: dict[str, tuple[str, ...]] = {}
    unknown: tuple[str, ...] = ()


def read_config_mak(path: Path) -> ConfigMak:
    """Read the file. Raises UnreadableError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"{path}: cannot be read: {error}"
        raise UnreadableError(what, hint="--config-mak wants musl-cross-make's file") from error
    values, unknown = _assignments(text)
    configure: dict[str, tuple[str, ...]] = {}
    for name, parts in _FLAGS.items():
        words = _words(values.get(name, ""))
        usable = tuple(one for one in words if _is_usable(one))
        unknown += [f"{name}: {one} is not used" for one in words if one not in usable]
        if usable:
            configure |= {part: (*configure.get(part, ()), *usable) for part in parts}
    known = {"TARGET", "OUTPUT", *_VERSIONS, *_FLAGS}
    unknown += [f"{name} is not used" for name in values if name not in known]
    return ConfigMak(
        target=values.get("TARGET", ""),
        output=values.get("OUTPUT", ""),
        versions={part: values[name] for name, part in _VERSIONS.items() if values.get(name)},
        configure=configure,
        unknown=tuple(unknown),
    )


def require_target(config: ConfigMak, path: Path) -> str:
    """The target, the one thing that musl-cross-make cannot do without. Raises UsageError."""
    if not config.target:
        what = f"{path}: TARGET is not set"
        raise UsageError(what, hint="name the target on the command line, or set it there")
    return config.target


def differences(config: ConfigMak, pinned: dict[str, str]) -> tuple[str, ...]:
    """What the file asks for and the forge, with these pins by component, does otherwise."""
    said = [
        f"{name} {version} is asked for; the recipe makes {pinned[name]}"
        for name, version in config.versions.items()
        if name in pinned and pinned[name] != version
    ]
    return (*said, *config.unknown)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _is_usable(word: str) -> bool:
    """Whether it is a flag of configure's that the forge leaves to its user."""
    return word.startswith("--") and word.partition("=")[0] not in _OWN


def _assignments(text: str) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    unknown = []
    for number, line in _logical_lines(text):
        found = _ASSIGNMENT.fullmatch(line)
        if not found:
            unknown.append(f"line {number} is not an assignment: {line}")
            continue
        name, how, value = found.groups()
        value = _REFERENCE.sub(lambda ref: values.get(ref[1] or ref[2], ref[0]), value)
        if "$" in value:
            unknown.append(f"line {number}: {name} is left out, its value is computed: {value}")
        elif how == "+=":
            values[name] = f"{values.get(name, '')} {value}".strip()
        elif how != "?=" or name not in values:
            values[name] = value
    return values, unknown


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines without comments, joined where a backslash ends them, each with its first number."""
    found: list[tuple[int, str]] = []
    joined, begun = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun if joined else number
        bare = re.sub(r"(?<!\\)#.*", "", line).rstrip()
        if bare.endswith("\\"):
            joined += bare[:-1].strip() + " "
            continue
        whole = (joined + bare.strip()).strip()
        joined = ""
        if whole:
            found.append((begun, whole))
    if joined.strip():
        found.append((begun, joined.strip()))
    return found
