"""How a plan is made. It is pure: it is given the project that runs and the one to be applied, both
with their files, and who stands where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from orchestrator.core.journey import InFlight, Journey
from orchestrator.core.model import Enrollment
from orchestrator.core.moving import NO_HISTORY, Place, Route, Stranded, moved, routes
from orchestrator.core.project import Project
from orchestrator.project import changes, costs, counterpart
from orchestrator.project.costs import Tariff
from orchestrator.project.findings import Finding
from orchestrator.project.plan import (
    NO_RULINGS,
    Flight,
    JourneyPlan,
    Kind,
    Lost,
    Plan,
    Ruling,
    Side,
    Stand,
    Standing,
    Times,
)


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
