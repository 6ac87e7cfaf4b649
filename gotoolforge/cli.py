"""Words of people to calls; errors to exit codes, printed here and nowhere else.

Imports nothing heavy at the top, so that `--help` is instant: each command imports what it runs.
"""

import errno
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from gotoolforge import __version__
from gotoolforge.commands import CommandParser, HelpFormatter, add_command
from gotoolforge.errors import EXIT_OK, GotoolforgeError, InterruptedRunError, OutputError

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
18 refused; 19 no emulator; 20 store; 21 not proven; 31 capture failed; 32 no usable snapshot;
33 no such process; 34 limits not applied; 35 pprof does not tell;
130 interrupted

environment: GOTOOLFORGE_TOOLCHAIN (family), GOTOOLFORGE_LANGUAGES (c or c,c++: what to forge),
GOTOOLFORGE_HOST_COMPILER (zig, machine or forged: what compiles a forged GCC itself),
GOTOOLFORGE_CACHE (store), GOTOOLFORGE_GO (go program), GOTOOLFORGE_SOURCES (bundles and folders to
take files from), NO_COLOR, CI; and Go's own
"""

# Each command's module in `gotoolforge.commands`, and its summary.
COMMANDS = {
    "build": ("golang", "build, verify and place artifacts"),
    "plan": ("golang", "say what build would do, and why"),
    "env": ("golang", "print the environment for a plain `go build`, for a shell's eval"),
    "run": ("golang", "build one program and run it, under qemu where it is foreign"),
    "test": ("golang", "run `go test`, under qemu where the target is foreign"),
    "verify": ("verify", "judge ELF files: what they need of a host's libc"),
    "why": ("why", "name the Go package, C function and symbol that need libc"),
    "compat": ("compat", "say which distributions run a binary, and why not"),
    "prove": ("prove", "start a binary where nothing else exists, and watch it"),
    "ci": ("ci", "write a workflow that builds, verifies and tries a program on each push"),
    "targets": ("targets", "list the targets"),
    "seccomp": ("seccomp", "system calls of a program: list, profile, trace, check, run"),
    "doctor": ("doctor", "say what this machine has and lacks, and what mends it"),
    "recipe": ("recipe", "check the data that decides what is built"),
    "parity": ("parity", "compare what changes how a Go program runs here and on a server"),
    "limits": ("limits", "a process's limits beside its use; what a load needs"),
    "toolchain": ("toolchain", "look after C toolchains in the store"),
}


def make_parser(*filled: str) -> CommandParser:
    """The parser of gotoolforge's own words; only the commands in `filled` have their options.

    A command line needs those of one command, and each costs the import of a module.
    """
    parser = CommandParser(
        prog="gotoolforge",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"gotoolforge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        one = add_command(commands, name, summary, made=name in filled)
        if name in filled:
            _module(module).add_arguments(one, name)
    name = "completion"
    one = add_command(commands, name, "print completions for a shell", made=name in filled)
    if name in filled:
        one.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"gotoolforge.commands.{name}")


def main(words: Sequence[str] | None = None) -> int:
    """Run one command line; the exit code."""
    arguments = list(sys.argv[1:] if words is None else words)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
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
        # The reader of stdout went away (`| head`): that is its right, and yet no pass. Every other
        # program ends by this signal then.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
        raise
    except OSError as error:
        # A stream has no file name; whatever has one was to be said where it was opened.
        if error.filename is not None or error.errno not in {errno.ENOSPC, errno.EIO}:
            raise
        _forget_stdout()
        what = f"cannot write the output: {error.strerror}"
        unwritten = OutputError(what, hint="free some space, or send it elsewhere")
        _print_error(unwritten)
        return unwritten.exit_code


def _forget_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    command = next((word for word in arguments if not word.startswith("-")), "")
    parser = make_parser(command)
    if command == "completion":
        return _completion(parser.parse_args(arguments).shell)
    module = COMMANDS.get(command, ("", ""))[0]
    if module == "golang" and not {"-h", "--help"} & set(arguments):
        from gotoolforge.commands import golang

        return golang.go_command(parser, arguments, command)
    parsed = parser.parse_args(arguments)
    code: int = _module(module).run(parsed)
    return code


def _completion(shell: str) -> int:
    import shtab

    print(shtab.complete(make_parser(*COMMANDS, "completion"), shell=shell))
    return EXIT_OK


def _interrupt(_number: int, _frame: object) -> None:
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
