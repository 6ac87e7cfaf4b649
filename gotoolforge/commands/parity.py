"""parity: capture a machine, compare two, explain a key, run a program as on the other."""

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from gotoolforge.commands import CommandParser, add_command, add_volume
from gotoolforge.console import Console
from gotoolforge.errors import EXIT_FINDINGS, EXIT_OK, OutputError, UsageError

if TYPE_CHECKING:
    from gotoolforge.finding import Finding
    from gotoolforge.parity.capture import Wanted
    from gotoolforge.parity.snapshot import Snapshot

_EPILOG = """\
examples:
  gotoolforge parity capture --ssh web1 -o server.json
  gotoolforge parity script | ssh web1 sh > server.json
  gotoolforge parity script --pid 1 | docker exec -i web sh > server.json
  gotoolforge parity compare server.json
  gotoolforge parity explain rlimit.nofile.hard
  gotoolforge parity run --like server.json -- ./app

exit codes: 0 nothing matters; 1 findings; 2 misuse; 3 unreadable file; 31 capture failed;
32 no usable snapshot; 33 no such process; 34 limits not applied; run: that of the program (with
--seccomp also 1: a call was refused)
"""


def add_arguments(parser: CommandParser, _name: str) -> None:
    """One sub-command for each step."""
    parser.epilog = _EPILOG
    commands = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    _add_capture(add_command(commands, "capture", "write down what this or another machine is"))
    _add_compare(add_command(commands, "compare", "name the differences that matter"))
    one = add_command(commands, "explain", "say what a key changes, and how to mend it")
    one.add_argument("key", metavar="KEY", help="as compare names it: rlimit.nofile.hard")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    _add_run(add_command(commands, "run", "run a program under the limits of a snapshot"))
    one = add_command(commands, "script", "print the capture script, for a pipe to another shell")
    one.add_argument(
        "--arch",
        action="append",
        metavar="ARCH",
        help="carry the probe for it, as `uname -m` says it, or for `all`; repeatable; "
        "default: this machine's",
    )
    _add_wanted(one)
    add_volume(one)


def _add_wanted(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--pid", type=int, metavar="N", help="this process; in a container 1 is its own program"
    )
    one.add_argument("--root", default="", metavar="DIR", help="libc and files of this root folder")
    one.add_argument("--proc", default="", metavar="DIR", help="another /proc (a host's, mounted)")
    one.add_argument("--sys", default="", metavar="DIR", help="another /sys (a host's, mounted)")
    one.add_argument(
        "--sysctl", action="append", metavar="GLOB", help="more kernel settings: 'net/ipv4/tcp_*'"
    )
    one.add_argument("--no-probe", action="store_true", help="without the static probe")


def _add_capture(one: argparse.ArgumentParser) -> None:
    _add_wanted(one)
    one.add_argument("-o", dest="output", metavar="FILE", help="default: stdout")
    one.add_argument("--ssh", metavar="HOST", help="capture that machine over your own ssh")
    one.add_argument(
        "--ssh-command", default="ssh", metavar="WORDS", help="default: ssh ('ssh -F file -p 2222')"
    )
    add_volume(one)


def _add_compare(one: argparse.ArgumentParser) -> None:
    one.add_argument("server", metavar="SERVER", help="a snapshot of the server")
    one.add_argument("local", nargs="?", metavar="LOCAL", help="default: this machine, now")
    one.add_argument("--binary", metavar="FILE", help="about this program only")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    one.add_argument("--markdown", action="store_true", help="the result as a table on stdout")
    one.add_argument("--all", action="store_true", help="also what does not matter")
    one.add_argument("--no-probe", action="store_true", help="capture here without the probe")
    add_volume(one)


