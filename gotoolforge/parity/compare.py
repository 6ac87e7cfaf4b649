"""Two snapshots against each other: what the server lacks of what the local machine gave."""

import re
from collections.abc import Iterator

from gotoolforge.finding import Finding, in_order
from gotoolforge.parity.keys import CAPABILITIES, KeyRow, find_key, load_keys
from gotoolforge.parity.snapshot import Entry, Snapshot

# Said by the capture itself, and different each time.
_ABOUT_THE_CAPTURE = "capture."
_UNLIMITED = {"unlimited", "max", "infinity"}


def compare(server: Snapshot, local: Snapshot) -> tuple[Finding, ...]:
    """All differences, worst first. Errors and warnings matter; notes do not."""
    rows = load_keys()
    found: list[Finding] = []
    for key in sorted({*server.entries, *local.entries}):
        if key.startswith(_ABOUT_THE_CAPTURE):
            continue
        row = find_key(key, rows)
        there, here = server.entries.get(key), local.entries.get(key)
        if one := _compare_one(key, row, there, here):
            found.append(one)
    return in_order(found)


def _compare_one(key: str, row: KeyRow, there: Entry | None, here: Entry | None) -> Finding | None:
    if there is None or here is None:
        given = here or there
        if given is None or given.value is None:
            return None
        side = "server" if there is None else "local machine"
        message = f"{given.value} on one side; the {side} has no such key"
        return Finding(check=key, severity="note", message=message)
    if there.value is None or here.value is None:
        if there.value is None and here.value is None:
            return None
        side, entry, other = (
            ("server", there, here) if there.value is None else ("local machine", here, there)
        )
        message = f"unknown on the {side} ({entry.unknown}), {other.value} on the other side"
        return Finding(check=key, severity="note", message=message)
    if there.value == here.value:
        return None
    return _judge(key, row, there.value, here.value)


def _judge(key: str, row: KeyRow, there: str, here: str) -> Finding:
    words = f"server {there}, here {here}"
    if not _counts(row, there, here):
        return Finding(check=key, severity="note", message=words)
    missing = _missing(row, there, here) if row.compare == "superset" else ""
    if missing and missing != here:
        words += f" (missing there: {missing})"
    sides = {"laptop": row.laptop, "server": row.server}
    advice = "; ".join(f"{side}: {what}" for side, what in sides.items() if what != "-")
    # KEY in an advice is the sysctl's own name.
    advice = advice.replace("KEY", key.removeprefix("sysctl."))
    message = f"{words}. {row.changes}"
    # Programs try a newer call and go on where it is not known; a refusal they take for an answer.
    falls_back = row.compare == "works" and there == "ENOSYS" and row.severity == "error"
    severity = "warning" if falls_back else row.severity
    return Finding(check=key, severity=severity, message=message, advice=advice)


def _counts(row: KeyRow, there: str, here: str) -> bool:
    match row.compare:
        case "at-least":
            return amount(there) < amount(here)
        case "at-most":
            return amount(there) > amount(here)
        case "superset":
            return bool(_missing(row, there, here))
        case "works":
            return here == "works"
        case _:
            return row.compare == "equal"


def amount(text: str) -> tuple[float, tuple[int, ...]]:
    """What a value is worth: a version's or a number's parts, unlimited above all. Any length."""
    if text in _UNLIMITED:
        return (float("inf"), ())
    # "6.1.0-18-amd64" and "1.1.5+ds1": what follows the number is a distribution's revision.
    number = re.match(r"-?\d+(\.\d+)*", text)
    return (0.0, tuple(int(part) for part in number[0].split("."))) if number else (-1.0, ())


def _missing(row: KeyRow, there: str, here: str) -> str:
    if row.hex:
        left = int(here, 16) & ~int(there, 16)
        return ", ".join(_capability_names(left))
    if {here, there} <= {"yes", "no"}:
        return here if here == "yes" else ""
    return " ".join(word for word in here.split() if word not in there.split())


def _capability_names(mask: int) -> Iterator[str]:
    for bit, name in enumerate(CAPABILITIES):
        if mask >> bit & 1:
            yield name
    # Bits that no kernel of today names.
    if mask >> len(CAPABILITIES):
        yield f"bits {mask >> len(CAPABILITIES) << len(CAPABILITIES):#x}"
