"""Scripts around the host compiler, and what its configure scripts share."""

from collections.abc import Sequence
from pathlib import Path

from gotoolforge import paths, store
from gotoolforge.errors import StoreError
from gotoolforge.run import quote

# Words after which nothing is linked.
_NO_LINK = "-c|-S|-E|-M|-MM|-fsyntax-only|--version|-V|-qversion|-print-*|--print-*|-dump*"


def wrap(script: Path, words: Sequence[str]) -> None:
    """A program named `script` that runs `words`, and its own words after them."""
    store.ensure_dir(script.parent)
    store.write_atomically(script, f'#!/bin/sh\nexec {quote(words)} "$@"\n', mode=0o755)


def wrap_compiler(
    script: Path, words: Sequence[str], link: Sequence[str] = (), libraries: Sequence[Path] = ()
) -> None:
    """A compiler named `script` whose programs are static, stripped, and name no folder of ours.

    It does not warn: warnings take time, and the sources are not ours. Where it links, `link`
    stands before what it is told, and `libraries` after that.
    """
    words = (*words, "-w", f"-ffile-prefix-map={store.place('forge')}=/forge")
    link = (*words, "-static", "-Wl,-s", "-Wl,--build-id=none", *link)
    text = (
        "#!/bin/sh\n"
        f'for word; do case $word in {_NO_LINK}) exec {quote(words)} "$@";; esac; done\n'
        f'exec {quote(link)} "$@" {quote([str(one) for one in libraries])}\n'
    )
    store.write_atomically(script, text, mode=0o755)


def share_answers(folder: Path) -> None:
    """Make `folder` hold what every configure script sources, and the answers that it shares."""
    store.ensure_dir(folder / "answers")
    site = (paths.recipes_dir() / "config.site").read_bytes()
    try:
        store.write_atomically(folder / "config.site", site)
    except OSError as error:
        what = f"cannot write {folder}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