def _add_run(one: argparse.ArgumentParser) -> None:
    one.add_argument("--like", required=True, metavar="SNAPSHOT", help="what capture wrote")
    one.add_argument(
        "--seccomp",
        metavar="PROFILE",
        help="also under this seccomp profile, or `captured`: what the snapshot saw refused; "
        "each refusal is told, and makes an exit code of 0 a 1",
    )
    one.add_argument("--strict", action="store_true", help="refuse if something is not applied")
    one.add_argument(
        "--as",
        dest="form",
        choices=("docker", "compose", "kubernetes"),
        help="print the same limits for a container instead of running",
    )
    one.add_argument("words", nargs="*", metavar="PROGRAM", help="after --: program and arguments")
    add_volume(one)


def run(parsed: argparse.Namespace) -> int:
    """Dispatch to the step."""
    steps = {
        "capture": _capture,
        "compare": _compare,
        "explain": _explain,
        "run": _run,
        "script": _script,
    }
    return steps[parsed.step](parsed)


def _wanted(parsed: argparse.Namespace) -> "Wanted":
    from gotoolforge.parity.capture import Wanted

    return Wanted(
        pid=parsed.pid,
        root=parsed.root,
        proc=parsed.proc,
        sys=parsed.sys,
        sysctls=tuple(parsed.sysctl or ()),
    )


def _capture(parsed: argparse.Namespace) -> int:
    from gotoolforge import store
    from gotoolforge.parity import capture

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    wanted, probes = _wanted(parsed), not parsed.no_probe
    if parsed.root and not parsed.ssh and not Path(parsed.root).is_dir():
        what = f"--root {parsed.root}: no such folder"
        raise UsageError(what)
    if parsed.ssh:
        ssh = parsed.ssh_command
        snapshot = capture.capture_by_ssh(parsed.ssh, wanted, console, ssh=ssh, probes=probes)
    else:
        snapshot = capture.capture_here(wanted, console, probes=probes)
    unknown = [key for key, entry in snapshot.entries.items() if entry.value is None]
    console.say(f"captured {len(snapshot.entries)} keys, {len(unknown)} of them unknown")
    for key in unknown:
        console.detail(f"  {key}: {snapshot.entries[key].unknown}")
    if not parsed.output:
        print(snapshot.to_json().decode(), end="")
        return EXIT_OK
    try:
        store.write_atomically(Path(parsed.output), snapshot.to_json())
    except OSError as error:
        what = f"cannot write {parsed.output}: {error.strerror}"
        raise OutputError(what, hint="name another file with -o") from error
    print(parsed.output)
    return EXIT_OK


def _script(parsed: argparse.Namespace) -> int:
    import platform

    from gotoolforge.parity import capture, probe

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    here = platform.machine()
    known = [here] if probe.script_name(here) in probe.MACHINES else []
    machines = parsed.arch or known
    if "all" in machines:
        machines = list(probe.MACHINES)
    found = capture.find_probes(machines, console, wanted=not parsed.no_probe)
    print(capture.make_script(found, _wanted(parsed).words()), end="")
    return EXIT_OK


def _compare(parsed: argparse.Namespace) -> int:
    from gotoolforge import report
    from gotoolforge.parity.snapshot import load_snapshot

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    server = load_snapshot(Path(parsed.server))
    if parsed.binary:
        from gotoolforge.finding import in_order
        from gotoolforge.parity.binary import compare_binary
        from gotoolforge.parity.calls import needed_calls

        path = Path(parsed.binary)
        findings = in_order([*compare_binary(path, server), *needed_calls(path, server)])
    else:
        from gotoolforge.parity.compare import compare

        findings = compare(server, _local(parsed, console))
    counted = tuple(one for one in findings if one.severity != "note")
    shown = findings if parsed.all or parsed.binary else counted
    if parsed.json:
        import msgspec

        report.print_json({"matters": bool(counted), "findings": msgspec.to_builtins(findings)})
    elif parsed.markdown:
        print(markdown(shown))
    else:
        rest = len(findings) - len(shown)
        more = f"; {rest} more that do not (--all shows them)" if rest else ""
        words = "difference that matters" if len(counted) == 1 else "differences that matter"
        console.line(f"{parsed.server}: {len(counted)} {words}{more}")
        report.show_findings(shown, console)
    return EXIT_FINDINGS if counted else EXIT_OK


