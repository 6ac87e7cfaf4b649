"""What a systemd unit's limits really are: its file and its drop-ins, in systemd's order."""

import re
from pathlib import Path

from gotoolforge import run, store
from gotoolforge.errors import UnreadableError
from gotoolforge.finding import Finding, in_order
from gotoolforge.limits.names import load_rlimits
from gotoolforge.run import Command

_ROOTS = tuple(f"{root}/systemd/system" for root in ("/etc", "/run", "/usr/lib", "/lib"))
# systemd's own default since version 240 (systemd-system.conf(5)).
_DEFAULT_NOFILE = "1024:524288 (systemd's default)"


def find_unit(name: str) -> Path:
    """The file of a unit, by path or by name. Raises UnreadableError."""
    full = name if "." in name else f"{name}.service"
    for place in (Path(name), *(Path(root, full) for root in _ROOTS)):
        if place.is_file():
            return place
    what = f"no such unit: {name}"
    raise UnreadableError(what, hint=f"give the path of its file; looked in {', '.join(_ROOTS)}")


def read_unit(path: Path) -> tuple[dict[str, str], tuple[Finding, ...]]:
    """The directives that limit a service, and what is wrong with them. Raises UnreadableError."""
    values = {"LimitNOFILE": _DEFAULT_NOFILE}
    found: list[Finding] = []
    known = {row.systemd for row in load_rlimits()} | {"TasksMax", "MemoryMax", "CPUQuota"}
    for file in (path, *sorted(path.parent.glob(f"{path.name}.d/*.conf"))):
        for key, value in _pairs(file):
            if key in known:
                values[key] = value
            if key.startswith("Exec") and re.search(r"\bulimit\b", value):
                message = f"{file.name}: {key}={value} limits a shell of its own, not the service"
                advice = "use LimitNOFILE= and the like"
                one = Finding(check="unit.ulimit", severity="error", message=message, advice=advice)
                found.append(one)
    return values, in_order(found)


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


def _pairs(path: Path) -> list[tuple[str, str]]:
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
        elif section == "[Service]" and "=" in words and words[0] not in "#;":
            key, _, value = words.partition("=")
            pairs.append((key.strip(), value.strip()))
    return pairs
