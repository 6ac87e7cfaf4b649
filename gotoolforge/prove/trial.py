"""One trial: a file started in a root, watched by strace, and what came of it."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Literal

import msgspec

from gotoolforge import emulator, rootfs, run, store
from gotoolforge.elf import ElfFacts
from gotoolforge.errors import EmulatorError, GotoolforgeError
from gotoolforge.prove import cell
from gotoolforge.run import Command
from gotoolforge.target import Target, host_target_name, load_targets

State = Literal["started", "not started", "not proven"]
_QEMU = "/.gotoolforge-qemu"
_LOADER_REFUSES = re.compile(
    r"error while loading shared libraries|version `\S+' not found|Error loading shared library"
    r"|Error relocating|Could not open '/lib"
)
_OPENED = re.compile(r"\b(open|openat|openat2|execve)\((?:AT_FDCWD, )?\"([^\"]*)\".*?= (-?\d+)(.*)")
_STILL_RUNNING = (124, 137, -9)


class Opened(msgspec.Struct, frozen=True):
    """A file that the program opened, or tried to."""

    path: str
    found: bool


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `code` is the exit code, 128 + N for signal N; None: it did not end.

    `opened` is None where nobody watched. `why` says what kept it from starting or being proven.
    """

    state: State
    code: int | None = None
    running: bool = False
    opened: tuple[Opened, ...] | None = None
    emulator: str = ""
    why: str = ""
    output: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to start: `seconds` is how long it may run, `show` what of this machine it may see."""

    file: Path
    args: tuple[str, ...] = ()
    show: tuple[str, ...] = ()
    network: bool = False
    seconds: float = 10.0
    trace: bool = True


def target_of(facts: ElfFacts) -> Target | None:
    """The first target of the table whose programs look like this file."""
    wanted = (facts.machine, facts.bits, facts.order)
    for row in load_targets():
        if (row.elf.machine, row.elf.bits, row.elf.order) == wanted:
            return row
    return None


def is_foreign(facts: ElfFacts) -> bool:
    """Whether it is for another machine than this one."""
    target = target_of(facts)
    return target is None or target.name != host_target_name()


def try_in(root: Path | None, wanted: Wanted, facts: ElfFacts) -> Trial:
    """Start the file in `root`, or where there is nothing at all."""
    try:
        before = _emulator(facts)
    except EmulatorError as error:
        return Trial(state="not proven", why=error.what)
    with store.scratch_dir() as scratch:
        empty = scratch / "root"
        for name in ("dev", "tmp"):
            (empty / name).mkdir(parents=True)
        trial = _watched(scratch, root or empty, wanted, before)
    # The kernel says "no such file", and means the interpreter.
    if trial.state == "not started" and trial.code is None and facts.interpreter:
        said = "" if "No such file" in trial.why else f" ({trial.why})"
        why = f"its interpreter {facts.interpreter} is not there{said}"
        return msgspec.structs.replace(trial, why=why)
    return trial


def _emulator(facts: ElfFacts) -> str:
    target = target_of(facts)
    if target is None:
        what = f"no emulator is known for {facts.machine}"
        raise EmulatorError(what)
    if target.name == host_target_name():
        return ""
    words = emulator.runner(target)
    if words and not words[0].endswith("-static"):
        what = f"{words[0]} is no static emulator, and cannot run where nothing else exists"
        raise EmulatorError(what, hint="apt-get install qemu-user-static")
    return words[0] if words else ""


def _watched(scratch: Path, root: Path, wanted: Wanted, before: str) -> Trial:
    # strace writes other names in a way of its own, and the trace would not be known again.
    name = wanted.file.name
    copy = scratch / "file" / (name if re.fullmatch(r"[\w.+-]+", name, re.ASCII) else "program")
    copy.parent.mkdir()
    shutil.copyfile(wanted.file, copy)
    copy.chmod(0o755)
    home = next((one for one in ("mnt", "tmp", "run", "opt", "var") if _is_folder(root, one)), "")
    if not home:
        return Trial(state="not proven", why=f"{root} has no /mnt, /tmp, /run, /opt or /var")
    # Two folders of the root are hidden by what is shown; the root itself is never written to.
    place = f"/{home}/{copy.name}"
    show = [(str(copy), place), ("/dev/null", "/dev/null"), *((one, one) for one in wanted.show)]
    if not _is_folder(root, "dev"):
        show.pop(1)
    argv = [place, *wanted.args]
    if before:
        show.append((before, f"/{home}{_QEMU}"))
        argv = [f"/{home}{_QEMU}", *argv]
    order, status, log = scratch / "order.json", scratch / "status", scratch / "trace"
    order.write_text(
        json.dumps(
            {"root": str(root.resolve()), "show": show, "argv": argv, "status": str(status),
             "network": wanted.network,
                "writable": root == scratch / "root", "env": {"PATH": "/usr/bin:/bin", "HOME": "/"}}
        )
    )  # fmt: skip
    words = [sys.executable, "-I", "-S", str(Path(cell.__file__)), str(order)]
    # The guard is inside: strace, told to end, would let go of the program and leave it running.
    if timeout := run.find_program("timeout"):
        words = [timeout, "-s", "KILL", str(wanted.seconds), *words]
    strace = run.find_program("strace") if wanted.trace else None
    if strace:
        words = [strace, "-f", "-qq", "-e", "trace=file,execve", "-o", str(log), *words]
    try:
        answer = run.ask(Command(argv=tuple(words)))
    except GotoolforgeError as error:
        return Trial(state="not proven", why=error.what)
    trial = _told(answer, status, before)
    if strace and log.is_file() and trial.state != "not proven":
        opened = read_trace(log.read_text(errors="replace"), argv[0])
        trial = msgspec.structs.replace(trial, opened=opened)
    return trial


def _is_folder(root: Path, name: str) -> bool:
    found = rootfs.inside(root, name)
    return found is not None and found.is_dir() and not (root / name).is_symlink()


def _told(answer: run.Answer, status: Path, before: str) -> Trial:
    said = status.read_text() if status.is_file() else ""
    news = json.loads(said) if said else {"stage": ""}
    if not news["stage"]:
        why = f"the cell did not come up: {(answer.out + answer.err).strip()[-300:]}"
        return Trial(state="not proven", why=why)
    if news["stage"] == "exec":
        return Trial(state="not started", why=news["why"], emulator=before)
    if news["stage"] != "started":
        why = f"{news['stage']} are refused here: {news['why']}"
        return Trial(state="not proven", why=why)
    return judge_output(answer, before)


def judge_output(answer: run.Answer, before: str) -> Trial:
    """What came of a program that was started: by its exit code, and what a loader said of it."""
    output = (answer.out + answer.err)[-4000:]
    if answer.code in _STILL_RUNNING:
        return Trial(state="started", running=True, emulator=before, output=output)
    if refused := _LOADER_REFUSES.search(output):
        line = next(one for one in output.splitlines() if refused[0] in one)
        return Trial(state="not started", code=answer.code, why=line.strip(), emulator=before)
    died = 128 < answer.code < 192
    return Trial(
        state="not started" if died else "started",
        code=answer.code,
        why=f"it was killed by signal {answer.code - 128}" if died else "",
        emulator=before,
        output=output,
    )


def read_trace(text: str, program: str) -> tuple[Opened, ...]:
    """Files that were opened once `program` had begun, in order, each once."""
    found: dict[str, bool] = {}
    begun = False
    for line in text.splitlines():
        match = _OPENED.search(line)
        if match is None:
            continue
        call, path, code = match[1], match[2], int(match[3])
        if call == "execve":
            begun = begun or (path == program and code == 0)
            continue
        if begun and os.path.basename(path) != os.path.basename(_QEMU):  # noqa: PTH119
            found[path] = found.get(path, False) or code >= 0
    return tuple(Opened(path, there) for path, there in found.items())
