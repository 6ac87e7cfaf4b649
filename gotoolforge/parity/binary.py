"""What a snapshot of a server means for one binary: machine, glibc floor, time64, stacks, Go."""

from pathlib import Path

from gotoolforge.errors import UnreadableError
from gotoolforge.finding import Finding, in_order
from gotoolforge.parity.compare import amount
from gotoolforge.parity.probe import MACHINES, script_name
from gotoolforge.parity.snapshot import Snapshot
from gotoolforge.policy import load_policy
from gotoolforge.target import find_target
from gotoolforge.verify import FileReport, verify_file

_MUSL_STACK = 128 * 1024
# What the Go runtime and musl 1.2 call on 32-bit machines, where an old seccomp profile says EPERM.
TIME64 = ("clock_gettime64", "futex_time64", "clock_nanosleep_time64", "ppoll_time64")


def compare_binary(path: Path, server: Snapshot) -> tuple[Finding, ...]:
    """What on that server is not enough for this file. Raises UnreadableError."""
    report = verify_file(path, policy=load_policy("no-host-libc"))
    if report.error or report.machine is None:
        what = f"{path}: could not be read: {report.error or 'it is no program'}"
        raise UnreadableError(what)
    found = [*_machine(report, server), *_libc(report, server), *_threads(report)]
    found += [*_time64(report, server), *_scheduler(report, server)]
    return in_order(found)


def _machine(report: FileReport, server: Snapshot) -> list[Finding]:
    said = server.value("kernel.arch") or ""
    name = MACHINES.get(script_name(said))
    if name is None:
        return []
    shape = find_target(name).elf
    # A 64-bit x86 kernel runs 32-bit programs too.
    also = {"EM_386"} if said == "x86_64" else set()
    if report.machine in {shape.machine, *also}:
        return []
    message = f"the file is for {report.machine}, the server is {said}"
    advice = f"build it with --target {name}"
    return [Finding(check="binary.machine", severity="error", message=message, advice=advice)]


def _libc(report: FileReport, server: Snapshot) -> list[Finding]:
    if not report.interpreter and not report.needed:
        return []
    kind, version = server.value("libc.kind"), server.value("libc.version")
    wants = "musl" if "musl" in (report.interpreter or "") else "glibc"
    advice = "build it without need of a libc: gotoolforge build"
    if kind and kind != wants:
        message = f"the file needs {wants}, the server has {kind} {version or ''}".rstrip()
        return [Finding(check="binary.libc", severity="error", message=message, advice=advice)]
    if not report.floor:
        return []
    if version is None:
        message = f"the file needs glibc {report.floor}; the server's is unknown"
        return [Finding(check="binary.floor", severity="warning", message=message, advice=advice)]
    if amount(version) < amount(report.floor):
        message = f"the file needs glibc {report.floor} or newer, the server has {version}"
        return [Finding(check="binary.floor", severity="error", message=message, advice=advice)]
    return []


def _threads(report: FileReport) -> list[Finding]:
    if report.verdict != "musl-static" or (report.stack_size or 0) > _MUSL_STACK:
        return []
    message = "threads of C code get musl's 128 KiB stack; RLIMIT_STACK does not change that"
    advice = "build it with --stack-size 8M (gotoolforge's own default)"
    return [Finding(check="binary.stack", severity="warning", message=message, advice=advice)]


def _time64(report: FileReport, server: Snapshot) -> list[Finding]:
    if report.bits != 32:
        return []
    refused = {name: server.value(f"syscall.{name}") for name in TIME64}
    bad = [f"{name}: {word}" for name, word in refused.items() if word in {"EPERM", "killed"}]
    if not bad:
        return []
    message = f"a 32-bit program asks for 64-bit time, and the server refuses: {'; '.join(bad)}"
    advice = "libseccomp 2.4.4 or newer and a current profile on the server; or a 64-bit build"
    return [Finding(check="binary.time64", severity="error", message=message, advice=advice)]


def _scheduler(report: FileReport, server: Snapshot) -> list[Finding]:
    quota = server.value("cgroup.cpu.milli")
    version = report.go.version.removeprefix("go") if report.go else ""
    if not version or quota in {None, "max"} or amount(version) >= amount("1.25"):
        return []
    if server.value("env.GOMAXPROCS") not in {None, "unset"}:
        return []
    message = f"made by Go {version}, which does not see the quota of {quota} thousandths of a CPU"
    advice = "set GOMAXPROCS on the server, or build it with Go 1.25 and go 1.25 in go.mod"
    return [Finding(check="binary.gomaxprocs", severity="warning", message=message, advice=advice)]
