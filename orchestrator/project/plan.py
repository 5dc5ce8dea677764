"""A change as a value: what applying a project would do to everybody who is under way.

It can be shown, kept in a file, and applied exactly: `apply` refuses a plan that no longer says
what would happen. `planning` makes it, of the two projects and of who stands where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.journey import InFlight, Journey
from orchestrator.core.moving import History
from orchestrator.core.project import Project
from orchestrator.project.changes import Change, StepChange
from orchestrator.project.costs import Cost
from orchestrator.project.findings import Finding

FORM = 2
"""Of a plan in a file; another number, and it was made by another Outreach."""

Kind = Literal["new", "changed", "unchanged", "removed"]
Fate = Literal["stays", "moves", "leaves", "stranded"]


class Standing(Struct, frozen=True):
    """People who stand at one place of one version, or are held out (`status` control, no step).
    `due` of them are due now."""

    version: str
    step: str
    status: str
    waiting: bool
    people: int
    due: int = 0


class Times(Struct, frozen=True):
    """People at one place who entered, and last ran a step with a time of its own, together."""

    version: str
    step: str
    waiting: bool
    timezone: str | None
    entered_at: datetime
    ran_step: str | None
    ran_at: datetime | None
    people: int


class Stand(Struct, frozen=True):
    """What becomes of the people at one place. `to` is the step they go on at; with `keeps`, what
    they wait for goes on there. `now` of them are due at once. `why` says why they are stranded;
    `again` and `skipped` are steps that they meet twice or never."""

    version: str
    step: str
    status: str
    waiting: bool
    people: int
    fate: Fate
    to: str = ""
    keeps: bool = True
    now: int = 0
    why: str = ""
    again: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    meant: Mapping[str, str] = {}
    slip: str = ""


class Lost(Struct, frozen=True):
    """People who stay in an older version that sends a message the project no longer has."""

    version: str
    step: str
    message: str
    people: int


class JourneyPlan(Struct, frozen=True):
    """One journey's change, and what becomes of everybody in it. `rule` is what holds for people in
    older versions; `what` are the journey's own keys that say something else, `steps` if their
    order is another. Costs are of one person, see `costs`; None if a message of it cannot be
    priced."""

    journey: str
    kind: Kind
    before: str
    after: str
    rule: InFlight
    what: tuple[str, ...]
    steps: tuple[StepChange, ...]
    stands: tuple[Stand, ...]
    lost: tuple[Lost, ...]
    cost_before: Cost | None
    cost_after: Cost | None

    def count(self, *fates: Fate) -> int:
        """How many people have one of these fates."""
        return sum(it.people for it in self.stands if it.fate in fates)

    @property
    def moving(self) -> tuple[Stand, ...]:
        """Those who are not where they were afterwards."""
        return tuple(it for it in self.stands if it.fate in ("moves", "leaves"))

    @property
    def stranded(self) -> tuple[Stand, ...]:
        return tuple(it for it in self.stands if it.fate == "stranded")


class Plan(Struct, frozen=True):
    """What applying a project would do. `base` and `target` are the hashes of the running project
    ('' if there is none) and of the one to be applied; `back_to` is the number of the project that
    a rollback makes current again, 0 for any other change. `counted_at` is when people were
    counted."""

    project: str
    base: str
    target: str
    counted_at: datetime
    journeys: tuple[JourneyPlan, ...]
    changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    currency: str = ""
    back_to: int = 0
    form: int = FORM

    @property
    def changed(self) -> bool:
        return self.base != self.target

    @property
    def stranded(self) -> int:
        """How many people could not go on. Such a plan is not applied."""
        return sum(it.count("stranded") for it in self.journeys)

    @property
    def moving(self) -> int:
        return sum(it.count("moves", "leaves") for it in self.journeys)

    @property
    def now(self) -> int:
        """How many of those who move are due at once."""
        return sum(stand.now for it in self.journeys for stand in it.moving)


class Side(Struct, frozen=True):
    """A project with its files, and its hash."""

    project: Project
    files: Mapping[str, str]
    hash: str


class Ruling(Struct, frozen=True):
    """What holds for people in flight in place of what the journey says. Only people of the
    versions `among` move; None: of all."""

    rule: InFlight
    among: frozenset[str] | None = None


NO_RULINGS: Mapping[str, Ruling] = {}


class Flight(Struct, frozen=True):
    """Everybody under way: where they stand, by journey; every version that one of them stands in;
    what they may have done in versions they came from, by version."""

    standing: Mapping[str, Sequence[Standing]]
    versions: Mapping[str, Journey]
    histories: Mapping[str, History] = {}
