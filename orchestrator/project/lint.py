"""What the rules find in a project: things that each read well alone but do not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.allowances import Allowance
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.rules import RULES


def findings(draft: Draft) -> Iterator[Finding]:
    """Everything that any rule finds, but for what its author allows."""
    allowed = {
        (it.mark.file, it.line, it.rule): it
        for it in draft.allowances
        if it.because and it.rule in RULES and RULES[it.rule].may_be_allowed()
    }
    used: dict[Finding, Allowance] = {}
    for rule in RULES.values():
        if not rule.last:
            for found in rule().check(draft):
                meant = allowed.get((found.mark.file, found.mark.line, found.rule))
                if meant is None:
                    yield found
                else:
                    used[found] = meant
    draft.allowed = tuple(used.items())
    draft.idle = tuple(it for it in allowed.values() if it not in used.values())
    for rule in RULES.values():
        if rule.last:
            yield from rule().check(draft)


def needed(draft: Draft) -> Iterator[Finding]:
    """What a project cannot run with."""
    for rule in RULES.values():
        if rule.severity == "error" and not rule.runs_anyway:
            yield from rule().check(draft)
