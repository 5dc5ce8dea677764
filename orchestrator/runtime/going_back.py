"""An earlier project again, and what becomes of people whom later ones moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import asyncpg
from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.core.journey import InFlight, Journey
from orchestrator.core.moving import LEAVE, reverse
from orchestrator.core.project import Project
from orchestrator.core.steps.base import StepName
from orchestrator.project import source
from orchestrator.project.findings import did_you_mean
from orchestrator.project.load import load
from orchestrator.project.plan import Ruling
from orchestrator.runtime.applying import read_versions
from orchestrator.store import moves, projects
from orchestrator.store.moves import Move

Mappings = Mapping[str, Mapping[str, str]]
"""By journey: where people go who stand at a step."""


class Back(Struct, frozen=True):
    """The project of number `to` is to run again. Who stands in a later version of a journey goes
    back if they were `moved` there, or in any case (`all`), or not at all (`none`). `move` says, by
    journey, where people at some steps go: those of that journey go back as well."""

    to: int
    who: Literal["moved", "all", "none"] = "moved"
    move: Mappings = {}


async def rulings(connection: asyncpg.Connection, back: Back) -> Mapping[str, Ruling]:
    """What holds for people in flight, by journey, in place of what the journeys themselves say.
    Raises OutreachError if `move` names what is not there."""
    target = await projects.read(connection, back.to)
    later = await projects.since(connection, back.to)
    assert target is not None
    assert later
    will, was = load(target.files), load(later[-1].files)
    _refuse_unknown(back, will)
    if back.who == "none":
        return {name: Ruling(InFlight()) for name in will.journeys}
    hashes = {source.version_hash(text) for kept in later for text in kept.files.values()}
    every = [it for it in await moves.every(connection) if it.project_id > back.to]
    befores = await read_versions(connection, {it.sources[0] for it in every})
    found = {}
    for name, journey in will.journeys.items():
        known = await projects.latest_versions(connection, name, len(hashes))
        newer = [version for version in known if version in hashes]
        now = was.journeys.get(name) or await _last(connection, newer)
        asked = back.move.get(name)
        same = now is not None and now.version == journey.version
        if now is None or (same and asked is None and back.who != "all"):
            continue
        chain = [it for it in every if it.journey == name and it.sources[0] != it.version]
        way = _reversed(now, chain, befores)
        if way is not None or back.who == "all" or asked is not None:
            steps = {step: StepName(to) for step, to in (asked or {}).items()}
            found[name] = Ruling(InFlight({**(way or {}), **steps}), frozenset(newer))
        else:
            found[name] = Ruling(InFlight())
    return found


async def _last(connection: asyncpg.Connection, newer: Sequence[str]) -> Journey | None:
    """The last version of a journey that is removed by now."""
    return (await read_versions(connection, newer[:1])).get(newer[0]) if newer else None


def _refuse_unknown(back: Back, will: Project) -> None:
    for name, mapping in back.move.items():
        journey = will.journeys.get(name)
        if journey is None:
            raise OutreachError(
                f"project {back.to} has no journey {name}", did_you_mean(name, will.journeys)
            )
        for to in mapping.values():
            if to != LEAVE and to not in journey.steps:
                raise OutreachError(
                    f"{name} has no step {to} in project {back.to}",
                    did_you_mean(to, [*journey.steps, LEAVE]),
                )


def _reversed(
    journey: Journey, chain: Sequence[Move], befores: Mapping[str, Journey]
) -> Mapping[str, StepName] | None:
    """What is called otherwise on the way back through all these moves; None if there were none."""
    if not chain:
        return None
    names = {step: StepName(step) for step in journey.steps}
    for move in reversed(chain):
        before = befores.get(move.sources[0])
        back = (reverse(before, move.rule).move if before else None) or {}
        names = {step: back.get(name, name) for step, name in names.items()}
    return {step: name for step, name in names.items() if step != name}
