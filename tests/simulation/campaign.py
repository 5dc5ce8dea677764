"""The journeys that simulated people live through: a small set, drawn once and for ever.

Every branch begins with an award, so that which way somebody went, and when, can be told from the
ledger; and one stands before every wait for an event, so that it is known when the wait began.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from orchestrator.project.source import read_folder

PER_DAY = 2
OPENS, CLOSES = 9, 20
TOP_UP_POINTS = 7
REWARD, COST_POINTS = "cup", 6
ZONE = "Asia/Shanghai"

CLASSES: Mapping[str, Mapping[str, Any]] = {
    "promo": {
        "purpose": "marketing",
        "consent": "opt_out",
        "hours": f"{OPENS:02}:00-{CLOSES}:00",
        "per_day": PER_DAY,
    },
    "service": {"purpose": "service", "consent": "opt_out", "uncertain": "resend"},
    "notice": {"purpose": "notice", "consent": "opt_out"},
    "answer": {"purpose": "answer", "consent": "answer"},
}

Journey = dict[str, Any]


def _send(random: Random) -> dict[str, Any]:
    via = random.choice([["sms"], ["sms", "chat"], ["chat", "sms"], ["chat"]])
    return {"send": "note", "via": via}


def _award(random: Random) -> dict[str, Any]:
    return {"award": random.randrange(1, 9), "for": "journey"}


def _branch(random: Random) -> list[dict[str, Any]]:
    steps = [_award(random)]
    if random.random() < 0.4:
        steps.append(_send(random))
    return steps


def _waits(random: Random, kind: str) -> list[dict[str, Any]]:
    match kind:
        case "wait":
            return [{"wait": f"{random.choice([1, 2, 5, 18])}h"}, _award(random)]
        case "wait_for":
            step = {
                "wait_for": "data.used",
                "within": f"{random.choice([1, 4, 20])}h",
                "then": _branch(random),
                "else": _branch(random),
            }
            return [_award(random), step]
        case "ask":
            reply = [{"is": "1", "do": _branch(random)}, {"is": "2", "do": _branch(random)}]
            within = f"{random.choice([1, 3, 24])}h"
            ask = {"ask": "quiz", "via": ["sms", "chat"], "within": within}
            return [{**ask, "reply": reply, "silence": _branch(random)}]
    gold = {"if": "subscriber.level == 'gold'", "do": _branch(random)}
    return [{"when": [gold, {"else": _branch(random)}]}]


def _drawn(number: int) -> Journey:
    """The journey of that number."""
    random = Random(f"journey {number}")
    kinds = random.sample(["wait", "wait_for", "ask", "when"], random.choice([1, 2, 2]))
    steps = [_send(random)]
    for kind in kinds:
        steps += _waits(random, kind)
    if random.random() < 0.5:
        steps.append(_send(random))
    return {
        "journey": f"j{number}",
        "class": random.choice(["promo", "service", "notice"]),
        "enter": [{"on": f"begin.j{number}"}],
        "again": random.choice(["never", f"after {number}h", "always"]),
        "steps": [{"id": f"s{place}", **step} for place, step in enumerate(steps, 1)],
    }


JOURNEYS: dict[str, Journey] = {f"j{number}": _drawn(number) for number in range(1, 25)}

FILES = {
    **{
        path: text
        for path, text in read_folder(Path(__file__).parents[2]).items()
        if path.startswith("templates/bot/")
    },
    **{f"journeys/{name}.yaml": json.dumps(it, indent=1) for name, it in JOURNEYS.items()},
    "journeys/program/contact.yaml": json.dumps({"classes": CLASSES}, indent=1),
    "journeys/program/points.yaml": json.dumps(
        {"earn": [{"on": "card.topped", "award": TOP_UP_POINTS, "reason": "top-up"}]}
    ),
    "journeys/program/rewards.yaml": json.dumps(
        {
            "rewards": [
                {"id": REWARD, "names": {"en": "A cup"}, "cost_points": COST_POINTS, "stock": 0}
            ]
        }
    ),
    "journeys/program/project.yaml": f"{{name: simulation, locale: en, timezone: {ZONE}}}",
    "templates/note.en.j2": "{% block sms %}A note, {{ subscriber.name }}.{% endblock %}"
    "{% block chat %}A note, {{ subscriber.name }}.{% endblock %}",
    "templates/quiz.en.j2": "{% block sms %}Which, {{ subscriber.name }}? 1 or 2{% endblock %}"
    "{% block chat %}Which, {{ subscriber.name }}? 1 or 2{% endblock %}",
}


def labelled(step: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The branches of a step, by the labels that the ids of what stands in them carry."""
    if "wait_for" in step:
        return {"then": step["then"], "else": step["else"]}
    if "ask" in step:
        ways = {f"reply-{n}": answer["do"] for n, answer in enumerate(step["reply"], 1)}
        return {**ways, "silence": step["silence"]}
    return {"case-1": step["when"][0]["do"], "case-2": step["when"][1]["else"]}
