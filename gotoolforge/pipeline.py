"""The story of a build: plan, compile, verify, place. The order of events and nothing else.

The verifier and what it imports are loaded while Go builds, which takes longer even when it has
nothing to do; a warm build should not pay for them one after the other.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gotoolforge import run, store, symptoms
from gotoolforge.beside import ahead, side_by_side
from gotoolforge.console import Console
from gotoolforge.errors import BuildError, OutputError
from gotoolforge.placement import Output, place_outputs
from gotoolforge.plan import Plan, Request, go_words, make_plans
from gotoolforge.policy import Policy, load_policy
from gotoolforge.run import Command

if TYPE_CHECKING:
    from gotoolforge.verify import FileReport

REJECTED = ".rejected"
_FULL = 1024 * 1024  # bytes; with less than that left no compiler gets anywhere


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file that was made: where it lies (None: not kept), and what the verifier says of it."""

    target: str
    name: str
    path: Path | None
    sha256: str
    size: int
    report: "FileReport"
    provenance: Path | None = None


def build(request: Request, console: Console) -> tuple[Artifact, ...]:
    """Build every target, verify every artifact, and put each where it belongs.

    Raises BuildError if Go cannot compile it; a finding of the verifier is not an error here.
    """
    policy = load_policy(request.policy)
    with console.step("plan") as told:
        plans = make_plans(request, console)
        told("; ".join(dict.fromkeys(f"plan: {plan.reason}" for plan in plans)))
    outputs = place_outputs(request, plans)
    jobs = tuple(zip(plans, outputs, strict=True))

    def one(job: tuple[Plan, Output]) -> tuple[Artifact, ...]:
        plan, output = job
        said = console.labelled(plan.target.name) if len(jobs) > 1 else console
        return _build_one(request, plan, output, policy, said)

    return tuple(artifact for made in side_by_side(jobs, one) for artifact in made)


def _build_one(
    request: Request, plan: Plan, output: Output, policy: Policy, console: Console
) -> tuple[Artifact, ...]:
    with _stage(output) as stage:
        _lend_former(output, stage)
        where = f"{stage}{os.sep}" if plan.program.mains else None
        compiler = f"{plan.toolchain.family} {plan.toolchain.version}" if plan.toolchain else ""
        title = f"build {plan.target.name}" + (f" with {compiler}" if compiler else "")
        with console.step(title, long=True):
            _go_build(request, plan, where, console)
        if not plan.program.mains:
            console.say("it compiles; no main package, so nothing is written")
        made = sorted(path for path in stage.iterdir() if path.is_file())
        if request.flags.is_on("n"):
            return ()
        artifacts = tuple(_finish(request, plan, output, path, policy) for path in made)
    digests = {a.path.name: a.sha256 for a in artifacts if a.path and a.report.passed}
    if output.checksums and output.folder:
        from gotoolforge import provenance

        provenance.update_checksums(output.folder, digests)
    return artifacts


def _go_build(request: Request, plan: Plan, where: str | None, console: Console) -> None:
    out = ("-o", where) if where else ()
    argv = (*go_words(request, plan, "build"), *out, "--", *request.patterns)
    env = {**plan.environment(), **request.overlay}
    command = Command(argv=argv, env=env, cwd=request.cwd)
    console.detail(f"+ {command}")
    lines: list[str] = []

    def heard(line: str) -> None:
        lines.append(line)
        console.line(line)

    ahead(_import_verifier)
    code = run.stream(command, heard)
    if code:
        what = f"go build failed for {plan.target.name} (exit code {code}); its message is above"
        raise BuildError(what, hint=_explain("\n".join(lines), plan, request))


def _explain(output: str, plan: Plan, request: Request) -> str:
    known = symptoms.recognise(output)
    if known:
        return known.say()
    import tempfile

    # With no room for its cache Go says that it finds no packages, and nothing of a disk.
    cache = Path(plan.command.env.get("GOCACHE") or request.sdk.gocache or ".")
    for name, folder in (
        ("GOTOOLFORGE_CACHE or GOCACHE", cache),
        ("TMPDIR", Path(tempfile.gettempdir())),
    ):
        if store.free_bytes(folder) < _FULL:
            return f"the disk under {folder} is full. Free some space, or move {name} elsewhere."
    return ""


def _finish(request: Request, plan: Plan, output: Output, made: Path, policy: Policy) -> Artifact:
    from gotoolforge import provenance, sbom
    from gotoolforge.verify import verify_file

    final = output.files.get(made.name)
    report = verify_file(made, policy=policy, target=plan.target, given=str(final or made.name))
    digest, size = store.file_sha256(made), made.stat().st_size
    if final is not None and not report.passed:
        final = final.with_name(final.name + REJECTED)
    beside = None
    if final is not None:
        facts = provenance.describe(made, digest, _facts(request, plan), report)
        with _writing(final):
            # Both are whole on the output's disk before either is seen.
            if request.provenance:
                facts |= {"artifact": final.name, "size": size}
                beside = final.with_name(final.name + provenance.SUFFIX)
                documents = {
                    provenance.SUFFIX: facts,
                    sbom.BILL: sbom.describe_bill(final.name, digest, report, plan.toolchain),
                    sbom.STATEMENT: sbom.describe_statement(final.name, digest, facts),
                }
                provenance.write_beside(final, documents, staging=made.parent)
            made.replace(final)
    return Artifact(
        target=plan.target.name,
        name=made.name,
        path=final,
        sha256=digest,
        size=size,
        report=report,
        provenance=beside,
    )


def _facts(request: Request, plan: Plan) -> dict[str, Any]:
    tool = plan.toolchain
    return {
        "target": plan.target.name,
        "platform": plan.target.platform,
        "go": {"version": request.sdk.version, "origin": request.sdk.origin},
        "toolchain": tool
        and {"family": tool.family, "version": tool.version, "digest": tool.digest},
        "reason": plan.reason,
        "needs_c": msgspec.to_builtins(plan.program.needs),
        "packages": [one.import_path for one in plan.program.mains],
        "flags": list(plan.command.flags),
        "env": {name: value for name, value in plan.command.env.items() if value is not None},
    }


@contextmanager
def _stage(output: Output) -> Iterator[Path]:
    if output.folder is None:
        with store.scratch_dir() as scratch:
            yield scratch
        return
    with _writing(output.folder):
        output.folder.mkdir(parents=True, exist_ok=True)
        staged = store.scratch_dir(near=output.folder)
        scratch = staged.__enter__()
    try:
        yield scratch
    finally:
        staged.__exit__(None, None, None)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = f"cannot write {path}: {error.strerror}"
        raise OutputError(what, hint="name another output with -o, or free some space") from error


def _lend_former(output: Output, stage: Path) -> None:
    # Go links again unless it finds its former output, so a link to it makes warm builds quick.
    # It replaces an output by remove and rename (cmd/go moveOrCopyFile), so the former one is safe.
    for name, final in output.files.items():
        with contextlib.suppress(OSError):
            if final.is_file() and not final.is_symlink():
                (stage / name).hardlink_to(final)


def _import_verifier() -> None:
    import hashlib  # noqa: F401

    import gotoolforge.provenance
    import gotoolforge.sbom  # noqa: F401
    from gotoolforge import verify

    verify.load_tables()
