"""build, plan, env, run, test: the commands that take Go's own flags beside ours."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge import compilers, goflags, gosdk, store
from gotoolforge.beside import ahead
from gotoolforge.commands import add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from gotoolforge.gobuild import DEFAULT_STACK_SIZE, DriverOptions
from gotoolforge.goflags import GoFlags
from gotoolforge.plan import Request, c_command, ensure_toolchain, go_words
from gotoolforge.run import Command, quote
from gotoolforge.settings import Settings, load_settings
from gotoolforge.target import Target, default_target, find_target

if TYPE_CHECKING:
    from gotoolforge.reproduce import Reproduction

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """The options of ours; Go's are taken out of the line before the parser sees it."""
    go_name = name if name in {"run", "test"} else "build"
    go = "All flags of `go {}` are taken too: -o -tags -ldflags -gcflags -mod -p -v -x -C -pgo ..."
    parser.epilog = go.format(go_name)
    _add_build_options(parser)
    if name in {"build", "plan"}:
        parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    if name == "build":
        parser.add_argument("--policy", metavar="NAME|FILE", help="default: no-host-libc")
        parser.add_argument(
            "--no-provenance", action="store_true", help="write no documents beside the artifact"
        )
        parser.add_argument(
            "--reproduce",
            action="store_true",
            help="build again in another folder with empty caches, and compare; exit code 1 and "
            "where and why, if the files differ",
        )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="default: .; or PKG@VERSION")


def _add_build_options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--target",
        action="append",
        metavar="TARGET",
        help="x86_64-alpine-musl, linux/arm64, armv7 ...; repeatable; default: this machine",
    )
    one.add_argument("--toolchain", metavar="FAMILY", help="gcc (default), zig, system or imported")
    one.add_argument("--cgo", choices=("auto", "on", "off"), help="default: auto, as needed")
    one.add_argument(
        "--resolver", choices=("go", "musl"), help="who looks up names and users; default: go"
    )
    one.add_argument("--pie", action="store_true", default=None, help="static-pie executables")
    one.add_argument("--strip", action="store_true", default=None, help="no symbols (-s -w)")
    one.add_argument(
        "--stack-size",
        metavar="SIZE",
        help="stack of C threads, e.g. 8M (default); 0 keeps musl's 128 KiB",
    )
    one.add_argument(
        "--with-prefix",
        action="append",
        metavar="DIR",
        help="your own static libraries for the target (include, lib, lib/pkgconfig)",
    )
    one.add_argument("--go", default="", metavar="PATH", help="the go program to use")
    one.add_argument("--offline", action="store_true", help="download nothing")
    one.add_argument("--allow-toolexec", action="store_true", help="let -toolexec through")
    add_volume(one)


def go_command(parser: argparse.ArgumentParser, words: list[str], name: str) -> int:
    """build, plan, env, run, test: Go's flags are taken out of the line first."""
    after: list[str] = []
    if name in {"run", "test"} and "--" in words:
        cut = words.index("--")
        words, after = words[:cut], words[cut + 1 :]
    ours = _own_options(parser, name)
    flags, rest = goflags.take_go_flags(words, ours, test=name == "test")
    parsed = parser.parse_args(rest)
    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    request = _make_request(parsed, flags, console, tests=name == "test")
    run = {"build": _build, "plan": _plan, "env": _env, "run": _run, "test": _test}[name]
    names, version = _remote(request)
    if not version:
        return run(parsed, request, console, after)
    from gotoolforge import remote

    with store.scratch_dir() as scratch:
        remote.prepare_module(request.sdk, names, version, scratch, console)
        moved = _in_module(request, names, scratch)
        return run(parsed, moved, console, after)


def _remote(request: Request) -> tuple[tuple[str, ...], str]:
    if not any("@" in pattern for pattern in request.patterns):
        return request.patterns, ""
    from gotoolforge import remote

    return remote.split_versions(request.patterns)


