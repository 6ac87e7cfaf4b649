"""Sources into the store: each known by its sha256, had from the first place that has it.

Places in order: the store itself, what the user brings, upstream's URLs, the distribution, pip.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from gotoolforge import bundle, distro, run, store, web
from gotoolforge.console import Console
from gotoolforge.errors import FetchError, StoreError
from gotoolforge.recipe import Form, Source
from gotoolforge.run import Command


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A source whose file lies in the store, and the form in which it was had."""

    source: Source
    form: Form
    path: Path


class _PlaceError(Exception):
    """One place does not have the file, in words."""


_NOT_HERE = (_PlaceError, web.WebError, distro.DistroError, bundle.GivenError)


def find_source(source: Source) -> Fetched | None:
    """The source if one of its forms lies in the store whole; a damaged file is removed."""
    for form in source.forms:
        if _is_whole(path := kept_path(form), form):
            return Fetched(source=source, form=form, path=path)
    return None


def fetch_all(
    sources: Iterable[Source],
    console: Console,
    *,
    offline: bool = False,
    given: tuple[Path, ...] = (),
) -> tuple[Fetched, ...]:
    """Every source in the store, in that order; `given` are folders and bundles of the user's.

    Raises one FetchError for all that could not be had: with `offline` every missing file at once,
    else every place of each and why it failed.
    """
    found, failed = [], []
    for source in sources:
        try:
            found.append(ensure_source(source, console, offline=offline, given=given))
        except FetchError as error:
            failed.append(error)
    if not failed:
        return tuple(found)
    if len(failed) == 1:
        raise failed[0]
    raise FetchError("\n".join(error.what for error in failed), hint=failed[0].hint)


def ensure_source(
    source: Source, console: Console, *, offline: bool = False, given: tuple[Path, ...] = ()
) -> Fetched:
    """The file of `source` in the store, in one of its forms, fetched if none is there.

    Raises FetchError that lists every place and why it failed, StoreError where it cannot be kept.
    """
    if found := find_source(source):
        return found
    brought = (*given, *bundle.given_places())
    if offline and not brought:
        raise _missing_offline(source, [])
    store.ensure_dir(kept_path(source.forms[0]).parent)
    with store.locked(f"{source.name}-{source.version}", waiting=console.say):
        if found := find_source(source):
            return found
        reasons: list[str] = []
        for form, place, fetch in _places(source, brought, console, offline=offline):
            try:
                fetch(kept_path(form))
            except _NOT_HERE as error:
                reasons.append(f"  {place}: {error}")
            except OSError as error:
                what = f"cannot write {kept_path(form)}: {error.strerror}"
                hint = "free some space, or set GOTOOLFORGE_CACHE"
                raise StoreError(what, hint=hint) from error
            else:
                return Fetched(source=source, form=form, path=kept_path(form))
    if offline:
        raise _missing_offline(source, reasons)
    name = source.forms[0].file if len(source.forms) == 1 else f"{source.name} {source.version}"
    what = f"{name} could not be had from any place:\n" + "\n".join(reasons)
    hint = f"check the network (HTTPS_PROXY, REQUESTS_CA_BUNDLE), {_by_hand(source)}"
    raise FetchError(what, hint=hint)


def _missing_offline(source: Source, reasons: list[str]) -> FetchError:
    names = " or ".join(form.file for form in source.forms)
    what = "\n".join([f"{names} is not in the store, and --offline forbids fetching it", *reasons])
    return FetchError(what, hint=f"run once without --offline, {_by_hand(source)}")


def _by_hand(source: Source) -> str:
    folder = kept_path(source.forms[0])
    return (
        "or bring the files: a folder or a bundle of `toolchain fetch --bundle`, named by "
        f"GOTOOLFORGE_SOURCES (this one would be kept as {folder})"
    )


def kept_path(form: Form) -> Path:
    """Where the store keeps a form's file, whether it is there or not."""
    return store.place("downloads", bundle.kept_name(form))


def _is_whole(path: Path, form: Form) -> bool:
    try:
        if not path.is_file():
            return False
        if store.file_sha256(path) == form.sha256:
            return True
        path.unlink()
    except OSError as error:
        what = f"{path} is damaged or unreadable: {error.strerror}"
        raise StoreError(what, hint="remove that file") from error
    return False


def _places(
    source: Source, brought: tuple[Path, ...], console: Console, *, offline: bool
) -> Iterator[tuple[Form, str, Callable[[Path], None]]]:
    """Every form and where it may be had: in words, and what fetches it from there."""
    for form in source.forms:
        for place in brought:
            yield form, f"{place} ({form.file})", partial(bundle.take, place, form)
    for form in () if offline else source.forms:
        for url in form.urls:
            yield form, url, partial(_from_url, url, form, console)
        if form.distro:
            words = f"the distribution's source package {form.distro.package}"
            yield form, words, partial(_from_distro, form, console)
        if form.pip:
            words = f"the package {form.pip.package} {form.pip.version}, by pip"
            yield form, words, partial(_from_pip, form, console)


def _from_url(url: str, form: Form, console: Console, final: Path) -> None:
    web.fetch_url(url, form, final, console)


def _from_distro(form: Form, console: Console, final: Path) -> None:
    assert form.distro is not None
    with (
        console.step(f"fetch {form.file} from the distribution's sources", long=True),
        store.scratch_dir() as scratch,
    ):
        found = distro.fetch_source(form.distro.package, form.distro.suites, form.sha256, scratch)
        found.replace(final)


def _from_pip(form: Form, console: Console, final: Path) -> None:
    """A wheel by the user's own pip, with its index, proxy and certificates as they are set up."""
    place = form.pip
    assert place is not None
    argv = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input",
            "--no-deps", "--only-binary=:all:", "--platform", place.platform,
            f"{place.package}=={place.version}")  # fmt: skip
    with (
        console.step(f"fetch {form.file} by pip", long=True),
        store.scratch_dir() as scratch,
    ):
        answer = run.ask(Command(argv=(*argv, "--dest", str(scratch))))
        made = [one for one in scratch.iterdir() if one.is_file()]
        if answer.code or not made:
            said = (answer.err.strip() or answer.out.strip()).splitlines()
            raise _PlaceError(said[-1] if said else f"pip ended with exit code {answer.code}")
        if store.file_sha256(made[0]) != form.sha256:
            why = f"it gave {made[0].name} with another sha256; the file was removed"
            raise _PlaceError(why)
        made[0].replace(final)
