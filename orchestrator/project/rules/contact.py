"""The contact policy has what it refers to."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.rules.base import Rule


class NoHolidays(Rule):
    """nobody knows the holidays that the class {name!r} avoids

    Without a pack in journeys/program/holidays.yaml, or after its `valid_until`, such a class sends
    nothing.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        if draft.contact is None or draft.holidays is None or draft.holidays.holidays:
            return
        for name, rules in draft.contact.classes.items():
            if rules.holidays is not None:
                hint = "write a pack in journeys/program/holidays.yaml, or take this out"
                yield self.at(draft.places.mark(rules, "holidays"), hint, name=name)
