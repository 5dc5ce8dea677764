"""What is counted can be counted, and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.rules.base import Rule

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class CountedName(Rule):
    """{name!r} cannot be the name of a measure

    Conditions know it as `usage.mb_7d`: small letters, digits and _, a letter first.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for event in draft.feed.events.values() if draft.feed else ():
            for name in event.counts:
                if not _NAME.fullmatch(name):
                    yield self.at(draft.places.mark(event, "counts", name), "as: mb", name=name)


class CountedNotKept(Rule):
    """{name!r} is counted, and only kept where it matches a trigger

    Only what is stored is counted, once, whoever reports it how often. Most events of such a kind
    are never stored.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for name, event in draft.feed.events.items() if draft.feed else ():
            if event.counts and event.keep == "matching":
                hint = "write `keep: all`, or let another event bring the sums, as every 15 minutes"
                yield self.at(draft.places.key_mark(event, "counts"), hint, name=name)


class NotCounted(Rule):
    """no event counts {name!r}

    `usage` says with what a measure is compared; events say in `counts` what they count.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        if draft.feed is None:
            return
        counted = {name for event in draft.feed.events.values() for name in event.counts}
        for name in draft.feed.usage:
            if name not in counted:
                hint = did_you_mean(name, counted, "write `counts` below an event that tells it")
                yield self.at(draft.places.mark(draft.feed, "usage", name), hint, name=name)


class CountedProperty(Rule):
    """the event does not tell {name!r} as a number

    What is counted is a property that is declared as `number`, where properties are declared.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for event in draft.feed.events.values() if draft.feed else ():
            kinds = event.compiled().properties
            for measure, amount in event.counts.items():
                name = amount.property
                if name and kinds and kinds.get(name) not in ("number", "any"):
                    numbers = [it for it, kind in kinds.items() if kind == "number"]
                    hint = did_you_mean(name, numbers, f"declare it: `{name}: number`")
                    yield self.at(draft.places.mark(event, "counts", measure), hint, name=name)
