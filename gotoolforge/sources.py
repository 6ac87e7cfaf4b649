"""Source trees in the store: fetched, unpacked, mended where a distribution repacked them, patched.

One folder a tree, known by the digest of all that made it; whole or not there.
"""

from pathlib import Path

import msgspec

from gotoolforge import archive, store
from gotoolforge.console import Console
from gotoolforge.errors import RecipeError, StoreError
from gotoolforge.fetch import Fetched
from gotoolforge.recipe import Fixup, Form, Source


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What sets a tree apart from its archive: patches, and patterns of files below its top.

    Those of `skip` are left out. Those of `empty` are there without what is in them, for files that
    compile to nothing, so that a tree with them is as good and keeps its name.
    """

    patches: tuple[Path, ...] = ()
    skip: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


_NONE = Changes()


def ensure_tree(fetched: Fetched, console: Console, changes: Changes = _NONE) -> Path:
    """The unpacked tree of a fetched source, made if it is not there.

    Raises FetchError for a broken archive, StoreError for a full disk, RecipeError for a patch or
    a fix-up that does not fit.
    """
    form = fetched.form
    final = tree_path(fetched.source, changes)
    if final.is_dir():
        return final
    store.ensure_dir(final.parent)
    with store.locked(f"src-{final.name}"), store.scratch_dir(near=final.parent) as scratch:
        if final.is_dir():
            return final
        with console.step(f"unpack {form.file}", long=True):
            tree = _unpack(fetched.path, form, scratch, changes.skip)
            for fixup in form.fixups:
                _mend(tree, fixup, form)
            for patch in changes.patches:
                _apply(patch, tree, fetched.source.name)
            _empty(tree, changes.empty)
            store.publish(tree, final)
    return final


def tree_path(source: Source, changes: Changes = _NONE) -> Path:
    """Where the unpacked tree of a source lies.

    Its name ends up in what is compiled from it (`__FILE__`, `gcc -v`), so it is the same whichever
    form was used: that of the last one.
    """
    form = source.forms[-1]
    value = [form.sha256, msgspec.to_builtins(form.fixups), form.inner, form.root, changes.skip,
             [store.file_sha256(one) for one in changes.patches]]  # fmt: skip
    key = store.short(store.digest_of(value))
    return store.place("forge", "src", f"{source.name}-{source.version}-{key}")


def _unpack(path: Path, form: Form, scratch: Path, skip: tuple[str, ...]) -> Path:
    if form.inner:
        archive.unpack(path, scratch / "outer")
        (path,) = [*(scratch / "outer").glob(f"**/{form.inner}")] or [scratch / form.inner]
    archive.unpack(path, scratch / "tree", skip)
    if form.root:
        return scratch / "tree" / form.root
    tops = [one for one in (scratch / "tree").iterdir() if one.is_dir()]
    return tops[0] if len(tops) == 1 else scratch / "tree"


def _mend(tree: Path, fixup: Fixup, form: Form) -> None:
    path = tree / fixup.file
    try:
        if fixup.content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fixup.content)
            return
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        start = f"\n{text}".find(f"\n{fixup.start}")
        until = text.find(f"\n{fixup.until}", start)
        if start < 0 or until < 0:
            lines = f"{fixup.start!r} ... {fixup.until!r}"
            what = f"{form.file}: fixups: {fixup.file} has no lines {lines}"
            raise RecipeError(what, hint="the fix-up and the pinned file do not fit together")
        mended = text[:start] + fixup.put + text[until + 1 :]
        path.write_text(mended, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error


def _apply(patch: Path, tree: Path, name: str) -> None:
    import patch_ng

    if not patch_ng.fromfile(str(patch)).apply(strip=1, root=str(tree)):
        what = f"{patch.name} does not apply to {name}"
        raise RecipeError(what, hint="the patch and the pinned version do not fit together")


def _empty(tree: Path, patterns: tuple[str, ...]) -> None:
    for pattern in patterns:
        found = list(tree.glob(pattern))
        if not found:
            what = f"empty: no file of {tree.name} is {pattern!r}"
            raise RecipeError(what, hint="the pattern and the pinned version do not fit together")
        for path in found:
            path.write_bytes(b"")
