"""A project applied as planned: everybody under way is counted, and those who follow begin to move.

`foresee` says what would happen; `carry_out` does exactly that, in the caller's transaction; what
it begins, `runtime.moving` goes on with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg

from orchestrator.core.errors import OutreachError
from orchestrator.core.journey import Journey
from orchestrator.core.moving import NO_HISTORY, History, carried, joined
from orchestrator.core.project import Project
from orchestrator.project import planning, source
from orchestrator.project.findings import Finding, ProjectErrors
from orchestrator.project.load import load, load_journey
from orchestrator.project.plan import (
    NO_RULINGS,
    Flight,
    JourneyPlan,
    Plan,
    Ruling,
    Side,
    Stand,
    Standing,
    Times,
)
from orchestrator.project.plan_words import many
from orchestrator.runtime import projects as running
from orchestrator.store import moves, projects

RECENT = 20
"""So many last versions of a journey may still be entered, by a process that has not heard yet."""

STRANDED_HINT = (
    "see `outreach plan`; say where they go with in_flight: {move: {step: other}} in the journey, "
    "or let them stay with in_flight: stay"
)
STRANDED_ON_THE_WAY_BACK_HINT = (
    "say where they go with --move JOURNEY/STEP=STEP (`leave` ends the journey for them), or let "
    "them finish where they are with --stay; `outreach rollback` without --yes shows all"
)

CLASSLESS_HINT = (
    "keep the class in program/contact.yaml until they have left, or take them along: "
    "in_flight: follow in the journey; after `outreach rollback`, without --stay"
)


async def foresee(
    connection: asyncpg.Connection,
    files: Mapping[str, str],
    now: datetime,
    *,
    findings: Sequence[Finding] = (),
    rulings: Mapping[str, Ruling] = NO_RULINGS,
    back_to: int = 0,
    languages: Sequence[str] = (),
) -> Plan:
    """What making these files the project that runs would do, where SMS may be written in the
    national tables of `languages`. Raises `ProjectErrors`, and OutreachError if it lacks the class
    of contact of somebody who stays in an older version."""
    after = Side(load(files), files, source.content_hash(files))
    if not await projects.ready(connection):
        flight = Flight({}, {})
        return planning.plan(None, after, flight, (), now, findings=findings, languages=languages)
    found = await projects.current(connection)
    before = _side(found[1]) if found else None
    standing: dict[str, list[Standing]] = {}
    for group in await moves.count(connection, now):
        stand = Standing(
            group.version, group.step, group.status, group.waiting, group.people, group.due
        )
        standing.setdefault(group.journey, []).append(stand)
    versions = await read_versions(
        connection, {it.version for stands in standing.values() for it in stands}
    )
    histories = await histories_of(
        connection, {name for name, it in after.project.journeys.items() if name in standing}
    )
    flight = Flight(standing, versions, histories)
    timed = planning.timed(after.project, flight, rulings)
    times = [
        Times(
            it.version,
            it.step,
            it.waiting,
            it.timezone,
            it.entered_at,
            it.ran_step,
            it.ran_at,
            it.people,
        )
        for it in await moves.times(connection, sorted(timed))
    ]
    plan = planning.plan(
        before,
        after,
        flight,
        times,
        now,
        base=source.content_hash(found[1]) if found else "",
        findings=findings,
        rulings=rulings,
        back_to=back_to,
        languages=languages,
    )
    _refuse_classless(plan, versions, after.project)
    return plan


def _refuse_classless(plan: Plan, versions: Mapping[str, Journey], project: Project) -> None:
    """Raises OutreachError if nothing would say when to write to people who stay: their versions
    are of a class of contact that the project lacks."""
    lacking: Counter[tuple[str, str]] = Counter()
    for it in plan.journeys:
        for stand in it.stands:
            version = versions.get(stand.version)
            if version is None or (stand.fate, stand.status) != ("stays", "active"):
                continue
            if version.contact_class not in project.contact.classes:
                lacking[it.journey, version.contact_class] += stand.people
    if lacking:
        places = [
            f"{people:,} in {journey} (class {name})"
            for (journey, name), people in sorted(lacking.items())
        ]
        raise OutreachError(
            f"{many(lacking.total())} stay in versions whose class the contact policy lacks: "
            + ", ".join(places),
            CLASSLESS_HINT,
        )


async def carry_out(
    connection: asyncpg.Connection,
    plan: Plan,
    files: Mapping[str, str],
    now: datetime,
    pictures: Mapping[str, bytes] | None = None,
    *,
    rulings: Mapping[str, Ruling] = NO_RULINGS,
    by: str = "",
) -> tuple[Project, bool]:
    """The project of these files is the one that runs, and whoever follows is on their way, once
    the caller's transaction commits; and whether anything changed. `plan` must have been foreseen
    in this transaction, under `store.projects.lock`. Raises OutreachError if it strands somebody.
    """
    refuse_stranded(plan)
    project, changed = await running.apply(
        connection, files, now, pictures, by=by, copy_of=plan.back_to or None
    )
    if changed:
        for it in plan.journeys:
            if it.after and it.rule.move is not None:
                among = rulings[it.journey].among if it.journey in rulings else None
                sources = await _sources(connection, it, among)
                moving = it.count("moves", "leaves")
                await moves.begin(connection, it.journey, it.after, sources, it.rule, moving, now)
    return project, changed


async def _sources(
    connection: asyncpg.Connection, it: JourneyPlan, among: frozenset[str] | None
) -> list[str]:
    """The versions whose people follow: first the one that ran until now."""
    if among is None:
        standing = {stand.version for stand in it.stands}
        recent = await projects.latest_versions(connection, it.journey, RECENT)
        among = frozenset({*standing, *recent})
    return [it.before or it.after, *sorted(among - {it.before, it.after})]


def refuse_stranded(plan: Plan) -> None:
    """Raises OutreachError if somebody could not go on."""
    if not plan.stranded:
        return
    places = [
        f"{stand.people:,} at {it.journey}/{stand.step} ({stand.why})"
        for it in plan.journeys
        for stand in it.stranded
    ]
    raise OutreachError(
        f"{many(plan.stranded)} would be stranded: {', '.join(places)}",
        STRANDED_ON_THE_WAY_BACK_HINT if plan.back_to else STRANDED_HINT,
    )


def disagreement(planned: Plan, now: Plan) -> str:
    """Why `planned` is not what would happen by now, or ''. That there are more or fewer people at
    a place that the plan knows is no reason; that they stand where it does not know is one."""
    if planned.form != now.form:
        return "it was made by another version of Outreach"
    if planned.target != now.target:
        return "the files are not those it was made of"
    if planned.base != now.base:
        return "another project has been applied since"
    for it in now.journeys:
        then = next((one for one in planned.journeys if one.journey == it.journey), None)
        known = {_place(one) for one in then.stands} if then else set()
        for stand in it.stands:
            if stand.fate != "stays" and _place(stand) not in known:
                held = "held out" if stand.status == "control" else f"at {stand.step}"
                waiting = ", waiting" if stand.waiting else ""
                return (
                    f"{stand.people} people stand in {it.journey} {held}{waiting} (version "
                    f"{stand.version}), which it did not foresee"
                )
    return ""


def _place(stand: Stand) -> tuple[object, ...]:
    return (
        stand.version, stand.step, stand.status, stand.waiting,
        stand.fate, stand.to, stand.keeps,
    )  # fmt: skip


async def histories_of(
    connection: asyncpg.Connection, journeys: Iterable[str]
) -> dict[str, History]:
    """By version of these journeys: what people in it may have done in versions they moved from."""
    wanted = {*journeys}
    every = [it for it in await moves.every(connection) if it.journey in wanted]
    versions = await read_versions(
        connection, {version for it in every for version in (*it.sources, it.version)}
    )
    found: dict[str, History] = {}
    for move in every:
        new = versions.get(move.version)
        for version in move.sources:
            old = versions.get(version)
            if old is not None and new is not None and version != move.version:
                came = carried(old, new, move.rule, found.get(version, NO_HISTORY))
                found[move.version] = joined(found.get(move.version, NO_HISTORY), came)
    return found


async def read_versions(
    connection: asyncpg.Connection, wanted: Iterable[str]
) -> dict[str, Journey]:
    """These versions, as far as they can be read."""
    found = {}
    for version, text in (await projects.versions(connection, wanted)).items():
        try:
            found[version] = load_journey(*text)
        except OutreachError:
            continue  # their people stay, and fail alone
    return found


def _side(files: Mapping[str, str]) -> Side | None:
    try:
        return Side(load(files), files, source.content_hash(files))
    except ProjectErrors:  # written for another Outreach
        return None
