"""Build it again, elsewhere, and compare: the same sources in another folder, with empty caches.

The other folder is a link to `/` in a folder of its own: by it every file of the module, and every
file that the module reaches by `../`, has another path, and nothing is copied. Go and C compilers
take their working folder's name from PWD, so that is the path which they write into what they make.
"""

import os
import tempfile
from pathlib import Path

import msgspec

from gotoolforge import difference, pipeline, store
from gotoolforge.console import Console
from gotoolforge.difference import Difference
from gotoolforge.pipeline import Artifact
from gotoolforge.plan import Request


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the second build gave the same file; `differences` say where it did not, and why."""

    name: str
    target: str
    same: bool
    sha256: str
    second_sha256: str
    differences: tuple[Difference, ...] = ()


def reproduce(
    request: Request, made: tuple[Artifact, ...], console: Console
) -> tuple[Reproduction, ...]:
    """Build what `request` asks for a second time, and compare with what was made.

    Raises what `build` raises.
    """
    # The link is not in the store, which may lie in a checkout that Go would take for the module's.
    apart = Path(tempfile.gettempdir())
    with store.scratch_dir() as scratch, store.scratch_dir(near=apart) as root:
        elsewhere = root / "elsewhere"
        elsewhere.symlink_to("/")
        cwd = elsewhere / request.cwd.resolve().relative_to("/")
        for name in ("cache", "tmp"):
            (scratch / name).mkdir()
        overlay = {**request.overlay, "PWD": str(cwd), "GOCACHE": str(scratch / "cache"),
                   "GOTMPDIR": str(scratch / "tmp")}  # fmt: skip
        again = msgspec.structs.replace(
            request, cwd=cwd, output=f"{scratch / 'out'}{os.sep}", provenance=False, overlay=overlay
        )
        second = {(one.target, one.name): one for one in pipeline.build(again, console)}
        return tuple(_compare(one, second[one.target, one.name]) for one in made)


def _compare(first: Artifact, second: Artifact) -> Reproduction:
    same = first.sha256 == second.sha256
    found: tuple[Difference, ...] = ()
    if not same and first.path and second.path:
        found = difference.explain(first.path, second.path)
    return Reproduction(
        name=first.name,
        target=first.target,
        same=same,
        sha256=first.sha256,
        second_sha256=second.sha256,
        differences=found,
    )


def show(results: tuple[Reproduction, ...], console: Console) -> None:
    """The comparison for people."""
    for one in results:
        if one.same:
            console.say(f"{one.name} ({one.target}): built twice, the same both times", "green")
            continue
        console.line(f"{one.name} ({one.target}): built twice, and the files differ", "red")
        for two in one.differences:
            console.line(f"  {two.say()}")
