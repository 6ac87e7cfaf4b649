"""The default profiles of container engines by version, as published (recipes/seccomp/defaults)."""

from pathlib import Path

import msgspec

from gotoolforge import paths
from gotoolforge.errors import RecipeError, UsageError
from gotoolforge.seccomp.profile import Profile, load_profile, resolve


class Default(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One engine's default, where it was read, and the profile as it stands there."""

    engine: str
    version: str
    source: str
    profile: Profile

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        return f"{self.engine}-{self.version}"


def defaults() -> tuple[Default, ...]:
    """All of them, the oldest of each engine first."""
    found = []
    for path in sorted((paths.recipes_dir() / "seccomp" / "defaults").glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Default))
        except (OSError, msgspec.DecodeError) as error:
            what = f"{path}: {error}"
            raise RecipeError(
                what, hint="make it again: scripts/make_default_profiles.py"
            ) from error
    return tuple(found)


def find_profiles(word: str, arch: str) -> dict[str, Profile]:
    """Resolved profiles for a file's name, `docker`, `docker-28.3.3`, or `all`."""
    if Path(word).is_file():
        return {word: resolve(load_profile(Path(word)), arch)}
    rows = [one for one in defaults() if word in ("all", one.engine, one.name)]
    if not rows:
        known = ", ".join(one.name for one in defaults())
        what = f"no file and no default profile is called {word!r}"
        raise UsageError(what, hint=f"known defaults: {known}")
    return {one.name: resolve(one.profile, arch) for one in rows}
