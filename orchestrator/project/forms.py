"""What each kind of YAML file holds, where that is not a Struct of the core already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, NewType

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.core.area import Area, Cells, Outline, point_of
from orchestrator.core.calendar import HolidayPack
from orchestrator.core.contact import ContactClass, ContactPolicy, ListName
from orchestrator.core.cost import Prices
from orchestrator.core.expression import Condition
from orchestrator.core.feed import EventType, Feed, Keep, PropertyKind, Setting
from orchestrator.core.grammar import Again, Pace, Share, Window
from orchestrator.core.journey import Entry, Goal, InFlight, Journey, LeaveRule, lay_out
from orchestrator.core.project import Reward
from orchestrator.core.steps.base import Block, JourneyName
from orchestrator.core.usage import Amount, Measure

LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")

ClassName = NewType("ClassName", str)
"""A contact class of program/contact.yaml."""


class JourneyForm(Struct, frozen=True, kw_only=True):
    """One `journey`, by its name, with a `summary` for whoever reads reports; its `steps` are
    done one after the other.

    `class` names its contact class; `enter` says who comes in and `again` whether they may come
    back; `control` is the share that is held out and only measured; `goal` is what it is for;
    `leave` says who goes early, and is looked at before every step; `avoid` are times of day at
    which nothing of it goes; `pace` is how fast its messages are handed to carriers, for everybody
    in it, whichever version they are in; `in_flight` says what becomes of people in older versions.
    """

    journey: JourneyName
    summary: str = ""
    class_: ClassName = field(name="class")
    enter: tuple[Entry, ...] = ()
    again: Again = Again()
    control: Share = Share()
    goal: Goal | None = None
    leave: tuple[LeaveRule, ...] = ()
    avoid: tuple[Window, ...] = ()
    pace: Pace | None = None
    in_flight: InFlight = InFlight()
    steps: Block

    def compiled(self, version: str) -> Journey:
        """The journey, its steps laid flat."""
        first, steps = lay_out(self.steps)
        return Journey(
            name=self.journey,
            version=version,
            contact_class=self.class_,
            enter=self.enter,
            first=first,
            steps=steps,
            summary=self.summary,
            again=self.again,
            control=self.control.share,
            goal=self.goal,
            leave=self.leave,
            avoid=self.avoid,
            pace=self.pace,
            in_flight=self.in_flight,
        )


class ContactForm(Struct, frozen=True):
    """The contact `classes`, by name. `senders` are the names one of which every marketing text
    must say. `not_on` names lists, such as a blacklist, nobody on which is written to in any class
    whose consent is not `answer`."""

    classes: dict[str, ContactClass]
    senders: tuple[str, ...] = ()
    not_on: tuple[ListName, ...] = ()

    def compiled(self, holidays: Mapping[str, HolidayPack]) -> ContactPolicy:
        """The policy, in whose classes the lists that hold for all stand as well."""
        return ContactPolicy(
            {name: self._guarded(rules) for name, rules in self.classes.items()}, holidays
        )

    def _guarded(self, rules: ContactClass) -> ContactClass:
        if rules.consent == "answer" or not self.not_on:
            return rules
        return replace(rules, not_on=tuple(dict.fromkeys((*self.not_on, *rules.not_on))))


class HolidaysForm(Struct, frozen=True):
    """Public `holidays`, a pack for each country or region, by name."""

    holidays: dict[str, HolidayPack] = {}


class RewardsForm(Struct, frozen=True):
    """`rewards` are what points buy."""

    rewards: tuple[Reward, ...] = ()


class SegmentsForm(Struct, frozen=True):
    """`segments` are conditions over subscribers, by name."""

    segments: dict[str, Condition] = {}


class EventForm(Struct, frozen=True):
    """One kind of event, with a `summary` for whoever writes journeys. `keep` says what is stored:
    `all` of them, or, of those that come by the hundred thousand, what is `matching` a trigger.
    `properties` says of what kind each is: one that is lacking or of another kind sets an event
    aside, but for those that may be missing (`note?: text`); others may come along. `sets` is what
    is then known of the subscriber, as `state.cell`: a property of the event (`cell: event.cell`),
    or a constant. `counts` is how much of each measure one counts, see `usage`."""

    summary: str = ""
    keep: Keep = "all"
    properties: dict[str, PropertyKind] = {}
    sets: dict[str, Any] = {}
    counts: dict[str, Amount] = {}

    def compiled(self) -> EventType:
        """The event, as it is judged."""
        return EventType(
            summary=self.summary,
            keep=self.keep,
            properties={name.removesuffix("?"): kind for name, kind in self.properties.items()},
            may_lack=frozenset(it[:-1] for it in self.properties if it.endswith("?")),
            sets={name: setting(value) for name, value in self.sets.items()},
            counts=self.counts,
        )


def setting(value: Any) -> Setting:
    """What `event.cell`, or a constant, sets."""
    if isinstance(value, str) and value.startswith("event."):
        return Setting(property=value.removeprefix("event."))
    return Setting(value=value)


class EventsForm(Struct, frozen=True):
    """`events` are those that are reported from outside, by name, and what each tells. `lateness`
    is how late one may reach us and still count in its order: triggers wait so long for those that
    come late. `usage` are the measures that events count, by name."""

    events: dict[str, EventForm] = {}
    lateness: timedelta = Feed().lateness
    usage: dict[str, Measure] = {}

    def compiled(self) -> Feed:
        """What arrives from the network."""
        types = {name: it.compiled() for name, it in self.events.items()}
        return Feed(events=types, lateness=self.lateness, usage=self.usage)


class AreaForm(Struct, frozen=True):
    """One area: its `cells`, as events name them, and those inside the `polygon`, the corners of
    its outline as `[longitude, latitude]`, one after the other."""

    cells: tuple[str, ...] = ()
    polygon: tuple[tuple[float, ...], ...] = ()

    def outline(self) -> Outline | None:
        """The polygon, if it can be one."""
        points = [point_of(it) for it in self.polygon]
        whole = [it for it in points if it is not None]
        sound = len(whole) == len(points) and LEAST_CORNERS <= len(points) <= MOST_CORNERS
        return Outline(tuple(whole)) if sound else None


LEAST_CORNERS = 3
MOST_CORNERS = 1_000
"""More than an outline that a person draws, and few enough to look at often."""

MOST_PASSED = 10_000_000
"""Cells that the edges of all outlines pass; about a second's work."""


