"""Running stages: each once, logged, stamped with its digest, and resumed where it was stopped."""

import resource
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from gotoolforge import jsontext, store
from gotoolforge.console import Console
from gotoolforge.errors import GotoolforgeError, StoreError
from gotoolforge.forge.jobserver import JobServer
from gotoolforge.forge.progress import marks_of, watched
from gotoolforge.forge.recipe import Pace
from gotoolforge.forge.resume import forget_unfinished
from gotoolforge.forge.workshop import Stage
from gotoolforge.logged import run_logged
from gotoolforge.run import Command


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished stage took: `seconds` on the clock, `cpu` seconds of all that ran meanwhile.

    `whole` says that nothing stopped it; else no figure holds what was done before. `marks` are the
    shares of the seconds after which equal parts of the log's lines were written.
    """

    digest: str
    seconds: float
    cpu: float
    lines: int
    marks: tuple[float, ...] = ()
    whole: bool = True


class _Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A stage under way: how many of its commands have ended, and when the current one began."""

    digest: str
    done: int
    since: float
    seconds: float


class Worker(msgspec.Struct, kw_only=True):
    """Runs the stages of one toolchain below `work`, logging into `logs`."""

    work: Path
    logs: Path
    console: Console
    jobs: JobServer
    pace: Mapping[str, Pace]
    env: Mapping[str, str | None] = {}

    def do_all(
        self,
        stages: tuple[Stage, ...],
        label: str,
        *,
        waits: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> dict[str, Timing]:
        """Do every stage that is not done yet; what each took.

        `waits` is called before a stage of that name, for what it needs of others.

        Raises ToolchainError with the log's last lines for a command that fails, StoreError for a
        full disk.
        """
        timings = {}
        for number, stage in enumerate(stages, 1):
            title = f"{label}: {stage.name} ({number} of {len(stages)})"
            if stage.name in waits:
                waits[stage.name]()
            timings[stage.name] = self._finished(stage) or self._do(stage, title)
        return timings

    def log_of(self, stage: str) -> Path:
        """Where that stage's output goes."""
        return self.logs / f"{stage}.log"

    def _finished(self, stage: Stage) -> Timing | None:
        try:
            timing = msgspec.json.decode(self._stamp(stage).read_bytes(), type=Timing)
        except (OSError, msgspec.DecodeError):
            return None
        return timing if timing.digest == stage.digest else None

    def _do(self, stage: Stage, title: str) -> Timing:
        begun = self._take_up(stage)
        log = self.log_of(stage.name)
        clock, cpu = time.monotonic(), _cpu_seconds()
        with watched(self.console, title, log, self.pace.get(stage.name)) as seen:
            for number, command in enumerate(stage.commands):
                if number < begun.done:
                    continue
                spent = begun.seconds + time.monotonic() - clock
                self._note(stage, done=number, seconds=spent)
                self._run(command, log, title)
        seconds, lines = begun.seconds + time.monotonic() - clock, _count_lines(log)
        timing = Timing(
            digest=stage.digest,
            seconds=round(seconds, 2),
            cpu=round(_cpu_seconds() - cpu, 2),
            lines=lines,
            marks=marks_of(seen, seconds, lines),
            whole=begun.since == 0,
        )
        self._write(self._stamp(stage), timing)
        self._begun_file(stage).unlink(missing_ok=True)
        return timing

    def _run(self, command: Command, log: Path, title: str) -> None:
        env = {**command.env, **self.env, "MAKEFLAGS": self.jobs.makeflags}
        try:
            run_logged(
                msgspec.structs.replace(command, env=env),
                log,
                title,
                pass_fds=self.jobs.descriptors,
            )
        except GotoolforgeError as error:
            if "No space left on device" in error.what:
                what = f"{title}: the disk is full"
                hint = "free some space, or set GOTOOLFORGE_CACHE; the same command then goes on"
                raise StoreError(what, hint=hint, log=str(log)) from error
            raise

    def _take_up(self, stage: Stage) -> _Begun:
        """Where to go on: at the start, in a clean folder, unless the stage can be resumed."""
        try:
            begun = msgspec.json.decode(self._begun_file(stage).read_bytes(), type=_Begun)
        except (OSError, msgspec.DecodeError):
            begun = None
        if (
            begun
            and begun.digest == stage.digest
            and stage.resumable
            and (begun.done or not stage.fresh)
        ):
            removed = forget_unfinished(stage.folder, begun.since)
            self.console.detail(f"{stage.name}: goes on; {removed} files made again")
            return begun
        for folder in stage.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        store.ensure_dir(stage.folder)
        self.log_of(stage.name).unlink(missing_ok=True)
        return _Begun(digest=stage.digest, done=0, since=0, seconds=0)

    def _note(self, stage: Stage, *, done: int, seconds: float) -> None:
        begun = _Begun(digest=stage.digest, done=done, since=time.time(), seconds=seconds)
        self._write(self._begun_file(stage), begun)

    def _stamp(self, stage: Stage) -> Path:
        return self.work / "stamps" / f"{stage.name}.json"

    def _begun_file(self, stage: Stage) -> Path:
        return self.work / "stamps" / f"{stage.name}.begun.json"

    def _write(self, path: Path, value: object) -> None:
        store.ensure_dir(path.parent)
        try:
            store.write_atomically(path, jsontext.compact(value))
        except OSError as error:
            what = f"cannot write {path}: {error.strerror}"
            raise StoreError(what, hint="free some space, or set GOTOOLFORGE_CACHE") from error


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _count_lines(log: Path) -> int:
    with log.open("rb") as text:
        return sum(1 for _ in text)
