"""Words of people to calls; errors to exit codes, printed here and nowhere else.

Imports nothing heavy at the top, so that `--help` is instant: each command imports what it runs.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from gotoolforge import __version__
from gotoolforge.errors import EXIT_OK, GotoolforgeError, InterruptedRunError

DESCRIPTION = """\
Builds Go programs, cgo ones too, into binaries that need nothing of the host's libc, and
proves it. Flags of the go command go through as they are (-tags, -ldflags, -mod, -v, -C ...);
one dash means Go's flag, two dashes ours first (--json is ours, -json Go's)."""

EPILOG = """\
examples:
  gotoolforge build --target x86_64-alpine-musl ./cmd/app
  gotoolforge build --target linux/arm64 --target linux/arm/v7 -o dist/ ./...
  gotoolforge verify --json dist/app
  eval "$(gotoolforge env --target linux/arm64)" && go build ./cmd/app

exit codes: 0 passed; 1 findings; 2 misuse; 3 unreadable file; 10 no such target; 11 no usable Go;
12 go list failed; 13 go build failed; 14 no toolchain; 15 download; 16 output; 17 bad recipe;
18 refused; 19 no emulator; 20 store; 130 interrupted

environment: GOTOOLFORGE_TOOLCHAIN (family), GOTOOLFORGE_CACHE (store), GOTOOLFORGE_GO (go program),
NO_COLOR, CI; and Go's own
"""

GO_COMMANDS = ("build", "plan", "env", "run", "test")


def make_parser() -> argparse.ArgumentParser:
    """The parser of gotoolforge's own words; Go's flags are taken out before it sees the line."""
    parser = argparse.ArgumentParser(
        prog="gotoolforge",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gotoolforge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for add in (_add_go_commands, _add_verify, _add_lists, _add_toolchain):
        add(commands)
    return parser


def _command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str,
             text: str, **more: str) -> argparse.ArgumentParser:  # fmt: skip
    return commands.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **more,  # type: ignore[arg-type]
    )


def _add_go_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    texts = {
        "build": "build, verify and place artifacts",
        "plan": "say what build would do, and why",
        "env": "print the environment for a plain `go build`, for a shell's eval",
        "run": "build one program and run it, under qemu where it is foreign",
        "test": "run `go test`, under qemu where the target is foreign",
    }
    go = "All flags of `go {}` are taken too: -o -tags -ldflags -gcflags -mod -p -v -x -C -pgo ..."
    for name, text in texts.items():
        go_name = name if name in {"run", "test"} else "build"
        one = _command(commands, name, text, epilog=go.format(go_name))
        _add_build_options(one)
        if name in {"build", "plan"}:
            one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
        if name == "build":
            one.add_argument("--policy", metavar="NAME|FILE", help="default: no-host-libc")
            one.add_argument(
                "--no-provenance", action="store_true", help="write no .provenance.json"
            )
        one.add_argument(
            "packages", nargs="*", metavar="PACKAGE", help="default: .; or PKG@VERSION"
        )


def _add_build_options(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--target",
        action="append",
        metavar="TARGET",
        help="x86_64-alpine-musl, linux/arm64, armv7 ...; repeatable; default: this machine",
    )
    one.add_argument("--toolchain", metavar="FAMILY", help="zig (default), system or imported")
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
    _add_volume(one)


def _add_volume(one: argparse.ArgumentParser) -> None:
    one.add_argument("--quiet", "-q", action="store_true", help="only results and errors")
    one.add_argument("--verbose", action="store_true", help="show commands and decisions")


def _add_verify(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _command(commands, "verify", "judge ELF files: what they need of a host's libc")
    one.add_argument("files", nargs="+", metavar="FILE")
    one.add_argument("--policy", default="no-host-libc", metavar="NAME|FILE")
    one.add_argument("--target", metavar="TARGET", help="also check machine and float ABI")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    _add_volume(one)


def _add_lists(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _command(commands, "targets", "list the targets")
    one.add_argument("--json", action="store_true", help="the table as JSON on stdout")
    one = _command(commands, "doctor", "say what this machine has and lacks, and what mends it")
    one.add_argument("--target", action="append", metavar="TARGET", help="default: this machine")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    one.add_argument("--go", default="", metavar="PATH", help="the go program to use")
    one = _command(commands, "completion", "print completions for a shell")
    one.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def _add_toolchain(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = _command(commands, "toolchain", "look after C toolchains in the store")
    verbs = one.add_subparsers(dest="verb", metavar="VERB", required=True)
    verb = _command(verbs, "list", "list the toolchains in the store")
    verb.add_argument("--json", action="store_true")
    verb = _command(verbs, "path", "print a toolchain's prefix, made first if absent")
    verb.add_argument("target", metavar="TARGET")
    verb.add_argument("--toolchain", metavar="FAMILY")
    verb.add_argument("--offline", action="store_true")
    _add_volume(verb)
    verb = _command(verbs, "import", "take a prefix made elsewhere, such as musl-cross-make's")
    verb.add_argument("dir", metavar="DIR")
    verb.add_argument("--target", metavar="TARGET", help="if the compiler's own triple is unclear")
    _add_volume(verb)
    verb = _command(verbs, "remove", "remove a target's toolchains from the store")
    verb.add_argument("target", metavar="TARGET")
    verb.add_argument("--toolchain", metavar="FAMILY", help="only this family's")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    arguments = list(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _dispatch(arguments)
    except GotoolforgeError as error:
        _stop_children(error)
        _print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        what = "interrupted; nothing half-made was left"
        stopped = InterruptedRunError(what)
        _stop_children(stopped)
        _print_error(stopped)
        return stopped.exit_code
    except BrokenPipeError:
        # The reader of stdout went away (`| head`): that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def _dispatch(arguments: list[str]) -> int:
    parser = make_parser()
    command = next((word for word in arguments if not word.startswith("-")), "")
    if command in GO_COMMANDS and not {"-h", "--help"} & set(arguments):
        from gotoolforge import commands

        return commands.go_command(parser, arguments, command)
    parsed = parser.parse_args(arguments)
    from gotoolforge import commands

    return commands.other_command(parser, parsed)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _stop_children(error: GotoolforgeError) -> None:
    # Only a loaded runner can have children; importing it to ask would be slow.
    runner = sys.modules.get("gotoolforge.run")
    if runner and isinstance(error, InterruptedRunError):
        runner.stop_all()


def _print_error(error: GotoolforgeError) -> None:
    from gotoolforge.console import Console

    console = Console()
    console.line(f"error: {error.what}", "bold red")
    if error.hint:
        console.line(f"  what to do: {error.hint}")
    if error.log:
        console.line(f"  log: {error.log}")
