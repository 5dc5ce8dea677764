"""A change as a value: what applying a project would do to everybody who is under way.

`plan` is pure. It is given the project that runs and the one to be applied, both with their files,
and who stands where. What it returns can be shown, kept in a file, and applied exactly: `apply`
refuses a plan that no longer says what would happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.journey import InFlight, Journey
from orchestrator.core.model import Enrollment
from orchestrator.core.moving import (
    NO_HISTORY,
    History,
    Place,
    Route,
    Stranded,
    moved,
    routes,
)
from orchestrator.core.project import Project
from orchestrator.project import changes, costs, counterpart
from orchestrator.project.changes import Change, StepChange
from orchestrator.project.costs import Cost, Tariff
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


def ruling_of(journey: Journey, rulings: Mapping[str, Ruling]) -> Ruling:
    """What holds for people in older versions of this one."""
    return rulings.get(journey.name) or Ruling(journey.in_flight)


def paths(
    journey: Journey, ruling: Ruling, flight: Flight
) -> dict[str, dict[Place, Route | Stranded]]:
    """By older version that somebody stands in: where people go from each place, if they do."""
    sources = {it.version for it in flight.standing.get(journey.name, ())} - {journey.version}
    if ruling.among is not None:
        sources &= ruling.among
    return {
        version: routes(
            flight.versions[version],
            journey,
            ruling.rule,
            flight.histories.get(version, NO_HISTORY),
        )
        for version in sorted(sources)
        if version in flight.versions
    }


def timed(
    after: Project, flight: Flight, rulings: Mapping[str, Ruling]
) -> set[tuple[str, str, str, bool]]:
    """The places (journey, version, step, waiting) for which `plan` needs `Times`: whoever stands
    there is due anew, at a time of day."""
    wanted = set()
    for name, journey in after.journeys.items():
        found = paths(journey, ruling_of(journey, rulings), flight)
        for it in flight.standing.get(name, ()):
            route = found.get(it.version, {}).get((it.step, it.waiting))
            if (
                isinstance(route, Route)
                and route.to
                and not route.keep
                and _has_time(journey, route.to)
            ):
                wanted.add((name, it.version, it.step, it.waiting))
    return wanted


def _has_time(journey: Journey, step: str) -> bool:
    return journey.steps[step].step.at is not None


def plan(
    before: Side | None,
    after: Side,
    flight: Flight,
    times: Iterable[Times],
    now: datetime,
    *,
    base: str = "",
    findings: Sequence[Finding] = (),
    rulings: Mapping[str, Ruling] = NO_RULINGS,
    back_to: int = 0,
    languages: Sequence[str] = (),
) -> Plan:
    """What making `after` the project that runs would do. `base` is the hash of the one that runs
    now, also if it can no longer be read and `before` is None. `rulings` take the place of what
    journeys say themselves of people in flight. SMS may be written in the national tables of
    `languages`, which makes them cheaper."""
    grouped: dict[tuple[str, Place], list[Times]] = {}
    for entered in times:
        grouped.setdefault((entered.version, (entered.step, entered.waiting)), []).append(entered)
    was = before.project.journeys if before else {}
    names = sorted({*was, *after.project.journeys, *flight.standing})
    tariff = Tariff(after.project.prices, languages)
    return Plan(
        project=after.project.name,
        base=base or (before.hash if before else ""),
        target=after.hash,
        counted_at=now,
        journeys=tuple(
            _journey(name, before, after, flight, grouped, now, tariff, rulings) for name in names
        ),
        changes=changes.between(
            before.project if before else None,
            before.files if before else {},
            after.project,
            after.files,
        ),
        findings=tuple(findings),
        currency=tariff.prices.currency,
        back_to=back_to,
    )


def _journey(
    name: str,
    before: Side | None,
    after: Side,
    flight: Flight,
    times: Mapping[tuple[str, Place], Sequence[Times]],
    now: datetime,
    tariff: Tariff,
    rulings: Mapping[str, Ruling],
) -> JourneyPlan:
    was = before.project.journeys.get(name) if before else None
    will = after.project.journeys.get(name)
    ruling = ruling_of(will, rulings) if will else Ruling(InFlight())
    found = paths(will, ruling, flight) if will else {}
    stands = tuple(
        _stand(it, will, ruling.rule, flight, found, times, now)
        for it in flight.standing.get(name, ())
    )
    return JourneyPlan(
        journey=name,
        kind=_kind(was, will),
        before=was.version if was else "",
        after=will.version if will else "",
        rule=ruling.rule,
        what=changes.of_journey(was, will),
        steps=changes.of_steps(was, will),
        stands=stands,
        lost=tuple(_lost(stands, flight, before, after)),
        cost_before=costs.shown(was, before.project, tariff) if was and before else None,
        cost_after=costs.shown(will, after.project, tariff) if will else None,
    )


def _kind(was: Journey | None, will: Journey | None) -> Kind:
    if will is None:
        return "removed"
    if was is None:
        return "new"
    return "unchanged" if was.version == will.version else "changed"


def _stand(
    it: Standing,
    will: Journey | None,
    rule: InFlight,
    flight: Flight,
    found: Mapping[str, Mapping[Place, Route | Stranded]],
    times: Mapping[tuple[str, Place], Sequence[Times]],
    now: datetime,
) -> Stand:
    place = (it.step, it.waiting)
    known = found.get(it.version)
    fields = (it.version, it.step, it.status, it.waiting, it.people)
    if will is None or not known:
        return Stand(*fields, "stays", now=it.due)
    if it.status == "control":
        return Stand(*fields, "moves")
    route = known.get(place, Stranded("gone"))
    if isinstance(route, Stranded):
        again = route.steps if route.why == "again" else ()
        skipped = route.steps if route.why == "skipped" else ()
        stranded = Stand(*fields, "stranded", why=route.why, again=again, skipped=skipped)
        return _guessed(stranded, flight.versions[it.version], will, rule)
    if route.to is None:
        return Stand(*fields, "leaves", keeps=False)
    at_once = it.due if route.keep else it.people
    if not route.keep and _has_time(will, route.to):
        old = flight.versions[it.version]
        at_once = sum(
            entered.people
            for entered in times.get((it.version, place), ())
            if _is_due(entered, old, will, rule, route, now)
        )
    return Stand(
        *fields, "moves", route.to, route.keep, at_once, again=route.again, skipped=route.skipped
    )


def _guessed(stand: Stand, old: Journey, will: Journey, rule: InFlight) -> Stand:
    """Of people whose step is gone: with what the author may have meant."""
    if stand.why != "gone" or stand.step not in old.steps:
        return stand
    found = counterpart.renamed(old, will, stand.step)
    slip = counterpart.misspelt(old, rule.move or {}, stand.step)
    return replace(stand, meant=dict([found]) if found else {}, slip=slip)


def _is_due(
    entered: Times, old: Journey, will: Journey, rule: InFlight, route: Route, now: datetime
) -> bool:
    """Whether they are due as soon as they have moved."""
    enrollment = Enrollment(
        journey=will.name,
        version=entered.version,
        run=1,
        status="active",
        step=entered.step,
        due_at=None,
        entered_at=entered.entered_at,
        ran_at=entered.ran_at,
        ran_step=entered.ran_step,
    )
    there = moved(enrollment, old, will, rule, route, entered.timezone, now)
    return there.due_at is not None and there.due_at <= now


def _lost(
    stands: Iterable[Stand], flight: Flight, before: Side | None, after: Side
) -> Iterable[Lost]:
    """Messages that people who stay are still to get, and that are gone."""
    found: Counter[tuple[str, str, str]] = Counter()
    for stand in stands:
        version = flight.versions.get(stand.version)
        if stand.fate != "stays" or stand.status == "control" or version is None:
            continue
        for step in costs.ahead(version, stand.step, stand.waiting):
            message = costs.message_of(version.steps[step].step)
            gone = message and message not in after.project.messages
            if gone and (before is None or message in before.project.messages):
                found[stand.version, step, message] += stand.people
    for (version_id, step, message), people in sorted(found.items()):
        yield Lost(version_id, step, message, people)