def _local(parsed: argparse.Namespace, console: Console) -> "Snapshot":
    from gotoolforge.parity.capture import Wanted, capture_here
    from gotoolforge.parity.snapshot import load_snapshot

    if parsed.local:
        return load_snapshot(Path(parsed.local))
    return capture_here(Wanted(), console, probes=not parsed.no_probe)


def markdown(findings: "tuple[Finding, ...]") -> str:
    """Findings as a table for a pull request or a wiki."""
    lines = ["| severity | key | what | what to do |", "|---|---|---|---|"]
    for one in findings:
        cells = (one.severity, f"`{one.check}`", one.message, one.advice)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _explain(parsed: argparse.Namespace) -> int:
    from gotoolforge.parity.keys import find_key, load_keys

    row = find_key(parsed.key, load_keys())
    if row.key == "*" and parsed.key not in {"*", "os.name", "container.kind", "memory.total_kib"}:
        import difflib

        known = [one.key for one in load_keys()]
        near = difflib.get_close_matches(parsed.key, known, n=3, cutoff=0.4)
        what = f"no such key: {parsed.key!r}"
        raise UsageError(what, hint=f"nearest: {', '.join(near or known[:5])}")
    if parsed.json:
        import msgspec

        from gotoolforge import report

        report.print_json({"asked": parsed.key, **msgspec.to_builtins(row)})
        return EXIT_OK
    print(f"{parsed.key}\n  {row.changes}\n  source: {row.source}")
    print(f"  compared: {row.compare} (server against here); a difference is: {row.severity}")
    print(f"  on the laptop: {row.laptop}\n  on the server: {row.server}")
    return EXIT_OK


def _run(parsed: argparse.Namespace) -> int:
    from gotoolforge.parity import alike, forms
    from gotoolforge.parity.snapshot import load_snapshot
    from gotoolforge.run import quote

    snapshot = load_snapshot(Path(parsed.like))
    wanted = alike.read_alike(snapshot)
    if parsed.form:
        if parsed.seccomp == "captured":
            what = "a container wants a profile in a file"
            raise UsageError(what, hint="--seccomp FILE, or leave it out")
        profile = parsed.seccomp
        words = " ".join(("docker run", quote(forms.docker_words(wanted, profile)), "IMAGE"))
        texts = {
            "docker": lambda: words,
            "compose": lambda: forms.compose_text(wanted, profile),
            "kubernetes": lambda: forms.kubernetes_text(wanted, profile),
        }
        print(texts[parsed.form]())
        return EXIT_OK
    if not parsed.words:
        what = "run wants a program"
        raise UsageError(what, hint="gotoolforge parity run --like server.json -- ./app")
    from gotoolforge.parity.applying import run_alike

    console = Console(quiet=parsed.quiet, verbose=parsed.verbose)
    with ExitStack() as stack:
        program = (*_seccomp_words(parsed.seccomp, snapshot, stack), *parsed.words)
        return run_alike(program, wanted, console, strict=parsed.strict)


def _seccomp_words(profile: str | None, snapshot: "Snapshot", stack: ExitStack) -> tuple[str, ...]:
    if not profile:
        return ()
    import sys

    from gotoolforge import store
    from gotoolforge.parity.calls import captured_profile
    from gotoolforge.seccomp.profile import load_profile, profile_json

    if profile == "captured":
        path = stack.enter_context(store.scratch_dir()) / "captured.json"
        path.write_bytes(profile_json(captured_profile(snapshot)))
    else:
        # Read here too: what is wrong with it is to be said before anything is applied.
        path = Path(profile)
        load_profile(path)
    # It lets all pass until the program itself runs, and tells each refusal with its stack.
    words = ("seccomp", "run", "--profile", str(path), "--")
    return (sys.executable, "-m", "gotoolforge", *words)
