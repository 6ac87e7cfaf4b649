"""Capturing a machine: one self-contained POSIX script, run here, over ssh, or by any pipe."""

import base64
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from gotoolforge import paths, run
from gotoolforge.console import Console
from gotoolforge.errors import CaptureError, GotoolforgeError, ProcessError, ToolchainError
from gotoolforge.parity import probe
from gotoolforge.parity.snapshot import Snapshot, parse_snapshot
from gotoolforge.run import Answer, Command

# A small or busy machine takes its time: the script starts some hundred programs.
_SECONDS = 300.0
_NO_PROCESS = 3
_PIPE = "`gotoolforge parity script | ssh HOST sh > server.json` does the same with your own ssh"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at: a process, a root folder, other places of /proc and /sys, more sysctls."""

    pid: int | None = None
    root: str = ""
    proc: str = ""
    sys: str = ""
    sysctls: tuple[str, ...] = ()

    def words(self) -> tuple[str, ...]:
        """The script's own words for it."""
        named = {"--root": self.root, "--proc": self.proc, "--sys": self.sys}
        words = [part for flag, value in named.items() if value for part in (flag, value)]
        words += ["--pid", str(self.pid)] if self.pid is not None else []
        dotted = (one if "/" in one else one.replace(".", "/") for one in self.sysctls)
        words += [part for glob in dotted for part in ("--sysctl", glob)]
        return tuple(words)


def make_script(probes: Mapping[str, Path], words: Sequence[str] = ()) -> str:
    """The script with the probes of some machines inside, and words that it is to start with."""
    text = (paths.recipes_dir() / "parity" / "capture.sh").read_text()
    lines = [
        f"probe_{machine}='{base64.b64encode(path.read_bytes()).decode()}'"
        for machine, path in probes.items()
    ]
    text = text.replace("#PROBES#", "\n".join(lines))
    if words:
        first, rest = text.split("\n", 1)
        text = f'{first}\nset -- {shlex.join(words)} "$@"\n{rest}'
    return text


def find_probes(machines: Sequence[str], console: Console, *, wanted: bool) -> dict[str, Path]:
    """Probes for `machines`. One that cannot be built is a warning: its keys will be unknown."""
    if not wanted:
        return {}
    found = {}
    for machine in machines:
        try:
            found[probe.script_name(machine)] = probe.ensure_probe(machine, console)
        except ToolchainError as error:
            console.warn(f"no probe for {machine}: {error.what}; its keys will be unknown")
    return found


def capture_here(wanted: Wanted, console: Console, *, probes: bool = True) -> Snapshot:
    """Capture this machine. Raises ProcessError for a process that is not there, CaptureError."""
    machine = platform.machine()
    known = machine if probe.script_name(machine) in probe.MACHINES else ""
    script = make_script(find_probes([known] if known else [], console, wanted=probes))
    argv = ("sh", "-s", "--", *wanted.words())
    answer = _ask(Command(argv=argv), script)
    if answer.code == _NO_PROCESS:
        raise ProcessError(answer.err.strip(), hint="name one that runs; root sees every process")
    if answer.code:
        what = f"the capture script failed: {answer.err.strip()}"
        raise CaptureError(what, hint="it needs a POSIX sh, sed, tr, cat and /proc")
    return parse_snapshot(answer.out.encode(), "the capture script")


def capture_by_ssh(
    host: str, wanted: Wanted, console: Console, *, ssh: str = "ssh", probes: bool = True
) -> Snapshot:
    """Capture `host` over the user's own ssh; nothing is left there, and no Python is needed.

    Never asks for a password: this program has no terminal to hand on. Raises CaptureError.
    """
    words = (*shlex.split(ssh), "-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", host)
    machines: list[str] = []
    if probes:
        said = _over_ssh(host, (*words, "echo gotoolforge-machine $(uname -m)"), "")
        tail = said.out.rpartition("gotoolforge-machine ")[2].split()
        machine = tail[0] if tail else ""
        if probe.script_name(machine) in probe.MACHINES:
            machines = [machine]
    script = make_script(find_probes(machines, console, wanted=probes))
    remote = shlex.join(("sh", "-s", "--", *wanted.words()))
    return parse_snapshot(_over_ssh(host, (*words, remote), script).out.encode(), host)


def _over_ssh(host: str, argv: tuple[str, ...], given: str) -> Answer:
    answer = _ask(Command(argv=argv), given)
    said = answer.err.strip().splitlines()
    if answer.code == _NO_PROCESS and said:
        what = f"{host}: {said[-1]}"
        raise ProcessError(what, hint="name a process that runs there")
    if answer.code:
        last = "\n".join(said[-5:]) or f"exit code {answer.code}"
        what = f"ssh to {host} failed: {last}"
        hint = f"try `ssh {host} true`"
        if "denied" in last or "Host key verification" in last:
            hint = (
                f"ssh may not ask for anything here (BatchMode): use a key or an agent, or {_PIPE}"
            )
        raise CaptureError(what, hint=hint)
    return answer


def _ask(command: Command, given: str) -> Answer:
    try:
        return run.ask(command, given=given.encode(), seconds=_SECONDS)
    except TimeoutError as error:
        hint = f"is the machine reachable, and not too busy? {_PIPE}"
        raise CaptureError(str(error), hint=hint) from error
    except CaptureError:
        raise
    except GotoolforgeError as error:
        raise CaptureError(error.what, hint="is there a POSIX sh, and for --ssh an ssh?") from error
