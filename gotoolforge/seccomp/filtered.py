"""Running a program under a profile, with every refusal seen: which call, from where, how often.

The kernel refuses by the filter's own answer, computed here for each call that the filter hands
up, so that nothing is lost; what the profile allows never leaves the kernel.
"""

from pathlib import Path

import msgspec

from gotoolforge.seccomp import bpf, kernel, numbers
from gotoolforge.seccomp.kernel import Answer, Call
from gotoolforge.seccomp.profile import Profile, Rule
from gotoolforge.seccomp.stacks import Symbols

_EXECS = ("execve", "execveat")
_NOTIFY = "SCMP_ACT_NOTIFY"
_LETS = ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG")


class Refusal(msgspec.Struct, kw_only=True):
    """A call that the profile refused: the action, the errno given, the first stack."""

    name: str
    action: str
    errno: int
    count: int
    stack: tuple[str, ...]


def run_filtered(
    argv: tuple[str, ...], program: Path, profile: Profile, *, seconds: float | None = None
) -> tuple[int, tuple[Refusal, ...]]:
    """Run to the end under a resolved profile; the exit code (negative: a signal), and refusals."""
    judge = _Judge(program, profile)
    code = kernel.supervise(argv, bpf.compile_profile(_asking(profile)), judge.decide,
                            seconds=seconds)  # fmt: skip
    return code, tuple(judge.refused.values())


def _asking(profile: Profile) -> Profile:
    """The same profile, but what it refuses is handed up, and execve always is."""
    rules = [
        Rule(names=tuple(n for n in one.names if n not in _EXECS), args=one.args,
             action=one.action if one.action in _LETS else _NOTIFY)
        for one in profile.syscalls
    ]  # fmt: skip
    rules.append(Rule(names=_EXECS, action=_NOTIFY))
    default = profile.defaultAction if profile.defaultAction in _LETS else _NOTIFY
    return msgspec.structs.replace(profile, defaultAction=default, syscalls=tuple(rules))


class _Judge:
    """Answers each call as the profile's own filter would."""

    def __init__(self, program: Path, profile: Profile) -> None:
        self.filter = bpf.compile_profile(profile)
        self.symbols = Symbols(program)
        self.refused: dict[str, Refusal] = {}
        self.started = False
        self.arches = {row.audit: name for name, row in numbers.architectures().items()}

    def decide(self, call: Call) -> Answer:
        """Until the program's own execve it is our code that runs: all of it goes on."""
        arch = self.arches[call.audit]
        name = numbers.names_of(arch).get(call.number, f"syscall_{call.number}")
        if not self.started:
            self.started = name in _EXECS
            return Answer(None)
        word = bpf.simulate(self.filter, call.number, arch, call.args)
        action, errno = bpf.action_of(word)
        if action in _LETS:
            return Answer(None)
        one = self.refused.get(name)
        if one is None:
            stack = self.symbols.stack(call.thread, call.pointer)
            one = Refusal(name=name, action=action, errno=errno, count=0, stack=stack)
            self.refused[name] = one
        one.count += 1
        kill = action.startswith("SCMP_ACT_KILL") or action == "SCMP_ACT_TRAP"
        return Answer(errno, kill=kill)
