"""All that one decision needs, and all that it gives."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from orchestrator.core.effects import Effect
from orchestrator.core.model import Conversation, Enrollment, Sent, Subscriber
from orchestrator.core.points import Account
from orchestrator.core.project import Project

Halt = Literal["paused", "cancelled"]
"""How operators hold a journey up: nobody in it moves; nobody is in it and nobody enters."""


class Scene(Struct, frozen=True, gc=False):
    """One subscriber as a turn finds them, and the project they live in.

    `enrollments` holds the latest run of each journey, by journey. `recent` is the contact
    history, oldest first, as far back as the contact policy looks. `chance` is this turn's
    randomness (16 octets, drawn by whoever loads the scene); `secret` is the installation's, under
    which codes are hashed. `stock` says how many items of each reward are free, and is filled only
    when a reply may claim one; whoever decides several scenes under one lock passes it on from
    decision to decision. `claimed` counts the member's purchases by reward, `history` lists the
    last ledger lines (points, reason, at), newest first; both only for a reply. `lists` says when
    the lists of numbers that contact classes name were loaded, `listed` on which of them the
    subscriber stands. `halted` says which journeys operators hold up. `members` are the numbers on
    each list that conditions may ask about; a list that is not there is unknown. `usage` is what
    was counted of the subscriber, by the names after `usage.`.
    """

    project: Project
    subscriber: Subscriber
    enrollments: Mapping[str, Enrollment]
    recent: tuple[Sent, ...] = ()
    account: Account = Account()
    conversation: Conversation | None = None
    stock: Mapping[str, int] = {}
    claimed: Mapping[str, int] = {}
    history: tuple[tuple[int, str, datetime], ...] = ()
    chance: bytes = b""
    secret: bytes = b""
    lists: Mapping[str, datetime] = {}
    listed: frozenset[str] = frozenset()
    halted: Mapping[str, Halt] = {}
    members: Mapping[str, Container[int]] = {}
    usage: Mapping[str, Any] = {}


class Passed(Struct, frozen=True, gc=False):
    """An enrollment began a step, or went on from it: `way` is empty, the label of the branch that
    was taken, or `next` for what stands below."""

    journey: str
    step: str
    way: str = ""


class Decision(Struct, frozen=True, gc=False):
    """What to do, in order, the scene as it is once that is done, and the way that led there."""

    effects: tuple[Effect, ...]
    scene: Scene
    path: tuple[Passed, ...] = ()
