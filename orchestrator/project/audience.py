"""Who `outreach simulate` plays: what kinds of people there are, and what they do.

Values of attributes and properties: a list is one of its items at random (an item that stands there
twice is twice as likely), `1 to 60` a whole number of that range, keys with values an object of
such; anything else is itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct, field

from orchestrator.core.grammar import Share
from orchestrator.core.steps.base import EventName, TemplateName


class Habit(Struct, frozen=True, kw_only=True):
    """Something that happens to them again and again, at random, `every` so long on average. `with`
    are its properties."""

    on: EventName
    every: timedelta
    with_: Mapping[str, Any] = field(default={}, name="with")


class People(Struct, frozen=True, kw_only=True):
    """One `kind` of people: how many there are against the other kinds (`weight`), what is known of
    them (`attributes`, `tags`), and what they do (`events`)."""

    kind: str
    weight: int = 1
    attributes: Mapping[str, Any] = {}
    tags: tuple[str, ...] = ()
    events: tuple[Habit, ...] = ()


class Arrival(Struct, frozen=True, kw_only=True):
    """So many of them (`share`) are new: `on` happens to them once, at some time `within` the first
    days, `with` these properties."""

    on: EventName
    share: Share = Share(1.0)
    within: timedelta
    with_: Mapping[str, Any] = field(default={}, name="with")


class Prompt(Struct, frozen=True, kw_only=True):
    """What a message moves people to: of those who get `by`, or without it any message of a
    journey, so many (`share`) do this (`on`, `with` these properties) `within` that time."""

    by: TemplateName = TemplateName("")
    on: EventName
    share: Share
    within: timedelta = timedelta(days=1)
    with_: Mapping[str, Any] = field(default={}, name="with")


class Replies(Struct, frozen=True, kw_only=True):
    """What they write. So many `answers` come to a question, of which so many are `unclear`; after
    so many other messages they write of their own accord one of `says` (each with how often against
    the others); `stop` says after how many messages they refuse all of it; of those who come to
    have enough for a reward so many `redeem` it. All of it `after` so long on average."""

    answers: Share = Share(0.2)
    unclear: Share = Share(0.1)
    writes: Share = Share(0.01)
    says: Mapping[str, int] = {}
    stop: Share = Share(0.002)
    redeem: Share = Share(0.1)
    after: timedelta = timedelta(minutes=30)


class AudienceForm(Struct, frozen=True, kw_only=True):
    """Who `simulate` plays, if it is given no real people: `locales`, `timezones`, the `channels`
    that reach them, and their `consents`, each with how often it is found; who is new (`arrive`);
    and the kinds of `people`. So many of all numbers are on each of the `lists` that conditions ask
    about. What they do is played with real people too: `prompted`, `replies`, the `failures` of
    channels, and what colleagues at a `desk` say came of those handed over to them."""

    locales: Mapping[str, int] = {}
    timezones: Mapping[str, int] = {}
    channels: Mapping[str, Share] = {}
    consents: Mapping[str, Share] = {}
    lists: Mapping[str, Share] = {}
    arrive: Arrival | None = None
    people: tuple[People, ...] = (People(kind="everybody"),)
    prompted: tuple[Prompt, ...] = ()
    replies: Replies = Replies()
    failures: Mapping[str, Share] = {}
    desk: Mapping[str, int] = {}
