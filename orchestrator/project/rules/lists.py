"""Lists of numbers are called the same everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import conditions
from orchestrator.project.slips import slips


class MisspeltList(Rule):
    """is {name!r} the list {other!r}?

    It is named once, and the other, one key away, more often. Which lists there are, `outreach list
    show` knows: here nobody does, and a list that was never loaded holds nothing up and lets nobody
    in.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        named = [*names(draft)]
        counts = Counter(name for name, _ in named)
        close = slips(counts)
        for name, mark in named:
            for other in close.get(name, ()) if counts[name] == 1 else ():
                if counts[other] > 1:
                    yield self.at(mark, f"then write {other!r}", name=name, other=other)
                    break


def names(draft: Draft) -> Iterator[tuple[str, Mark]]:
    """Every list that something names, and where."""
    name: str
    if draft.contact:
        for number, name in enumerate(draft.contact.not_on):
            yield name, draft.places.mark(draft.contact, "not_on", number)
        for rules in draft.contact.classes.values():
            for number, name in enumerate(rules.not_on):
                yield name, draft.places.mark(rules, "not_on", number)
    for condition, mark, _ in conditions(draft):
        for name in sorted(condition.lists()):
            yield name, mark
