"""People in flight are led to where somebody can be."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.journey import lay_out
from orchestrator.core.moving import LEAVE
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.rules.base import Rule


class UnknownTarget(Rule):
    """`in_flight` moves people to {name!r}, which is no step of this journey

    `move` maps steps of older versions to steps of this one, or to `leave`. A step without an id is
    named by its place: `quiz.reply-1.2`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            _, steps = lay_out(form.steps)
            for old, new in (form.in_flight.move or {}).items():
                if new != LEAVE and new not in steps:
                    mark = draft.places.mark(form, "in_flight", "move", old)
                    yield self.at(mark, did_you_mean(new, [*steps, LEAVE]), name=new)
