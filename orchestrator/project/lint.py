"""What the rules find in a project: things that each read well alone but do not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.rules import RULES


def findings(draft: Draft) -> Iterator[Finding]:
    """Everything that any rule finds."""
    for rule in RULES.values():
        yield from rule().check(draft)
