"""A trial by a container engine: the image's own root, the engine's own runtime and its filters.

The file is copied in and not mounted, so that an engine on another machine (DOCKER_HOST) serves
too. Without an engine nothing is lost but images known by name: our own cell needs none.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gotoolforge import rootfs, run, store
from gotoolforge.errors import UnprovenError
from gotoolforge.prove.trial import Trial, Wanted, judge_output
from gotoolforge.run import Command

_NAMES = ("docker", "podman", "nerdctl")
_PULL_SECONDS = 600.0
_PLACE = "/gotoolforge-tried"
_NO_EXEC = re.compile(
    rf"exec.*{_PLACE}.*(no such file|format error|permission denied)[^\"\n]*", re.IGNORECASE
)


class Engine(msgspec.Struct, frozen=True):
    """A container engine that answers."""

    program: str


class Container(msgspec.Struct, frozen=True):
    """A container made of an image and not yet started."""

    engine: Engine
    id: str


def find_engine() -> Engine:
    """The first engine that answers. Raises UnprovenError with the words of those that do not."""
    silent = []
    for name in _NAMES:
        if program := run.find_program(name):
            engine = Engine(program)
            answer = _ask(engine, "info")
            if answer.code == 0:
                return engine
            silent.append(f"{name} is here, and its engine does not answer: {_last_line(answer)}")
    why = "; ".join(silent) or f"none of {', '.join(_NAMES)} is here"
    what = f"an image known by name needs a container engine: {why}"
    hint = "start or install docker or podman; or give an image tarball or a root folder"
    raise UnprovenError(what, hint=hint)


@contextmanager
def made_container(engine: Engine, image: str, wanted: Wanted) -> Iterator[Container]:
    """A container of the image, which is pulled if it is not there; removed in the end.

    Raises UnprovenError if the engine cannot make one.
    """
    words = ["create", "--entrypoint", _PLACE]
    words += [] if wanted.network else ["--network", "none"]
    for one in wanted.show:
        words += ["--volume", f"{one}:{one}:ro"]
    answer = _ask(engine, *words, image, *wanted.args)
    lines = answer.out.split()
    if answer.code or not lines:
        what = f"{Path(engine.program).name} makes no container of {image}: {_last_line(answer)}"
        raise UnprovenError(what, hint="is the image's name right, and can it be pulled?")
    container = Container(engine, lines[-1])
    try:
        yield container
    finally:
        _ask(engine, "rm", "--force", container.id)


@contextmanager
def exported_root(container: Container) -> Iterator[Path]:
    """The container's root, unpacked for as long as it is used. Raises UnprovenError."""
    with store.scratch_dir() as scratch:
        tarball = scratch / "root.tar"
        answer = _ask(container.engine, "export", "--output", str(tarball), container.id)
        if answer.code:
            what = f"the root of the image cannot be had: {_last_line(answer)}"
            raise UnprovenError(what)
        with rootfs.opened(tarball) as root:
            yield root


def is_name(image: str) -> bool:
    """Whether it is an image that an engine knows by name, `debian:12-slim`, and no tarball."""
    return not image.endswith(".tar") and not Path(image).exists()


def try_in_container(container: Container, wanted: Wanted) -> Trial:
    """Start the file in it, and say what came of it."""
    engine = container.engine
    copied = _ask(engine, "cp", str(wanted.file.resolve()), f"{container.id}:{_PLACE}")
    if copied.code:
        return Trial(state="not proven", why=f"it cannot be copied in: {_last_line(copied)}")
    try:
        answer = _ask(engine, "start", "--attach", container.id, seconds=wanted.seconds)
    except TimeoutError:
        return Trial(state="started", running=True)
    # What the runtime itself could not do stands in the state: the program has no part in it.
    asked = "{{.State.StartedAt}}\n{{.State.Error}}"
    began, _, error = _ask(engine, "inspect", "--format", asked, container.id).out.partition("\n")
    if began.startswith("0001-") or error.strip():
        return Trial(state="not started", why=error.strip() or _last_line(answer))
    # By then the container has begun, and its first process is still the runtime (crun).
    if answer.code and (said := _NO_EXEC.search(answer.err)):
        return Trial(state="not started", code=answer.code, why=said[0])
    return judge_output(answer, "")


def _ask(engine: Engine, *words: str, seconds: float = _PULL_SECONDS) -> run.Answer:
    return run.ask(Command(argv=(engine.program, *words)), seconds=seconds)


def _last_line(answer: run.Answer) -> str:
    lines = (answer.err.strip() or answer.out.strip()).splitlines()
    return lines[-1] if lines else f"exit code {answer.code}"
