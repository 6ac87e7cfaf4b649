"""Going on in a build folder after a kill: what may be half-made is removed, so make makes it anew.

SIGKILL, or a machine that loses its power, leaves objects and generated files that look newer than
what they come from and are cut off. make cannot tell; their age can.
"""

import shutil
from pathlib import Path

# Rules that a Makefile includes: it does not start without them, and they are renamed into place.
_INCLUDED = ".deps"
# No single compiler, archiver or linker of these builds writes one file for longer, in seconds.
_DOUBT = 60.0


def forget_unfinished(folder: Path, since: float) -> int:
    """Remove what was written in the last minute of work, but nothing from before `since`.

    A part that was being configured is removed whole: its Makefile would not be made again. The
    number of files and folders removed.
    """
    files = [
        path
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.parent.name != _INCLUDED
    ]
    written = {path: path.lstat().st_mtime for path in files}
    if not written:
        return 0
    cutoff = max(since, max(written.values()) - _DOUBT)
    young = {path for path, when in written.items() if when >= cutoff}
    parts = {path.parent for path in young if path.name in {"config.status", "config.log"}}
    parts.discard(folder)
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    rest = [path for path in young if not any(part in path.parents for part in parts)]
    for path in rest:
        path.unlink(missing_ok=True)
    return len(parts) + len(rest)
