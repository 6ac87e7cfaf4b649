"""Where artifacts go: as with `go build` for one target, `NAME_GOOS_GOARCH` for several."""

import os
from pathlib import Path

import msgspec

from gotoolforge import cgo
from gotoolforge.errors import OutputError, UsageError
from gotoolforge.plan import Plan, Request

DEFAULT_DIR = "dist"


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What one target leaves: by the name that Go gives it, the place where it goes.

    `files` is empty if there is nothing to keep (`go build` of several packages keeps nothing);
    `folder` is where work in progress lies, so that the last step is a rename.
    """

    files: dict[str, Path]
    folder: Path | None
    checksums: bool


def place_outputs(request: Request, plans: tuple[Plan, ...]) -> tuple[Output, ...]:
    """The outputs, one for each plan. Raises UsageError or OutputError before anything starts."""
    several = len(plans) > 1
    outputs = tuple(_place(request, plan, several=several) for plan in plans)
    owners: dict[Path, str] = {}
    for plan, output in zip(plans, outputs, strict=True):
        for path in output.files.values():
            other = owners.setdefault(path, plan.target.name)
            if other != plan.target.name:
                what = f"{other} and {plan.target.name} would both write {path}"
                raise UsageError(what, hint="build them into different folders")
            if path.is_dir():
                what = f"{path} is a folder, and the artifact would have that name"
                raise OutputError(what, hint="name another output: -o FILE")
    return outputs


def _place(request: Request, plan: Plan, *, several: bool) -> Output:
    names = _names(plan)
    given = request.output
    if given and given != os.devnull and not names:
        what = f"there is no main package, so no program to write as {given}"
        raise UsageError(what, hint="name the package of a program, or leave -o out")
    if given == os.devnull or not names:
        return Output(files={}, folder=None, checksums=False)
    if several:
        folder = request.out_dir / (given or DEFAULT_DIR)
        if folder.exists() and not folder.is_dir():
            what = f"-o {given} is a file, and several targets need a folder"
            raise UsageError(what, hint="name a folder: -o dist/")
        files = {name: folder / (name + plan.target.suffix) for name in names}
        return Output(files=files, folder=folder, checksums=True)
    if given is None:
        if len(plan.program.named) > 1:
            return Output(files={}, folder=None, checksums=False)
        return Output(
            files={names[0]: request.out_dir / names[0]}, folder=request.out_dir, checksums=False
        )
    path = request.out_dir / given
    if given.endswith("/") or path.is_dir():
        return Output(files={name: path / name for name in names}, folder=path, checksums=True)
    if len(names) > 1:
        what = f"-o {given} is one file, and there are {len(names)} programs: {', '.join(names)}"
        raise UsageError(what, hint="name a folder: -o dist/")
    files = dict.fromkeys(names, path)
    return Output(files=files, folder=path.parent, checksums=False)


def _names(plan: Plan) -> list[str]:
    owners: dict[str, str] = {}
    for package in plan.program.mains:
        name = cgo.executable_name(package)
        other = owners.setdefault(name, package.import_path)
        if other != package.import_path:
            what = f"{other} and {package.import_path} would both write {name}"
            raise UsageError(what, hint="build them one at a time, each with its own -o")
    return list(owners)