class AreasForm(Struct, frozen=True):
    """`areas` are parts of the map, by name, as `in_area('campus', event.cell)` asks for them.
    `cells` is the table of where each cell stands, a file beside this one with the columns `cell`,
    `lon` and `lat`: the cells inside an area's polygon are found in it."""

    areas: dict[str, AreaForm] = {}
    cells: str = ""

    def compiled(self, cells: Cells) -> Mapping[str, Area]:
        """The areas, on a map with these cells."""
        late = self.too_much(cells)
        areas: dict[str, Area] = {}
        for name, form in self.areas.items():
            outline = form.outline()
            inside = frozenset[str]()
            if outline is not None and name not in late:
                inside = cells.within(outline)
            areas[name] = Area(inside.union(form.cells), outline)
        return areas

    def too_much(self, cells: Cells) -> frozenset[str]:
        """The areas that come after so many cells are passed that no more are looked at."""
        late, left = [], MOST_PASSED
        for name, form in self.areas.items():
            outline = form.outline()
            left -= cells.passed(outline) if outline and left >= 0 else 0
            if outline and left < 0:
                late.append(name)
        return frozenset(late)


AttributeKind = Literal["text", "number", "boolean", "list", "any"]


class Warn(Struct, frozen=True):
    """Where `validate` begins to warn: of an SMS that takes more than `sms_parts` parts."""

    sms_parts: int = 3


class ProjectForm(Struct, frozen=True):
    """The project's `name`, the `locale` and `timezone` of subscribers of whom nothing else is
    known, and what messages cost (`prices`).

    The rest is for `validate`, and may be left out: `locales` are those in which every message is
    written, `events` those that are reported from outside, `attributes` what is known of
    subscribers (`usage.mb_7d: number`). What is declared is held to: any other is an error.
    """

    name: str
    locale: str
    timezone: str
    prices: Prices = Prices()
    locales: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    attributes: dict[str, AttributeKind] = {}
    warn: Warn = Warn()

    @property
    def has_locale(self) -> bool:
        """Whether `locale` can be one: `zh`, `en` or `pt-BR`."""
        return LOCALE.fullmatch(self.locale) is not None
