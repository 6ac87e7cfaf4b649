"""What a systemd unit's limits really are: its files in systemd's order, and what systemd has."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gotoolforge import run, store
from gotoolforge.errors import UnreadableError
from gotoolforge.finding import Finding, in_order
from gotoolforge.limits.names import load_rlimits, number
from gotoolforge.limits.usage import parse_limits
from gotoolforge.run import Command

_LIBRARY = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd",
            "/lib/systemd")  # fmt: skip
# It is there where systemd is process 1 (sd_booted(3)).
_BOOTED = Path("/run/systemd/system")
# Those of a service beside the resource limits; and systemd's own defaults since version 240
# (systemd-system.conf(5)).
_OTHERS = ("TasksMax", "MemoryMax", "CPUQuota")
_DEFAULTS = {"LimitNOFILE": "1024:524288", "TasksMax": "15%"}
_SHOWN = ("LoadState", "NeedDaemonReload", "MainPID", "LimitNOFILE", "LimitNOFILESoft",
          "LimitNPROC", "TasksMax", "MemoryMax", "CPUQuotaPerSecUSec")  # fmt: skip


class Directive(msgspec.Struct, frozen=True):
    """A limit as it stands, and the file that says so."""

    value: str
    source: str


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A service: the files that make it, its limits by directive, and what it starts.

    `loaded` is what a running systemd has of it, None where none runs or the unit is not its.
    """

    files: tuple[str, ...]
    limits: dict[str, Directive]
    program: str | None
    loaded: dict[str, str] | None = None


def find_unit(name: str) -> Path:
    """The file of a unit, by path or by name. Raises UnreadableError."""
    full = name if "." in name else f"{name}.service"
    roots = [Path(root, "system") for root in _LIBRARY]
    names = [full, re.sub("@.*[.]", "@.", full)]
    for place in (Path(name), *(root / one for one in names for root in roots)):
        if place.is_file():
            return place
    what = f"no such unit: {name}"
    where = ", ".join(map(str, roots))
    raise UnreadableError(what, hint=f"give the path of its file; looked in {where}")


def read_unit(path: Path, name: str = "") -> tuple[Unit, tuple[Finding, ...]]:
    """A unit's limits, and what is wrong with them; `name` where the file is a template's.

    Raises UnreadableError.
    """
    known = (*(row.systemd for row in load_rlimits()), *_OTHERS)
    limits = {key: Directive(value, "systemd's default") for key, value in _DEFAULTS.items()}
    limits |= _of_the_manager(known)
    defaults = dict(limits)
    found: list[Finding] = []
    program = None
    files = (path, *_drop_ins(path, name or path.name))
    for file in files:
        for key, value in _pairs(file, "[Service]"):
            if key in known and value:
                limits[key] = Directive(value, str(file))
            elif key in known:
                # An empty value takes back what was said before.
                limits = {one: limits[one] for one in limits if one != key}
                limits |= {key: defaults[key]} if key in defaults else {}
            if key == "ExecStart" and value:
                program = value.lstrip("@-:+!").split()[0]
            if key.startswith("Exec") and re.search(r"\bulimit\b", value):
                message = f"{file.name}: {key}={value} limits a shell of its own, not the service"
                advice = "use LimitNOFILE= and the like"
                one = Finding(check="unit.ulimit", severity="error", message=message, advice=advice)
                found.append(one)
    if finding := _beyond_the_kernel(limits["LimitNOFILE"]):
        found.append(finding)
    unit = Unit(files=tuple(map(str, files)), limits=limits, program=program)
    return unit, in_order(found)


def ask_systemd(name: str, unit: Unit) -> tuple[dict[str, str] | None, tuple[Finding, ...]]:
    """What a running systemd has of a unit, and where that, or its process, is behind the files."""
    program = run.find_program("systemctl")
    if not program or not _BOOTED.is_dir():
        return None, ()
    answer = run.ask(Command(argv=(program, "show", name, f"--property={','.join(_SHOWN)}")))
    loaded = dict(line.split("=", 1) for line in answer.out.splitlines() if "=" in line)
    if answer.code or loaded.get("LoadState") != "loaded":
        return None, ()
    found = []
    if loaded.get("NeedDaemonReload") == "yes" or _is_behind(loaded, unit):
        message = "the unit's files have changed since systemd read them"
        advice = f"systemctl daemon-reload && systemctl restart {name}"
        one = Finding(check="unit.reload", severity="warning", message=message, advice=advice)
        found.append(one)
    hard = _hard_nofile(loaded.get("MainPID", "0"))
    given = loaded.get("LimitNOFILE", "")
    if hard and given and hard != given:
        message = f"its process {loaded['MainPID']} has NOFILE {hard}, the unit says {given}"
        advice = f"limits are given at start: systemctl restart {name}"
        one = Finding(check="unit.restart", severity="warning", message=message, advice=advice)
        found.append(one)
    return loaded, in_order(found)