def _in_module(request: Request, names: tuple[str, ...], folder: Path) -> Request:
    import msgspec

    sdk = msgspec.structs.replace(request.sdk, gowork="off")
    return msgspec.structs.replace(request, patterns=names, cwd=folder, sdk=sdk)


def _own_options(parser: argparse.ArgumentParser, name: str) -> frozenset[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return frozenset(action.choices[name]._option_string_actions)
    return frozenset()


def _make_request(
    parsed: argparse.Namespace, line: list[goflags.GoFlag], console: Console, *, tests: bool
) -> Request:
    chdir = [flag.value for flag in line if flag.name == "C"]
    cwd = Path.cwd() / (chdir[-1] or "" if chdir else "")
    if not cwd.is_dir():
        what = f"-C {cwd}: no such folder"
        raise UsageError(what)
    asked = ahead(lambda: gosdk.find_go(cwd, console, explicit=parsed.go, offline=parsed.offline))
    targets = tuple(find_target(word) for word in parsed.target or ())
    sdk = asked()
    settings = load_settings(sdk.module_dir)
    if not targets:
        targets = tuple(find_target(word) for word in settings.targets) or (default_target(),)
    doubles = {one.name for one in targets if targets.count(one) > 1}
    if doubles:
        what = f"named twice: {', '.join(sorted(doubles))}; both would have one output name"
        raise UsageError(what, hint="name each target once, whatever its spelling")
    flags = GoFlags(from_env=goflags.parse_goflags(sdk.flags), from_line=tuple(line))
    out = [flag.value for flag in line if flag.name == "o"]
    return Request(
        targets=targets,
        patterns=tuple(parsed.packages) or (".",),
        cwd=cwd,
        out_dir=cwd,
        sdk=sdk,
        flags=flags,
        family=compilers.choose_family(parsed.toolchain, settings.toolchain),
        cgo=parsed.cgo or settings.cgo or "auto",
        driver=_driver_options(parsed, settings, sdk.module_dir or cwd),
        output=out[-1] if out else None,
        policy=getattr(parsed, "policy", None) or settings.policy or "no-host-libc",
        provenance=not getattr(parsed, "no_provenance", False),
        allow_toolexec=parsed.allow_toolexec,
        offline=parsed.offline,
        tests=tests,
    )


def _driver_options(parsed: argparse.Namespace, settings: Settings, beside: Path) -> DriverOptions:
    stack = settings.stack_size if settings.stack_size is not None else DEFAULT_STACK_SIZE
    if parsed.stack_size is not None:
        stack = _parse_size(parsed.stack_size)
    prefixes = [Path.cwd() / one for one in parsed.with_prefix or ()]
    prefixes += [beside / one for one in settings.with_prefix]
    for prefix in prefixes:
        if not prefix.is_dir():
            what = f"--with-prefix {prefix}: no such folder"
            raise UsageError(what, hint="it should hold include, lib and lib/pkgconfig")
    return DriverOptions(
        pie=parsed.pie if parsed.pie is not None else bool(settings.pie),
        strip=parsed.strip if parsed.strip is not None else bool(settings.strip),
        resolver=parsed.resolver or settings.resolver or "go",
        stack_size=stack,
        with_prefix=tuple(prefixes),
    )


def _parse_size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([kmg]?)(i?b)?", text.strip().lower())
    if not found:
        what = f"--stack-size {text}: not a size"
        raise UsageError(what, hint="bytes, or with a unit: 512K, 8M")
    return int(found[1]) * _UNITS[found[2]]


def _build(
    parsed: argparse.Namespace, request: Request, console: Console, _after: list[str]
) -> int:
    from gotoolforge import pipeline, report

    artifacts = pipeline.build(request, console)
    for artifact in artifacts:
        report.show_artifact(artifact, console)
    repeated: tuple[Reproduction, ...] = ()
    if parsed.reproduce:
        from gotoolforge import reproduce

        repeated = reproduce.reproduce(request, artifacts, console)
        reproduce.show(repeated, console)
    if parsed.json:
        report.print_json(
            {
                "artifacts": [report.artifact_value(one) for one in artifacts],
                "reproduced": [report.plain(one) for one in repeated],
            }
        )
    else:
        for artifact in artifacts:
            if artifact.path:
                print(artifact.path)
    good = all(one.report.passed for one in artifacts) and all(one.same for one in repeated)
    return EXIT_OK if good else EXIT_FINDINGS


def _plan(parsed: argparse.Namespace, request: Request, console: Console, _after: list[str]) -> int:
    from gotoolforge import report
    from gotoolforge.plan import make_plans

    plans = make_plans(request, console)
    lines = [(*go_words(request, plan, "build"), "--", *request.patterns) for plan in plans]
    both = list(zip(plans, lines, strict=True))
    if parsed.json:
        report.print_json({"targets": [report.plan_value(*one) for one in both]})
    else:
        print("\n\n".join(report.show_plan(*one) for one in both))
    return EXIT_OK


def _env(parsed: argparse.Namespace, request: Request, console: Console, _after: list[str]) -> int:
    from gotoolforge import gobuild

    if len(request.targets) != 1:
        what = "env is for one target at a time"
        raise UsageError(what)
    (target,) = request.targets
    goflags.refuse_impossible(request.flags, allow_toolexec=request.allow_toolexec)
    use_c = request.cgo != "off"
    if parsed.packages:
        from gotoolforge.plan import make_plan

        command = make_plan(request, target, console).command
    elif use_c:
        command = c_command(request, target, ensure_toolchain(request, target, console))
    else:
        command = gobuild.compute(target, None, request.flags, request.driver)
    kept = command.env.get("GOFLAGS") or ""
    env = {
        **command.env,
        "GOFLAGS": " ".join(filter(None, (kept, goflags.join_quoted(command.flags)))),
    }
    for name, value in env.items():
        print(f"unset {name}" if value is None else f"export {name}={quote([value])}")
    return EXIT_OK


def _run(parsed: argparse.Namespace, request: Request, console: Console, after: list[str]) -> int:
    import msgspec

    from gotoolforge import emulator, pipeline, report
    from gotoolforge.run import replace_process

    target = _one_target(request, "run")
    words = emulator.runner(target)
    key = store.digest_of([target.name, str(request.cwd), request.patterns, request.family])
    folder = store.ensure_dir(store.place("run", store.short(key)))
    quiet = Console(quiet=not parsed.verbose, verbose=parsed.verbose)
    inside = msgspec.structs.replace(request, output=f"{folder}/", provenance=False)
    artifacts = pipeline.build(inside, quiet)
    if len(artifacts) != 1 or not artifacts[0].path:
        what = f"run wants one program, and there are {len(artifacts)}"
        raise UsageError(what, hint="name one main package")
    if not artifacts[0].report.passed:
        report.show_artifact(artifacts[0], console)
        return EXIT_FINDINGS
    argv = (*words, str(artifacts[0].path), *after)
    replace_process(Command(argv=argv))
    return EXIT_OK


def _test(_parsed: argparse.Namespace, request: Request, console: Console, after: list[str]) -> int:
    from gotoolforge import emulator
    from gotoolforge.plan import make_plan
    from gotoolforge.run import replace_process

    target = _one_target(request, "test")
    plan = make_plan(request, target, console)
    console.say(f"test {target.name}: {plan.reason}")
    words = list(go_words(request, plan, "test"))
    qemu = emulator.runner(target)
    if qemu and request.flags.last("exec") is None:
        words.append("-exec=" + goflags.join_quoted(qemu))
    argv = (*words, *request.patterns, *(("-args", *after) if after else ()))
    command = Command(argv=argv, env=plan.environment(), cwd=request.cwd)
    console.detail(f"+ {command}")
    replace_process(command)
    return EXIT_OK


def _one_target(request: Request, verb: str) -> Target:
    if len(request.targets) != 1:
        what = f"{verb} is for one target at a time"
        raise UsageError(what)
    return request.targets[0]
