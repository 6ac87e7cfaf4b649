"""Results to text or JSON. People's part goes to stderr, machines' part to stdout."""

import sys
from typing import TYPE_CHECKING, Any

import msgspec

from gotoolforge import jsontext
from gotoolforge.console import Console

if TYPE_CHECKING:
    from gotoolforge.finding import Finding
    from gotoolforge.pipeline import Artifact
    from gotoolforge.plan import Plan
    from gotoolforge.verify import FileReport

_STYLES = {"error": "red", "warning": "yellow", "note": ""}
VERDICT_WORDS = {
    "no-libc": "nothing of libc inside",
    "musl-static": "musl inside, nothing of the host's libc",
    "musl-dynamic": "needs musl of the host",
    "glibc-static": "glibc inside; it opens files of its own version on the host",
    "glibc-dynamic": "needs glibc of the host",
    "other-libc": "needs a libc of the host that is neither glibc nor musl",
    "unknown": "a libc inside that nobody can name",
    "not-executable": "not an ELF program or library",
}


def print_json(value: dict[str, Any]) -> None:
    """One JSON document on stdout; `version` is 1."""
    print_document({"version": 1, **value})


def print_document(document: dict[str, Any]) -> None:
    """A JSON document of somebody else's form (SARIF, CycloneDX) on stdout."""
    sys.stdout.write(jsontext.document(document).decode())


def show_report(report: "FileReport", console: Console) -> None:
    """What the verifier says of one file, for people."""
    if report.error:
        console.line(f"{report.path}: could not be read: {report.error}", "red")
        return
    mark, style = ("ok", "green") if report.passed else ("REFUSED", "red")
    floor = f", needs glibc {report.floor} or newer" if report.floor else ""
    linkage = f" ({report.linkage})" if report.linkage else ""
    words = VERDICT_WORDS.get(report.verdict or "", "")
    console.line(f"{report.path}: {report.verdict}{linkage}: {words}{floor}  [{mark}]", style)
    for one in report.evidence:
        console.say(f"  because {one}")
    for witness in report.witnesses:
        words = f": {witness.words}" if witness.words else ""
        console.say(f"  witness {witness.name} {witness.state}{words}")
    for line in _particulars(report):
        console.say(f"  {line}")
    for line in _details(report):
        console.detail(f"  {line}")
    show_findings(report.findings, console)
    for need in report.needs:
        console.say(f"  note: {need}")


def _particulars(report: "FileReport") -> list[str]:
    """What few files have, and whoever has it wants to know."""
    lines = [f"ABI: {', '.join(report.abi)}"] if report.abi else []
    lines += [f"rpath {report.rpath}"] if report.rpath else []
    lines += [f"runpath {report.runpath}"] if report.runpath else []
    for one in report.loads:
        more = f" and {len(one.evidence) - 2} more" if one.evidence[2:] else ""
        lines.append(f"{one.kind}: {one.says}: {', '.join(one.evidence[:2])}{more}")
    if report.glibc_only:
        more = f" and {len(report.glibc_only) - 5} more" if report.glibc_only[5:] else ""
        lines.append(f"names of glibc's headers: {', '.join(report.glibc_only[:5])}{more}")
    for two in report.build_paths[:3]:
        lines.append(f"paths of the build machine: {two.folder} ({two.names}), as {two.example}")
    return lines


def _details(report: "FileReport") -> list[str]:
    lines = [f"ELF {report.type} {report.machine} {report.bits}-bit {report.order}-endian"]
    if report.flags is not None:
        lines[0] += f", flags {report.flags:#x}" + (", pie" if report.pie else "")
    for name in ("interpreter", "soname", "build_id", "go_build_id", "relro", "stack_size"):
        value = getattr(report, name)
        lines += [f"{name.replace('_', ' ')} {value}"] if value else []
    lines += [f"NEEDED {one}" for one in report.needed]
    lines += [f"{version}: {', '.join(names[:8])}{' ...' if names[8:] else ''}"
              for version, names in report.asks.items()]  # fmt: skip
    lines += [f"offers {', '.join(report.offers)}"] if report.offers else []
    lines += [f"note {one.owner}/{one.type}: {one.words or one.content[:32]}"
              for one in report.notes]  # fmt: skip
    if report.go:
        go = report.go
        lines.append(f"Go {go.version} {go.path}, module {go.module or 'not said'}")
        lines += [f"Go setting {name}={value}" for name, value in go.settings.items()]
    return lines if report.type else []


