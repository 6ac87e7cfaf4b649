"""`PKG@VERSION`: a package of somebody else's module, built in a throw-away module of our own.

`go build` refuses such a name, and `go install` refuses a cross target with GOBIN set.
"""

from pathlib import Path

import msgspec

from gotoolforge import run
from gotoolforge.console import Console
from gotoolforge.errors import PlanError, UsageError
from gotoolforge.gosdk import GoSdk
from gotoolforge.run import Command

_GO_MOD = "module throwaway.invalid/gotoolforge\n\ngo {version}\n"


def split_versions(patterns: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Packages and the one version that they share; "" if none has one. Raises UsageError."""
    parts = [pattern.partition("@") for pattern in patterns]
    versions = {version for _, _, version in parts}
    if versions == {""}:
        return patterns, ""
    if len(versions) > 1:
        what = f"{' '.join(patterns)}: all packages must name the same version"
        raise UsageError(what, hint="build them one at a time")
    if any(name.startswith((".", "/")) for name, _, _ in parts):
        what = f"{' '.join(patterns)}: a path on this machine has no version"
        raise UsageError(what, hint="name an import path: github.com/OWNER/REPO/cmd/app@v1.2.3")
    return tuple(name for name, _, _ in parts), versions.pop()


def prepare_module(
    sdk: GoSdk, names: tuple[str, ...], version: str, folder: Path, console: Console
) -> None:
    """Make a module in `folder` that requires the packages at that version.

    Raises PlanError with Go's own words if they cannot be had.
    """
    number = sdk.version.removeprefix("go").split("-")[0].split(" ")[0]
    (folder / "go.mod").write_text(_GO_MOD.format(version=number))
    env = {"GOWORK": "off", "GOFLAGS": sdk.flags}
    wanted = [f"{name}@{version}" for name in names]
    with console.step(f"get {' '.join(wanted)}", long=True):
        answer = run.ask(Command(argv=(str(sdk.binary), "get", "--", *wanted), env=env, cwd=folder))
    if answer.code:
        raise PlanError(answer.err.strip(), hint="check the name and the version, and GOPROXY")
    _say_replacements(sdk, names, folder, console)


def _say_replacements(sdk: GoSdk, names: tuple[str, ...], folder: Path, console: Console) -> None:
    argv = (str(sdk.binary), "list", "-f", "{{with .Module}}{{.GoMod}}{{end}}", "--", *names)
    env = {"GOWORK": "off", "GOFLAGS": sdk.flags, "CGO_ENABLED": "1"}
    listed = run.ask(Command(argv=argv, env=env, cwd=folder)).out.split()
    for gomod in dict.fromkeys(listed):
        edit = run.ask(Command(argv=(str(sdk.binary), "mod", "edit", "-json", gomod), env=env))
        replaces = msgspec.json.decode(edit.out or "{}").get("Replace") or []
        for one in replaces:
            old, new = one["Old"]["Path"], one["New"]["Path"]
            console.warn(
                f"the module replaces {old} by {new} for itself; that does not hold when it is "
                "built by its version, as with `go install`"
            )
