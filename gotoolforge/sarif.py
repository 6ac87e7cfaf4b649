"""Findings as SARIF 2.1.0, which code hosts show beside the code."""

import os
from typing import Any

from gotoolforge import __version__
from gotoolforge.policy import load_checks
from gotoolforge.verify import FileReport

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_UNREADABLE = "unreadable"


def to_sarif(reports: list[FileReport]) -> dict[str, Any]:
    """One run with a rule for each check and a result for each finding."""
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(reports)]}


def _run(reports: list[FileReport]) -> dict[str, Any]:
    results = [
        _result(report, one.check, one.severity, f"{one.message}. To do: {one.advice}")
        for report in reports
        for one in report.findings
    ]
    results += [
        _result(report, _UNREADABLE, "error", f"it could not be read: {report.error}")
        for report in reports
        if report.error
    ]
    rules = [
        {
            "id": check.id,
            "shortDescription": {"text": check.asks},
            "fullDescription": {"text": check.why},
            "help": {"text": check.fix},
            "defaultConfiguration": _default(check.severity),
        }
        for check in load_checks().values()
    ]
    rules.append(
        {
            "id": _UNREADABLE,
            "shortDescription": {"text": "Can the file be read?"},
            "fullDescription": {"text": "Of a file that cannot be read nothing is known."},
            "help": {"text": "name a file that is there, whole, and may be read"},
            "defaultConfiguration": {"level": "error"},
        }
    )
    driver = {"name": "gotoolforge", "version": __version__, "rules": rules}
    return {"tool": {"driver": driver}, "results": results}


def _default(severity: str) -> dict[str, Any]:
    return {"enabled": False} if severity == "off" else {"level": severity}


def _result(report: FileReport, check: str, level: str, text: str) -> dict[str, Any]:
    from urllib.parse import quote

    # Code hosts want a line, and a binary has none.
    region = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}
    place = {"artifactLocation": {"uri": quote(os.fsencode(report.path))}, "region": region}
    return {
        "ruleId": check,
        "level": level,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }
