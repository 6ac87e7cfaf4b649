"""Where things live. The only module that knows both homes of the data and of the store."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent


def in_checkout() -> bool:
    """Whether gotoolforge runs from its source tree rather than from an installed wheel."""
    return (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "recipes").is_dir()


def recipes_dir() -> Path:
    """The data folder: `recipes/` of a checkout, or the copy that the wheel carries."""
    return _CHECKOUT / "recipes" if in_checkout() else _PACKAGE / "recipes"


def store_dir() -> Path:
    """The store: `GOTOOLFORGE_CACHE`, else `cache/` of a checkout, else the user's cache folder.

    Read when asked, never at import, so that a test or a caller can move it.
    """
    override = os.environ.get("GOTOOLFORGE_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    if in_checkout():
        return _CHECKOUT / "cache"
    # Not at the top: most runs come from a checkout or name the store, and this costs 15 ms.
    import platformdirs

    return Path(platformdirs.user_cache_dir("gotoolforge", appauthor=False))
