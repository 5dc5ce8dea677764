"""What each kind of YAML file holds, where that is not a Struct of the core already."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NewType

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.core.calendar import HolidayPack
from orchestrator.core.contact import ContactClass, ContactPolicy, ListName
from orchestrator.core.cost import Prices
from orchestrator.core.expression import Condition
from orchestrator.core.grammar import Again, Pace, Share, Window
from orchestrator.core.journey import Entry, Goal, InFlight, Journey, LeaveRule, lay_out
from orchestrator.core.project import Reward
from orchestrator.core.steps.base import Block, JourneyName

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
