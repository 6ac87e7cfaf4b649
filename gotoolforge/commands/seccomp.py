"""`gotoolforge seccomp`: the system calls a program can make, and the filter that allows those."""

import argparse
from importlib import import_module
from types import ModuleType

from gotoolforge.commands import CommandParser, add_command

# Each verb's module in `gotoolforge.seccomp.verbs`, and its summary.
VERBS = {
    "list": ("reading", "list the system calls that a program can make, by reading its code"),
    "trace": ("tracing", "run a program (or watch one) and record the system calls it makes"),
    "profile": ("profiling", "make the OCI profile that allows a program's calls and no others"),
    "watch": ("watching", "tell what a running program calls outside its profile"),
    "check": ("profiling", "say what a profile, or an engine's default, would stop in a program"),
    "run": ("profiling", "run a program under a profile, and report what was refused"),
    "audit": ("judging", "find holes in a profile, by asking its own filter"),
    "diff": ("judging", "say what differs between two programs, profiles or traces"),
    "embed": ("judging", "write a Go file that installs a profile's filter before main"),
    "map": ("mapping", "say which packages of Go's standard library bring which system calls"),
    "why": ("reading", "show the path of calls that leads to a system call"),
}


def add_arguments(parser: CommandParser, _name: str) -> None:
    """The verbs, each with words of its own."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, (module, summary) in VERBS.items():
        _module(module).add_arguments(add_command(verbs, verb, summary), verb)


def run(parsed: argparse.Namespace) -> int:
    """Carry out one verb."""
    code: int = _module(VERBS[parsed.verb][0]).run(parsed)
    return code


def _module(name: str) -> ModuleType:
    return import_module(f"gotoolforge.seccomp.verbs.{name}")