def show_findings(findings: "tuple[Finding, ...]", console: Console) -> None:
    """Findings for people, one a line, each with what to do."""
    for finding in findings:
        advice = f" -> {finding.advice}" if finding.advice else ""
        style = _STYLES[finding.severity]
        console.line(f"  {finding.severity} {finding.check}: {finding.message}{advice}", style)


def show_artifact(artifact: "Artifact", console: Console) -> None:
    """One artifact: the verdict, then what was kept and where."""
    show_report(artifact.report, console)
    kept = f"kept as {artifact.path}" if artifact.path else "verified, not kept (no -o)"
    console.say(f"  {artifact.size / 1e6:.1f} MB, sha256 {artifact.sha256[:16]}…, {kept}")


def artifact_value(artifact: "Artifact") -> dict[str, Any]:
    """An artifact as plain values."""
    return {
        "target": artifact.target,
        "name": artifact.name,
        "path": str(artifact.path) if artifact.path else None,
        "sha256": artifact.sha256,
        "size": artifact.size,
        "passed": artifact.report.passed,
        "provenance": str(artifact.provenance) if artifact.provenance else None,
        "report": report_value(artifact.report),
    }


def report_value(report: "FileReport") -> dict[str, Any]:
    """A file's report as plain values."""
    value: dict[str, Any] = msgspec.to_builtins(report)
    return {**value, "passed": report.passed}


def plain(value: msgspec.Struct) -> dict[str, Any]:
    """A struct of plain fields as a dictionary."""
    fields: dict[str, Any] = msgspec.to_builtins(value)
    return fields


def plan_value(plan: "Plan", argv: tuple[str, ...]) -> dict[str, Any]:
    """A plan as plain values; an `env` value of null means that the variable is taken away."""
    tool = plan.toolchain
    return {
        "target": plan.target.name,
        "platform": plan.target.platform,
        "cgo": tool is not None,
        "reason": plan.reason,
        "needs_c": msgspec.to_builtins(plan.program.needs),
        "std_cgo": list(plan.program.std_cgo),
        "programs": [one.import_path for one in plan.program.mains],
        "replaced": list(plan.program.replaced),
        "toolchain": tool and msgspec.to_builtins(tool, enc_hook=str),
        "env": dict(plan.command.env),
        "argv": list(argv),
        "warnings": list(plan.warnings),
    }


def show_plan(plan: "Plan", argv: tuple[str, ...]) -> str:
    """A plan for people, as text for stdout: it is the result that was asked for."""
    from gotoolforge.run import quote

    lines = [f"target     {plan.target.name} ({plan.target.platform})"]
    programs = ", ".join(one.import_path for one in plan.program.mains) or "no main package"
    lines += [f"programs   {programs}", f"C          {plan.reason}"]
    for need in plan.program.needs:
        where = f" [{need.module}]" if need.module else ""
        lines.append(f"           {need.package}{where}: {'; '.join(need.reasons)}")
    if plan.toolchain:
        tool = plan.toolchain
        lines.append(f"toolchain  {tool.family} {tool.version}, {tool.prefix}")
    lines += [f"replaced   {line}" for line in plan.program.replaced]
    for name, value in sorted(plan.command.env.items()):
        shown = "unset" if value is None else f"{name}={quote([value])}"
        lines.append(f"env        {shown if value is not None else f'{name} unset'}")
    lines.append(f"command    {quote(argv)}")
    lines += [f"warning    {one}" for one in plan.warnings]
    return "\n".join(lines)
