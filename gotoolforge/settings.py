"""`gotoolforge.toml` beside go.mod: what a project always wants. Flags and environment win."""

from pathlib import Path
from typing import Literal

from gotoolforge.tables import Row, load_table

FILE_NAME = "gotoolforge.toml"


class Settings(Row, frozen=True, rename="kebab"):
    """The keys that the file may have; None means that it does not say."""

    toolchain: str | None = None
    targets: tuple[str, ...] = ()
    cgo: Literal["auto", "on", "off"] | None = None
    resolver: Literal["go", "musl"] | None = None
    stack_size: int | None = None
    pie: bool | None = None
    strip: bool | None = None
    with_prefix: tuple[str, ...] = ()
    policy: str | None = None


def load_settings(module_dir: Path | None) -> Settings:
    """The project's settings, empty if it has none. Raises RecipeError for a bad file."""
    if module_dir is None or not (path := module_dir / FILE_NAME).is_file():
        return Settings()
    return load_table(path, Settings)
