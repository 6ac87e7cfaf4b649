"""Scripts around the host compiler, and what its configure scripts share."""

from collections.abc import Sequence
from pathlib import Path

from gotoolforge import paths, store
from gotoolforge.errors import StoreError
from gotoolforge.run import quote

# Words after which nothing is compiled to be linked.
_NO_LINK = "-S|-E|-M|-MM|-fsyntax-only|--version|-V|-qversion|-print-*|--print-*|-dump*"
_PRECOMPILE = "precompile.sh"


def wrap(script: Path, words: Sequence[str]) -> None:
    """A program named `script` that runs `words`, and its own words after them."""
    store.ensure_dir(script.parent)
    store.write_atomically(script, f'#!/bin/sh\nexec {quote(words)} "$@"\n', mode=0o755)


def wrap_compiler(
    script: Path, words: Sequence[str], link: Sequence[str] = (), libraries: Sequence[Path] = ()
) -> None:
    """A compiler named `script` whose programs are static, stripped, and name no folder of ours.

    It does not warn: warnings take time, and the sources are not ours. Where it links, `link`
    stands before what it is told, and `libraries` after that. Where FORGE_HEADERS is set,
    precompile.sh says what is included first.
    """
    words = (*words, "-w", f"-ffile-prefix-map={store.place('forge')}=/forge")
    link = (*words, "-static", "-Wl,-s", "-Wl,--build-id=none", *link)
    precompile = quote([str(script.parent.parent / _PRECOMPILE)])
    text = (
        "#!/bin/sh\n"
        "does=links\n"
        "for word; do case $word in -c) does=compiles;; "
        f"{_NO_LINK}) does=other; break;; esac; done\n"
        'if [ "$FORGE_HEADERS" ] && [ $does = compiles ]; then\n'
        f'header=$(sh {precompile} "$0" "$@")\n'
        # Whatever is wrong with it, the source can be compiled without.
        f'if [ "$header" ] && {quote(words)} -include "$header" "$@" 2>/dev/null; then\n'
        # A list of what it depends on would name the header, which is not where ccache may put it.
        'last=; for word; do [ "$last" != -MF ] || : > "$word"; last=$word; done; exit\n'
        "fi\n"
        "fi\n"
        f'[ $does = links ] || exec {quote(words)} "$@"\n'
        f'exec {quote(link)} "$@" {quote([str(one) for one in libraries])}\n'
    )
    store.write_atomically(script, text, mode=0o755)


def share_scripts(folder: Path) -> None:
    """Make `folder` hold what every configure script sources, with the answers that it shares, and
    what wrapped compilers ask for precompiled headers."""
    store.ensure_dir(folder / "answers")
    try:
        for name in ("config.site", _PRECOMPILE):
            store.write_atomically(folder / name, (paths.recipes_dir() / name).read_bytes())
    except OSError as error:
        what = f"cannot write {folder}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error
