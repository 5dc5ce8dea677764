"""The audience of a project that does not say whom `simulate` is to play: people made from what its
own conditions look at, to whom the events happen that its journeys know."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import BUILT_IN, tree
from orchestrator.core.expression.grammar import parse
from orchestrator.core.grammar import Share
from orchestrator.core.model import CHAT_CHANNELS, DESK_CHANNELS
from orchestrator.core.project import Project
from orchestrator.core.steps.base import EventName
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.project.asked import conditions
from orchestrator.project.audience import Arrival, AudienceForm, Habit, People

OFTEN, SELDOM, HARDLY_EVER = timedelta(days=5), timedelta(days=30), timedelta(days=2000)
"""How far apart: what journeys wait for and points are earned by; what else brings people into
journeys; what makes them leave."""

_ALL, _SOME = Share(1.0), Share(0.25)
_WILLING = Share(0.8)

Known = dict[str, list[Any]]
"""Dotted names, and the constants that conditions compare each with."""


def likely(project: Project) -> AudienceForm:
    """People who meet, and do not meet, the project's conditions, about equally often."""
    known: Known = {}
    for condition in conditions((project.journeys, project.segments, project.points)):
        _look(parse(condition.source), known)
    for message in project.messages.values():
        for name in message.names():
            known.setdefault(name, [])
    entries = Counter(on for on, journeys in project.entering.items() for _ in journeys)
    arrival = max(sorted(entries), key=lambda on: entries[on], default=None)
    properties = _values("event", known)
    habits = [
        Habit(on=EventName(on), every=every, with_=properties)
        for on, every in sorted(_events(project).items())
        if on != arrival
    ]
    return AudienceForm(
        channels=_channels(project),
        consents={
            rules.purpose: _WILLING
            for rules in project.contact.classes.values()
            if rules.consent == "opt_in"
        },
        arrive=None
        if arrival is None
        else Arrival(on=EventName(arrival), share=_ALL, within=SELDOM, with_=properties),
        people=(
            People(
                kind="everybody",
                attributes={
                    **_values("subscriber", known),
                    **({"usage": usage} if (usage := _values("usage", known)) else {}),
                },
                events=tuple(habits),
            ),
        ),
    )


def _events(project: Project) -> dict[str, timedelta]:
    """Every event that the project knows, and how far apart it happens to somebody."""
    found: dict[str, timedelta] = dict.fromkeys(project.entering, SELDOM)
    for journey in project.journeys.values():
        found |= {rule.on: HARDLY_EVER for rule in journey.leave if rule.on is not None}
        if journey.goal is not None:
            found[journey.goal.on] = OFTEN
        for placed in journey.steps.values():
            if isinstance(placed.step, WaitFor):
                found[placed.step.wait_for] = OFTEN
    return found | dict.fromkeys(project.earning, OFTEN)


def _channels(project: Project) -> dict[str, Share]:
    """SMS for all, and what else journeys name for some."""
    words = {
        word
        for journey in project.journeys.values()
        for placed in journey.steps.values()
        for word in getattr(placed.step, "via", ())
        if word not in (*DESK_CHANNELS, "sms")
    }
    return {
        "sms": _ALL,
        **{CHAT_CHANNELS[0] if it == "chat" else it: _SOME for it in sorted(words)},
    }


def _look(node: tree.Node, known: Known) -> None:
    """Which names the tree compares, with which constants."""
    match node:
        case tree.Same(left, right) | tree.Less(left, right):
            _compared(left, [right], known)
            _compared(right, [left], known)
        case tree.Contains(tree.Listing(items), item):
            _compared(item, items, known)
    for field in node.__struct_fields__:
        inner = getattr(node, field)
        for child in inner if isinstance(inner, tuple) else (inner,):
            if isinstance(child, Struct):
                _look(child, known)  # type: ignore[arg-type]  # nodes hold nodes and constants


def _compared(node: tree.Node, others: Any, known: Known) -> None:
    while isinstance(node, tree.Default):
        node = node.item
    if isinstance(node, tree.Name) and all(isinstance(part, str) for part in node.path):
        name = ".".join(map(str, (node.root, *node.path)))
        found = known.setdefault(name, [])
        found += [it.value for it in others if isinstance(it, tree.Constant)]


def _values(root: str, known: Known) -> dict[str, Any]:
    """What an audience's file would say of the names under `root`."""
    return {
        path: _likely(path, constants or [50] * (root == "usage"))
        for name, constants in sorted(known.items())
        for start, _, path in (name.partition("."),)
        if start == root and path and "." not in path
        if not (root == "subscriber" and path in (*BUILT_IN, "usage"))
    }


def _likely(name: str, constants: list[Any]) -> Any:
    """Something below, at and above each number; each of the texts; else its own name."""
    numbers = [int(it) for it in constants if type(it) in (int, float)]
    if numbers:
        low, high = min(0, *numbers), max(numbers)
        return f"{low} to {2 * max(high, 1)}"
    texts = sorted({it for it in constants if type(it) is str})
    return texts or name
