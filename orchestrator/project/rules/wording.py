"""What messages say fits what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.core.expression import Condition
from orchestrator.core.expression.grammar import ROOTS
from orchestrator.core.journey import Entry, LeaveRule
from orchestrator.core.steps.base import TemplateName
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.rules.base import Rule


class UnknownName(Rule):
    """a journey's message cannot know {name!r}

    Messages of journeys are told of the subscriber, usage, points and event.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for message in sorted({name for name, _ in draft.references(TemplateName)}):
            if message not in draft.messages:
                continue
            roots = {name.split(".")[0] for name in draft.messages[message].names()}
            for root in sorted(roots - {*ROOTS}):
                hint = did_you_mean(root, ROOTS, f"write subscriber.{root} for an attribute")
                for path in draft.template_files[message].values():
                    if found := re.search(rf"\b{root}\b", draft.files[path]):
                        yield self.at(_mark(draft, path, found.start()), hint, name=root)


class EventNowhere(Rule):
    """there is no `event` here

    Segments, who enters from one, and who leaves on a condition alone are looked at while nothing
    happens.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for condition, mark in self._quiet(draft):
            if any(name.split(".")[0] == "event" for name in condition.names()):
                yield self.at(mark, "use an attribute, or a tag that an event's journey sets")

    def _quiet(self, draft: Draft) -> Iterator[tuple[Condition, Mark]]:
        if draft.segments:
            for name, condition in draft.segments.segments.items():
                yield condition, draft.places.mark(draft.segments, "segments", name)
        for form in draft.journeys.values():
            rules: tuple[Entry | LeaveRule, ...] = (*form.enter, *form.leave)
            for rule in rules:
                if rule.on is None and rule.condition is not None:
                    yield rule.condition, draft.places.mark(rule, "if")


def _mark(draft: Draft, path: str, index: int) -> Mark:
    text = draft.files[path]
    return Mark(path, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))
