"""Twenty triggers, ten lists of a million numbers, ten areas, and calls, moves and sessions of
which about one in a hundred matches something. All contenders get the same octets."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

FIRST = 86_138_0000_0000
"""The first subscriber's number; the others follow it."""

AREAS = {f"area-{k}": frozenset(f"c{k * 20 + i:04d}" for i in range(20)) for k in range(10)}
LISTS = tuple(f"list-{k}" for k in range(10))
_CELLS = 2_000
_BATCH = 1_000
_MARK = b"@@@@@@@@"
_TIME = b"2000-01-01T00:00:00.000Z"

Test = Callable[[str, Mapping[str, Any]], bool]


class Trigger(Struct, frozen=True):
    """One of the twenty, as an author writes it and as a program says it by hand: the list that the
    subscriber must be on, the list that `peer` must be on or '', and what the event must say."""

    journey: str
    on: str
    condition: str
    own: str
    peers: str
    said: Callable[[Mapping[str, Any]], bool]


def _near(area: str) -> Callable[[Mapping[str, Any]], bool]:
    cells = AREAS[area]
    return lambda event: event["cell"] in cells


def _triggers() -> Iterator[Trigger]:
    for k in range(10):
        yield Trigger(
            f"near-{k}", "call.ended",
            f"in_list('list-{k}') and in_area('area-{k}', event.cell)", f"list-{k}", "",
            _near(f"area-{k}"),
        )  # fmt: skip
    for k in range(4):
        yield Trigger(
            f"talked-{k}", "call.ended",
            f"in_list('list-{k}') and event.peer in list('list-{k + 1}') and event.seconds >= 600",
            f"list-{k}", f"list-{k + 1}", lambda event: event["seconds"] >= 600,
        )  # fmt: skip
    for k in range(4):
        yield Trigger(
            f"came-{k}", "location.changed",
            f"in_list('list-{k + 5}') and in_area('area-{k}', event.cell)", f"list-{k + 5}", "",
            _near(f"area-{k}"),
        )  # fmt: skip
    for k in range(2):
        yield Trigger(
            f"used-{k}", "data.session", f"event.mb >= 50 and in_list('list-{k}')", f"list-{k}", "",
            lambda event: event["mb"] >= 50,
        )  # fmt: skip


TRIGGERS = (*_triggers(),)


def files() -> dict[str, str]:
    """The project: a journey for each trigger, which sends one message."""
    areas = {name: {"cells": sorted(cells)} for name, cells in AREAS.items()}
    written = {
        "journeys/program/project.yaml": "{name: bench, locale: en, timezone: Asia/Shanghai}",
        "journeys/program/contact.yaml": (
            "classes:\n"
            "  now: {purpose: service, consent: opt_out}\n"
            "  answer: {purpose: answer, consent: answer}\n"
        ),
        "journeys/program/areas.yaml": msgspec.json.encode({"areas": areas}).decode(),
        "journeys/program/events.yaml": (
            "events:\n"
            "  call.ended:\n"
            "    keep: matching\n"
            "    properties: {peer: text, cell: text, seconds: number}\n"
            "  location.changed: {keep: matching, properties: {cell: text}}\n"
            "  data.session: {keep: matching, properties: {cell: text, mb: number}}\n"
        ),
        "templates/hello.en.j2": "{% block sms %}Hello!{% endblock %}",
    }
    for it in TRIGGERS:
        written[f"journeys/{it.journey}.yaml"] = (
            f"journey: {it.journey}\n"
            "class: now\n"
            f'enter:\n  - {{on: {it.on}, if: "{it.condition}"}}\n'
            "again: always\n"
            "steps:\n  - {id: hello, send: hello, via: [sms]}\n"
        )
    return written


def lists(people: int, seed: int, numbers: int = 1_000_000) -> dict[str, list[int]]:
    """Each list: a tenth of our people, and others up to so many numbers."""
    chance = random.Random(seed)
    found = {}
    for name in LISTS:
        ours = chance.sample(range(FIRST, FIRST + people), people // 10)
        others = chance.sample(range(FIRST + people, FIRST + people + 20 * numbers), numbers)
        found[name] = sorted([*ours, *others[: numbers - len(ours)]])
    return found


class Batch(Struct, frozen=True):
    """A thousand events, as decoded, and how many (event, trigger) pairs match."""

    body: bytes
    matches: int

    def dressed(self, number: int, at: str) -> bytes:
        """The octets with source ids and a time that no other batch has."""
        return self.body.replace(_MARK, b"%08d" % number).replace(_TIME, at.encode())


def batches(
    people: int, count: int, seed: int, on: Mapping[str, frozenset[int]], *, lines: bool
) -> list[Batch]:
    """So many batches, as a JSON list or (`lines`) as NDJSON."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        events = [_event(chance, people, number) for number in range(_BATCH)]
        encoded = [msgspec.json.encode(it) for it in events]
        body = b"\n".join(encoded) if lines else b"[" + b",".join(encoded) + b"]"
        made.append(Batch(body, sum(_matches(it, on) for it in events)))
    return made


def _event(chance: random.Random, people: int, number: int) -> dict[str, Any]:
    draw = chance.random()
    who = FIRST + int(chance.random() * people)
    properties: dict[str, Any] = {"cell": f"c{int(chance.random() * _CELLS):04d}"}
    if draw < 0.4:
        name = "call.ended"
        properties["peer"] = f"+{FIRST + int(chance.random() * people)}"
        properties["seconds"] = int(chance.expovariate(1 / 260))
    elif draw < 0.8:
        name = "location.changed"
    else:
        name = "data.session"
        properties["mb"] = round(chance.expovariate(1 / 21), 1)
    return {
        "number": f"+{who}",
        "name": name,
        "source_id": f"{_MARK.decode()}-{number}",
        "at": _TIME.decode(),
        "properties": properties,
    }


def _matches(event: Mapping[str, Any], on: Mapping[str, frozenset[int]]) -> int:
    who, said = int(event["number"][1:]), event["properties"]
    return sum(
        it.on == event["name"]
        and it.said(said)
        and who in on[it.own]
        and (not it.peers or int(said["peer"][1:]) in on[it.peers])
        for it in TRIGGERS
    )
