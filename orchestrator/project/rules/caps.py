"""The contact policy leaves room for what journeys send."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import floor

from msgspec import Struct

from orchestrator.core.contact import ContactClass
from orchestrator.core.expression import Condition
from orchestrator.core.journey import Entry
from orchestrator.core.steps.enroll import Enroll
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.forms import JourneyForm
from orchestrator.project.holding import Kinds, fits
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import kinds_of
from orchestrator.project.timeline import DAY_S, Moment, is_message, moments, most_messages

_SPANS = {"per_day": ("day", 1), "per_week": ("week", 7)}


class Planned(Struct, frozen=True):
    """A message that goes from `earliest` to `latest`, in days since the midnight before whatever
    began it all."""

    form: JourneyForm
    moment: Moment
    earliest: float
    latest: float


class OverCap(Rule):
    """up to {count} messages fall into one {span}, and {name!r} allows {cap}

    Counted are those of this journey and of the journeys that one person is in beside it, because
    they enter on the same event or one enrolls the other. What is over `per_day` or `per_week`
    waits, and pushes on what comes after it.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        classes = draft.contact.classes if draft.contact else {}
        told: set[tuple[object, ...]] = set()
        for form, together in _groups(draft):
            rules = classes.get(form.class_)
            if rules is None or rules.consent == "answer":
                continue
            counted = [it for it in together if _counts(classes, it.form)]
            for key, (span, days) in _SPANS.items():
                cap = getattr(rules, key)
                fullest = _fullest(counted, form, days) if cap is not None else ()
                crowd = (key, form.class_, *sorted({it.form.journey for it in fullest}))
                if cap is not None and len(fullest) > cap and crowd not in told:
                    told.add(crowd)
                    over = next(it for it in reversed(fullest) if it.form is form)
                    yield self.at(
                        draft.places.mark(over.moment.step),
                        _crowd(fullest, form),
                        count=len(fullest),
                        span=span,
                        name=form.class_,
                        cap=cap,
                    )


class HeldUp(Rule):
    """{other!r} holds this up on every day it could go

    The class has `other_journey`, and whoever comes here has just been written to by the other
    journey, for the same purpose: it always waits. Let it come later.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        classes = draft.contact.classes if draft.contact else {}
        if all(rules.other_journey is None for rules in classes.values()):
            return
        for form, together in _groups(draft, sure=True):
            rules = classes.get(form.class_)
            if rules is None or rules.other_journey is None:
                continue
            gap = rules.other_journey.total_seconds() / DAY_S
            others = [it for it in together if _rivals(classes, rules, it.form, form)]
            for planned in together:
                step = planned.moment.step
                if planned.form is form and step.at is not None:
                    holds = [it for it in others if _within(it, planned, gap)]
                    if holds:
                        last = max(holds, key=lambda it: it.latest)
                        day = floor(planned.latest - last.earliest) or 1
                        hint = (
                            f"that one writes {day} day{'s' * (day > 1)} before, and "
                            f"`other_journey` is {gap:g} days"
                        )
                        mark = draft.places.mark(step, "at")
                        yield self.at(mark, hint, other=last.form.journey)


def _groups(draft: Draft, sure: bool = False) -> Iterator[tuple[JourneyForm, Sequence[Planned]]]:
    """Each journey, with all that one person can be sent who enters it together with others;
    `sure`, only what nobody misses."""
    kinds = kinds_of(draft)
    by_event: dict[str, list[tuple[JourneyForm, Entry]]] = {}
    for form in draft.journeys.values():
        for entry in form.enter:
            if entry.on is not None:
                by_event.setdefault(entry.on, []).append((form, entry))
    named = {str(form.journey): form for form in draft.journeys.values()}
    enrolled: set[str] = set()
    for form in draft.journeys.values():
        enrolled |= {step.enroll for step in draft.within(form) if isinstance(step, Enroll)}
    for form in draft.journeys.values():
        beside = [form]
        for entry in form.enter:
            if entry.on is not None:
                beside = _beside(form, entry, by_event[entry.on], kinds)
                break
        if not form.enter and form.journey in enrolled:
            continue  # it is looked at together with those that enroll it
        plan = [it for other in beside for it in _plan(draft, other, named, sure)]
        for member in dict.fromkeys(it.form.journey for it in plan):
            own = named[member]
            if own is form or (not own.enter and own not in beside):
                yield own, plan


def _beside(
    form: JourneyForm, entry: Entry, entries: Iterable[tuple[JourneyForm, Entry]], kinds: Kinds
) -> list[JourneyForm]:
    """Whatever else the same event brings somebody into."""
    together, tests = [form], [*_tests(entry)]
    for other, way in entries:
        if other not in together and fits([*tests, *_tests(way)], (), kinds):
            together.append(other)
            tests += _tests(way)
    return together


def _tests(entry: Entry) -> list[Condition]:
    return [entry.condition] if entry.condition is not None else []


def _plan(
    draft: Draft, form: JourneyForm, named: dict[str, JourneyForm], sure: bool
) -> list[Planned]:
    """What it sends, and what the journeys send that it enrolls."""
    found: list[Planned] = []
    todo: list[tuple[JourneyForm, float, float]] = [(form, 0.0, 0.0)]
    seen: set[str] = set()
    while todo:
        own, least, most = todo.pop()
        if own.journey in seen:
            continue
        seen.add(own.journey)
        enrolls = any(isinstance(step, Enroll) for step in draft.within(own))
        every = [*moments(own.steps)] if sure or enrolls else []
        if sure:
            sent = [it for it in every if it.sure and is_message(it.step)]
        else:
            sent = most_messages(own.steps)
        found += [Planned(own, it, it.earliest + least, it.latest + most) for it in sent]
        for it in every:
            if isinstance(it.step, Enroll) and it.step.enroll in named:
                begins, ends = floor(it.earliest + least), floor(it.latest + most)
                todo.append((named[it.step.enroll], begins, ends))
    return found


def _fullest(counted: Sequence[Planned], form: JourneyForm, days: int) -> Sequence[Planned]:
    """The most of these that surely fall into one such span together, some of them the journey's
    own."""
    best: Sequence[Planned] = ()
    in_order = sorted(counted, key=lambda it: it.earliest)
    starts = [it.earliest for it in in_order]
    for begins in dict.fromkeys(map(floor, starts)):
        some = in_order[bisect_left(starts, begins) : bisect_right(starts, begins + days)]
        within = [it for it in some if it.latest <= begins + days]
        if len(within) > len(best) and any(it.form is form for it in within):
            best = within
    return best


def _crowd(fullest: Sequence[Planned], form: JourneyForm) -> str:
    others = dict.fromkeys(it.form.journey for it in fullest if it.form is not form)
    beside = f"some of them are of {', '.join(others)}: " if others else ""
    return f"{beside}spread them over more time, or allow more"


def _counts(classes: dict[str, ContactClass], form: JourneyForm) -> bool:
    rules = classes.get(form.class_)
    return rules is not None and rules.consent != "answer"


def _rivals(
    classes: dict[str, ContactClass], rules: ContactClass, other: JourneyForm, form: JourneyForm
) -> bool:
    theirs = classes.get(other.class_)
    return other is not form and theirs is not None and theirs.purpose == rules.purpose


def _within(it: Planned, planned: Planned, gap: float) -> bool:
    """Whether it surely goes before the planned one, and less than `gap` before."""
    return it.latest <= planned.earliest and planned.latest - it.earliest < gap
