"""What a file of tests holds (`journeys/**/*.test.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal, NewType

from msgspec import Struct, field

from orchestrator.core.grammar import At, TagChange
from orchestrator.core.steps.base import EventName, JourneyName, TemplateName

StepPath = NewType("StepPath", str)
"""A step with its journey: `seven-days/quiz`."""

_MONDAY = date(2026, 3, 2)


class Person(Struct, frozen=True, kw_only=True):
    """Somebody whom tests are about. What is left out is the project's own `locale` and
    `timezone`, of the `addresses` one for `sms`, and nothing else.

    `consents` are the purposes they said yes to, `refused` those they said no to (`everything` for
    a STOP); `lists` are the lists of numbers they stand on; `points` is what they have; `tags` and
    `attributes` what we know of them.
    """

    locale: str = ""
    timezone: str = ""
    addresses: Mapping[str, str] = field(default_factory=lambda: {"sms": "+8613800138000"})
    attributes: Mapping[str, Any] = {}
    tags: tuple[str, ...] = ()
    consents: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    points: int = 0


class Change(Struct, frozen=True, kw_only=True):
    """What an import, an operator or a form changes of somebody: their `locale` or `timezone`;
    `attributes` and `addresses` are added to those they have (`null` takes one away), `tags` are
    put on (`+vip`) or taken off; purposes of `consents` are said yes to, those
    of `refused` no."""

    locale: str = ""
    timezone: str = ""
    attributes: Mapping[str, Any] = {}
    addresses: Mapping[str, Any] = {}
    tags: tuple[TagChange, ...] = ()
    consents: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


class Happening(Struct, frozen=True, kw_only=True):
    """Something that happens to the person, at a local time: one of `event` (`with` its
    properties), `reply` (`by` the channel of the last message, or SMS if that was a picture or a
    push, unless it says another), `fails` (the carrier gives up on the last message of that name,
    which is then called `as` says) and `set` (what somebody changes of them)."""

    at: At
    event: EventName | None = None
    with_: Mapping[str, Any] = field(default={}, name="with")
    reply: str | None = None
    by: str = ""
    fails: TemplateName | None = None
    as_: Literal["rejected", "undelivered", "expired"] = field(default="undelivered", name="as")
    set: Change | None = None


class Expected(Struct, frozen=True, kw_only=True):
    """Something that comes of it, at a local time: one of

    - `message`, sent `by` a channel, with this `text`, or with these texts in it (`says`);
    - `withheld` or `put_off` (`until` when), a message `because` of a rule;
    - `points` (negative: gone) `for` a reason;
    - `enters`, `held_out`, `finishes`, `leaves` (`because`), `reaches_goal`: a journey;
    - `step`: a step that is begun, with its journey: `seven-days/quiz`.

    Keys that are left out may be anything.
    """

    at: At
    message: TemplateName | None = None
    by: str | None = None
    text: str | None = None
    says: tuple[str, ...] = ()
    withheld: TemplateName | None = None
    put_off: TemplateName | None = None
    until: At | None = None
    because: str | None = None
    points: int | None = None
    for_: str | None = field(default=None, name="for")
    enters: JourneyName | None = None
    held_out: JourneyName | None = None
    finishes: JourneyName | None = None
    leaves: JourneyName | None = None
    reaches_goal: JourneyName | None = None
    step: StepPath | None = None


KINDS = (
    *("message", "withheld", "put_off", "points", "enters", "held_out", "finishes", "leaves"),
    *("reaches_goal", "step"),
)
"""The keys of `Expected` that say what came."""


class Ends(Struct, frozen=True, kw_only=True):
    """How things stand in the end: `points` that can be spent, all `tags`, these of the
    `attributes`, and where they stand in journeys (`stands`): a step, or `finished`, `left`,
    `held_out`."""

    points: int | None = None
    tags: tuple[str, ...] | None = None
    attributes: Mapping[str, Any] = {}
    stands: Mapping[JourneyName, str] = {}


class Trial(Struct, frozen=True, kw_only=True):
    """One `test`, which says what it is for: who it is about, what `happens` to them, and what it
    must `expect` to come of it.

    `who` names somebody of `people`, and `but` changes some of their keys. Day 1 is `begin`; the
    clock stops at `until`. `chance` settles what chance would: a journey is entered (`in`) or held
    out (`out`), a `split` step (`seven-days/habit.case-2.1`) goes one of its ways. All messages
    must be expected, in order; of the other kinds of things, all of a kind of which one is.
    """

    test: str
    who: str
    but: Person | None = None
    begin: date = _MONDAY
    until: At = At.parse("day 120 00:00")
    chance: Mapping[str, str] = {}
    happens: tuple[Happening, ...] = ()
    expect: tuple[Expected, ...] | None = None
    ends: Ends | None = None


class TrialFile(Struct, frozen=True, kw_only=True):
    """Some `tests`, and `people` they are about, who may be named in all files. `lists` are the
    numbers that others on a list have (`crbt-users: ['+8613900000001']`), in all files too."""

    people: Mapping[str, Person] = {}
    lists: Mapping[str, tuple[str, ...]] = {}
    tests: tuple[Trial, ...] = ()
