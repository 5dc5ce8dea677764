"""Findings as other programs read them: JSON, GitHub's annotations, SARIF 2.1.0."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec

from orchestrator.project.allowances import Allowance
from orchestrator.project.findings import Finding
from orchestrator.project.rules import RULES

READING: Mapping[str, str] = {
    "file": "this file has no place in a project, or cannot be read",
    "yaml": "this is not YAML as we read it\n\nPlain data: no tags, no anchors, no key twice.",
    "form": "a key or a value is not what can stand here\n\nThe reference says what can.",
    "template": "this template cannot be read",
    "picture": "this picture cannot be used",
}
"""What is found before any rule is asked."""

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PLACE = re.compile(r"\{\w+(?:!r)?\}")


def as_json(findings: Sequence[Finding]) -> str:
    """A JSON list of objects: file, line, column, severity, rule, message, hint."""
    rows = [
        {
            "file": found.mark.file,
            "line": found.mark.line,
            "column": found.mark.column,
            "severity": found.severity,
            "rule": found.rule,
            "message": found.message,
            "hint": found.hint,
        }
        for found in findings
    ]
    return _json(rows)


def as_github(findings: Sequence[Finding], folder: PurePosixPath) -> str:
    """A workflow command for each, which GitHub shows beside the line. `folder` is where the
    project lies in the repository."""
    return "\n".join(
        f"::{found.severity} file={_property(str(folder / found.mark.file))},"
        f"line={found.mark.line},col={found.mark.column},title={_property(found.rule)}"
        f"::{_escaped(_said(found))}"
        for found in findings
    )


def as_sarif(
    findings: Sequence[Finding],
    folder: PurePosixPath,
    version: str,
    allowed: Sequence[tuple[Finding, Allowance]] = (),
) -> str:
    """A SARIF log with one run, by which every rule there is was asked. What is `allowed` stands in
    it as suppressed, with its reason (SARIF 2.1.0 §3.35)."""
    names = [*dict.fromkeys((*READING, *sorted(RULES), *(found.rule for found in findings)))]
    driver = {
        "name": "outreach",
        "version": version,
        "rules": [_described(name) for name in names],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [
            *(_result(found, folder, names) for found in findings),
            *(_result(found, folder, names) | _suppressed(it) for found, it in allowed),
        ],
    }
    return _json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def explained(name: str) -> str:
    """What a rule says and why: `name (error)`, then its docstring."""
    if name in READING:
        return f"{name} (error)\n\n{READING[name]}"
    rule = RULES[name]
    allowed = f"\n\nWho means it writes above it: {ALLOW.format(name)}"
    text = f"{name} ({rule.severity})\n\n{plain(rule.message())}"
    more = f"\n\n{rule.more()}" if rule.more() else ""
    return text + more + (allowed if rule.may_be_allowed() else "")


ALLOW = "# outreach: allow {} because …"


def plain(message: str) -> str:
    """A rule's message with … where a finding has its own words."""
    return _PLACE.sub("…", message)


def _described(name: str) -> dict[str, Any]:
    rule = RULES.get(name)
    short, _, more = READING.get(name, name).partition("\n\n")
    if rule is not None:
        short, more = plain(rule.message()), rule.more()
    return {
        "id": name,
        "shortDescription": {"text": short},
        "fullDescription": {"text": more or short},
        "defaultConfiguration": {"level": rule.severity if rule else "error"},
    }


def _result(found: Finding, folder: PurePosixPath, names: Sequence[str]) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": quote(str(folder / found.mark.file))},
        "region": {"startLine": found.mark.line, "startColumn": found.mark.column},
    }
    return {
        "ruleId": found.rule,
        "ruleIndex": names.index(found.rule),
        "level": found.severity,
        "message": {"text": _said(found)},
        "locations": [{"physicalLocation": place}],
    }


def _suppressed(allowance: Allowance) -> dict[str, Any]:
    return {"suppressions": [{"kind": "inSource", "justification": allowance.because}]}


def _said(found: Finding) -> str:
    return f"{found.message}: {found.hint}" if found.hint else found.message


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
