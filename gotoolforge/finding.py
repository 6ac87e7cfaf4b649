"""A finding: one violation of one check. Collected, sorted, shown together; never raised."""

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "note"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`check` is the rule's code; `message` says what was seen, `advice` what to do about it."""

    check: str
    severity: Severity
    message: str
    advice: str = ""


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; by check within each."""
    return tuple(sorted(findings, key=lambda one: (_ORDER[one.severity], one.check, one.message)))
