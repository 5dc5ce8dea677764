"""Results as JUnit XML, which every CI server shows."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from msgspec import Struct


class Case(Struct, frozen=True):
    """One test: its file, line and name, how long it took, and what was wrong ('' if nothing)."""

    file: str
    line: int
    name: str
    seconds: float
    wrong: str = ""


def report(cases: Iterable[Case]) -> str:
    """The document. Source: the schema of Apache Ant's JUnit task, as CI servers read it."""
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.file, []).append(case)
    whole = {"name": "outreach test", **_counts(_flat(suites))}
    root = ElementTree.Element("testsuites", whole)
    for file, inside in suites.items():
        suite = ElementTree.SubElement(root, "testsuite", {"name": file, **_counts(inside)})
        for case in inside:
            about = {
                "name": _printable(case.name),
                "classname": file,
                "file": file,
                "line": str(case.line),
            }
            about["time"] = f"{case.seconds:.3f}"
            node = ElementTree.SubElement(suite, "testcase", about)
            if case.wrong:
                message = _printable(case.wrong)
                failure = ElementTree.SubElement(node, "failure", message=message.split("\n")[0])
                failure.text = message
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _flat(suites: dict[str, list[Case]]) -> list[Case]:
    return [case for inside in suites.values() for case in inside]


def _counts(cases: list[Case]) -> dict[str, str]:
    failed = sum(bool(case.wrong) for case in cases)
    spent_s = sum(case.seconds for case in cases)
    return {"tests": str(len(cases)), "failures": str(failed), "time": f"{spent_s:.3f}"}


def _printable(text: str) -> str:
    """Without what XML 1.0 cannot hold (§2.2)."""
    return "".join(
        c
        for c in text
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c not in "\ufffe\uffff"
    )
