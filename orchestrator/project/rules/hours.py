"""Messages have a time at which they may go."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from functools import cache

from orchestrator.core import calendar
from orchestrator.core.contact import ContactClass
from orchestrator.core.grammar import WEEKDAYS, WHOLE_DAY, Window
from orchestrator.core.steps.base import Block, Step
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.wait import Wait
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.forms import JourneyForm
from orchestrator.project.rules.base import Rule
from orchestrator.project.timeline import is_message

_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)


class NoHour(Rule):
    """there is no hour at which the class {name!r} may send this

    Its `hours`, less what it and the journey `avoid`, on its `weekdays`: nothing is left, and
    whatever it is to send is dropped.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        classes = draft.contact.classes if draft.contact else {}
        for name, rules in classes.items():
            if not _opens(rules, ()):
                key = "weekdays" if not rules.weekdays else "avoid"
                hint = "leave it an hour of some day"
                yield self.at(draft.places.mark(rules, key), hint, name=name)
        for form in draft.journeys.values():
            found = classes.get(form.class_)
            if found and form.avoid and _opens(found, ()) and not _opens(found, form.avoid):
                hint = f"the class sends {_said(found)}: leave it a part of that"
                yield self.at(draft.places.mark(form, "avoid"), hint, name=form.class_)


class ClosedHour(Rule):
    """at {when} the class {name!r} may not send

    A message that comes to its step then waits until it may.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        classes = draft.contact.classes if draft.contact else {}
        for form in draft.journeys.values():
            rules = classes.get(form.class_)
            if rules and rules.consent != "answer" and _opens(rules, form.avoid):
                yield from self._block(draft, form, rules, form.steps)

    def _block(
        self, draft: Draft, form: JourneyForm, rules: ContactClass, block: Block
    ) -> Iterator[Finding]:
        for number, step in enumerate(block):
            if step.at is not None and _sends(block[number:]):
                opens = _closed(rules, form.avoid, step.at.time, None)
                if opens is not None:
                    hint = f"it waits until {opens:%H:%M}: write that, or widen {form.class_!r}"
                    when = f"{step.at.time:%H:%M}"
                    yield self.at(draft.places.mark(step, "at"), hint, when=when, name=form.class_)
            if (
                isinstance(step, Wait)
                and step.wait.time is not None
                and _sends(block[number + 1 :])
            ):
                following = block[number + 1]
                opens = _closed(rules, form.avoid, step.wait.time, step.wait.weekday)
                if opens is not None and following.at is None:
                    day = "" if step.wait.weekday is None else f"{WEEKDAYS[step.wait.weekday]} "
                    hint = f"it waits until {WEEKDAYS[opens.weekday()]} {opens:%H:%M}"
                    when = f"{day}{step.wait.time:%H:%M}"
                    yield self.at(
                        draft.places.mark(step, "wait"), hint, when=when, name=form.class_
                    )
            for _, inner in step.blocks():
                yield from self._block(draft, form, rules, inner)


def _sends(block: Block) -> bool:
    """Whether a message goes as soon as this is come to."""
    for number, step in enumerate(block):
        if is_message(step):
            return True
        if number and step.at is not None:
            return False
        inner = [steps for _, steps in step.blocks()] if not _waits(step) else []
        if any(_sends(steps) for steps in inner):
            return True
        if _waits(step) or isinstance(step, Leave):
            return False
    return False


def _waits(step: Step) -> bool:
    return step.word() in ("wait", "wait_for")


def _opens(rules: ContactClass, avoid: tuple[Window, ...]) -> bool:
    return _opening(rules, avoid, _MONDAY) is not None


@cache
def _closed(
    rules: ContactClass, avoid: tuple[Window, ...], at: time, weekday: int | None
) -> datetime | None:
    """When it opens, if it is closed on every such day at this time; None if it is open on one."""
    days = range(7) if weekday is None else (weekday,)
    moments = [_MONDAY + timedelta(days=day, hours=at.hour, minutes=at.minute) for day in days]
    openings = [_opening(rules, avoid, moment) for moment in moments]
    if any(opens in (None, moment) for opens, moment in zip(openings, moments, strict=True)):
        return None
    return openings[0]


@cache
def _opening(rules: ContactClass, avoid: tuple[Window, ...], moment: datetime) -> datetime | None:
    """When the class may first send from this moment on, holidays apart."""
    window = rules.window or WHOLE_DAY
    avoids = rules.avoid + avoid
    return calendar.next_open(moment, window, rules.weekdays, calendar.UTC_ZONE, avoids)


def _said(rules: ContactClass) -> str:
    window = rules.window or WHOLE_DAY
    closes = "24:00" if window.closes == time() else f"{window.closes:%H:%M}"
    return f"{window.opens:%H:%M}-{closes}"
