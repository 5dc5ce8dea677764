"""Whom `simulate` plays is reached where we can reach people, and lives somewhere."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from orchestrator.core import calendar
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.project.audience import Arrival, Habit, Prompt
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, did_you_mean
from orchestrator.project.rules import lists
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.events import awaited
from orchestrator.project.slips import slips

_Named = tuple[str, str, Mapping[str, object], Container[str], tuple[str, ...]]
"""A key, what stands under it, the names there, those that exist, and those to be meant."""

_CHANNELS = tuple(word for word in CHANNEL_WORDS if word != "chat")


class UnknownInAudience(Rule):
    """{name!r} is no {what}

    An audience whose channels, time zones, purposes, lists or messages nobody knows would be played
    as if it had none.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        form = draft.audience
        if form is None or not draft.places.knows(form):
            return
        classes = draft.contact.classes.values() if draft.contact else ()
        purposes = [*dict.fromkeys(rules.purpose for rules in classes)]
        asked = [*dict.fromkeys(name for name, _ in lists.names(draft))]
        zones = [name for name in form.timezones if calendar.zone(name) is not None]
        known: tuple[
            tuple[str, str, Mapping[str, object], Container[str], tuple[str, ...]], ...
        ] = (
            ("channels", "channel", form.channels, _CHANNELS, _CHANNELS),
            ("failures", "channel", form.failures, _CHANNELS, _CHANNELS),
            ("timezones", "time zone", form.timezones, zones, ()),
            ("consents", "purpose of a contact class", form.consents, purposes, tuple(purposes)),
            ("lists", "list that anybody asks about", form.lists, asked, tuple(asked)),
        )
        for key, what, names, these, close in known:
            for name in names:
                if name not in these:
                    mark = draft.places.mark(form, key, name)
                    yield self.at(mark, did_you_mean(name, close), name=name, what=what)
        for prompt in form.prompted:
            if prompt.by and prompt.by not in draft.messages and prompt.by not in draft.broken:
                mark = draft.places.mark(prompt, "by")
                yield self.at(
                    mark, did_you_mean(prompt.by, draft.messages), name=prompt.by, what="message"
                )


class MisspeltInAudience(Rule):
    """does this audience mean the event {other!r}?

    Nothing in the project hears what it says, and it hears this, one key away: what people are said
    to do would come to nothing.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        form = draft.audience
        if form is None or not draft.places.knows(form):
            return
        heard = {name for name, _ in awaited(draft)}
        habits = [habit for kind in form.people for habit in kind.events]
        does: list[Arrival | Habit | Prompt] = [
            *([form.arrive] if form.arrive else []),
            *habits,
            *form.prompted,
        ]
        unheard = [it for it in does if it.on not in heard]
        close = slips([*heard, *(it.on for it in unheard)]) if unheard else {}
        for it in unheard:
            meant = [other for other in close.get(it.on, ()) if other in heard]
            if meant:
                mark = draft.places.mark(it, "on")
                yield self.at(mark, f"then write {meant[0]!r}", other=meant[0])