def _is_behind(loaded: dict[str, str], unit: Unit) -> bool:
    # systemd does not look for a folder of drop-ins that was not there when it read the unit.
    said = {key: unit.limits[key].value.rpartition(":")[2] for key in _DEFAULTS}
    return any(value.isdigit() and loaded.get(key) != value for key, value in said.items())


def _hard_nofile(pid: str) -> str | None:
    try:
        hard = parse_limits(Path("/proc", pid, "limits").read_text())["nofile"][1]
    except (OSError, KeyError):
        return None
    return "infinity" if hard is None else str(hard)


def _beyond_the_kernel(nofile: Directive) -> Finding | None:
    hard = nofile.value.rpartition(":")[2]
    try:
        most = int(Path("/proc/sys/fs/nr_open").read_text())
        wanted = number(hard)
    except (OSError, ValueError):
        return None
    # systemd takes "infinity" for as many as the kernel gives.
    if wanted is None or wanted <= most:
        return None
    message = f"LimitNOFILE={nofile.value} is above fs.nr_open here ({most}): it does not start"
    advice = f"fs.nr_open = {wanted} in /etc/sysctl.d/, or less"
    return Finding(check="unit.nr_open", severity="error", message=message, advice=advice)


def check_unit(path: Path) -> str | None:
    """What `systemd-analyze verify` says against the unit; "" if nothing, None without it."""
    program = run.find_program("systemd-analyze")
    if not program:
        return None
    answer = run.ask(Command(argv=(program, "verify", "--man=no", str(path))), seconds=60)
    # A directive that it ignores is told with exit code 0.
    return answer.err.strip() or ("it fails without a word" if answer.code else "")


def check_drop_in(text: str) -> str | None:
    """The same of a drop-in, beside a service of its own that is never started."""
    with store.scratch_dir() as scratch:
        unit = scratch / "gotoolforge-check.service"
        unit.write_text("[Service]\nExecStart=/bin/true\n")
        folder = scratch / f"{unit.name}.d"
        folder.mkdir()
        (folder / "limits.conf").write_text(text)
        return check_unit(unit)


def _drop_ins(path: Path, name: str) -> Iterator[Path]:
    """In the order in which systemd reads them: by file name, whichever folder they lie in.

    Of two with one name the nearer counts: the instance's before the template's before those of
    all services, /etc before /run before /usr (systemd.unit(5)).
    """
    roots = [path.parent, *(Path(root, "system") for root in _LIBRARY)]
    names = dict.fromkeys((name, path.name, "service"))
    chosen: dict[str, Path] = {}
    for one in names:
        for root in roots:
            for file in sorted((root / f"{one}.d").glob("*.conf")):
                chosen.setdefault(file.name, file)
    yield from (chosen[key] for key in sorted(chosen))


def _of_the_manager(known: tuple[str, ...]) -> dict[str, Directive]:
    """Defaults of this machine for every service (systemd-system.conf(5))."""
    chosen: dict[str, Path] = {}
    for root in _LIBRARY:
        for file in Path(root, "system.conf.d").glob("*.conf"):
            chosen.setdefault(file.name, file)
    main = [Path(root, "system.conf") for root in _LIBRARY]
    files = [*(one for one in main if one.is_file())][:1] + [chosen[key] for key in sorted(chosen)]
    found = {}
    for file in files:
        for key, value in _pairs(file, "[Manager]"):
            if key.removeprefix("Default") in known and key.startswith("Default") and value:
                found[key.removeprefix("Default")] = Directive(value, str(file))
    return found


def _pairs(path: Path, wanted: str) -> list[tuple[str, str]]:
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        what = f"{path}: cannot be read: {error.strerror}"
        raise UnreadableError(what) from error
    # Not configparser: a directive may stand more than once, and each counts.
    pairs, section = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        words = line.strip()
        if words.startswith("["):
            section = words
        elif section == wanted and "=" in words and words[0] not in "#;":
            key, _, value = words.partition("=")
            pairs.append((key.strip(), value.strip()))
    return pairs
