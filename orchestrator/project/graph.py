"""A journey as nodes and edges, for people who look and for programs that draw.

A journey is a tree: steps one below the other, with branches that come together again. That tree
(`Sketch`) is what the picture is laid out from (`drawing`); the nodes and edges are read off it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from orchestrator.core.grammar import WEEKDAYS, Again, Schedule, span
from orchestrator.core.journey import Entry, Journey
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.enroll import Enroll
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.project import source, stepwords
from orchestrator.project.draft import Draft

START, END = "(start)", "(end)"
"""Ids that no step can have."""

People = Mapping[str, Mapping[str, int]]
"""How many stand at a step, by its id, then by the version that they are in."""

NOBODY: People = {}

HELD_OUT = ""
"""Where in `People` those are who stand at no step: held out, and only measured."""


class Node(Struct, frozen=True, omit_defaults=True):
    """A step, the start, the end, or another journey. `id` is the step's; `kind` its word in the
    YAML, or `start`, `end` or `journey`. `title` says what it does, `lines` how; `at` holds it back
    until then. `message` is the one that it sends. `people` stand there, by version."""

    id: str
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    at: str = ""
    message: str = ""
    people: Mapping[str, int] = {}


class Edge(Struct, frozen=True, omit_defaults=True):
    """From one node to another. `kind`: `next`, `branch` (with what must be so as its label), or
    `other`: into another journey, while this one goes on."""

    source: str
    target: str
    kind: str = "next"
    label: str = ""


class Branch(Struct, frozen=True):
    """What leads into it, and its steps; without steps it leads on at once."""

    label: str
    steps: tuple[Box, ...] = ()


class Box(Struct, frozen=True):
    """A step in the tree: its node, its branches, the other journeys it leads to (with how), and
    whether the journey ends with it."""

    node: Node
    branches: tuple[Branch, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    ends: bool = False


class Sketch(Struct, frozen=True):
    """A journey as a tree. `facts` are what holds for all of it, a line each."""

    journey: str
    version: str
    summary: str
    facts: tuple[str, ...]
    start: Node
    steps: tuple[Box, ...]


class Graph(Struct, frozen=True):
    """A journey as nodes and edges. `elsewhere` counts people who stand at steps that this version
    does not have: by step, then by version."""

    journey: str
    version: str
    summary: str
    facts: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    elsewhere: People = NOBODY


def journeys(draft: Draft) -> dict[str, Journey]:
    """Every journey of a project that could be read, whatever is wrong with the others."""
    return {
        form.journey: form.compiled(source.version_hash(draft.files[path]))
        for path, form in draft.journeys.items()
    }


def sketch(journey: Journey, journeys: Iterable[Journey] = (), people: People = NOBODY) -> Sketch:
    """The journey as a tree. Of `journeys`, those are named that it leads to or comes from."""
    known = [*journeys]

    def block(first: str | None, after: str | None) -> Iterator[Box]:
        while first is not None and first != after:
            placed = journey.steps[first]
            yield box(first)
            first = placed.next

    def box(name: str) -> Box:
        placed = journey.steps[name]
        title, lines = stepwords.said(placed.step)
        node = Node(
            id=name,
            kind=placed.step.word(),
            title=title,
            lines=lines,
            at=stepwords.at(placed.step),
            message=stepwords.message(placed.step),
            people=people.get(name, {}),
        )
        labels = dict(stepwords.branches(placed.step))
        branches = tuple(
            Branch(labels.pop(label, label), tuple(block(inner, placed.next)))
            for label, inner in placed.blocks.items()
        )
        # What is left of the labels leads on without steps of its own.
        rest = tuple(Branch(said) for said in labels.values())
        ends = isinstance(placed.step, Leave)
        return Box(node, (*branches, *rest), tuple(_others(placed.step, known)), ends)

    start = Node(START, "start", "start", tuple(_entries(journey, known)))
    return Sketch(
        journey=journey.name,
        version=journey.version,
        summary=journey.summary,
        facts=tuple(_facts(journey, people)),
        start=start,
        steps=tuple(block(journey.first, None)),
    )


def graph(journey: Journey, journeys: Iterable[Journey] = (), people: People = NOBODY) -> Graph:
    """The journey as nodes and edges, in reading order."""
    tree = sketch(journey, journeys, people)
    nodes, edges = [tree.start], list[Edge]()
    others: dict[str, Node] = {}

    def walk(steps: Iterable[Box], open_ends: list[Edge]) -> list[Edge]:
        """The edges that lead out of these steps, still without a target."""
        for box in steps:
            nodes.append(box.node)
            edges.extend(Edge(it.source, box.node.id, it.kind, it.label) for it in open_ends)
            for name, how in box.others:
                other = Node(f"journey:{name}", "journey", name)
                others[other.id] = other
                edges.append(Edge(box.node.id, other.id, "other", how))
            if box.ends:
                return []
            into = [Edge(box.node.id, "", "branch", branch.label) for branch in box.branches]
            open_ends = [
                end
                for branch, edge in zip(box.branches, into, strict=True)
                for end in walk(branch.steps, [edge])
            ] or ([] if into else [Edge(box.node.id, "")])
        return open_ends

    left = walk(tree.steps, [Edge(START, "")])
    if left:
        nodes.append(Node(END, "end", "end"))
        edges.extend(Edge(it.source, END, it.kind, it.label) for it in left)
    nodes.extend(others.values())
    return Graph(
        journey=tree.journey,
        version=tree.version,
        summary=tree.summary,
        facts=tree.facts,
        nodes=tuple(nodes),
        edges=tuple(edges),
        elsewhere=elsewhere(journey, people),
    )


def elsewhere(journey: Journey, people: People) -> People:
    """Those who stand at steps that this version does not have."""
    return {
        step: counts for step, counts in people.items() if step not in {HELD_OUT, *journey.steps}
    }


def _others(step: object, journeys: Iterable[Journey]) -> Iterator[tuple[str, str]]:
    """The journeys that the step leads to, and how."""
    if isinstance(step, Enroll):
        yield step.enroll, "enrolls"
    if isinstance(step, Emit):
        for journey in journeys:
            entries = (it for it in journey.enter if not it.trigger_keys())
            if any(entry.on == step.emit for entry in entries):
                yield journey.name, "enters on it"
            elif any(_awaits(placed.step, step.emit) for placed in journey.steps.values()):
                yield journey.name, "waits for it"


def _awaits(step: object, event: str) -> bool:
    return isinstance(step, WaitFor) and step.wait_for == event


def _entries(journey: Journey, journeys: Iterable[Journey]) -> Iterator[str]:
    for entry in journey.enter:
        said = f"on {entry.on}" if entry.on else f"segment {entry.segment}"
        if entry.condition is not None:
            said += f" if {entry.condition.source}"
        yield f"{said}, every {_schedule(entry.every)}" if entry.every else said
        yield from _waited(entry)
    for other in journeys:
        enrolls = (getattr(it.step, "enroll", "") == journey.name for it in other.steps.values())
        if any(enrolls):
            yield f"enrolled by {other.name}"


def _waited(entry: Entry) -> Iterator[str]:
    """What a trigger says besides, as it is written."""
    if entry.hours:
        yield f"hours {entry.hours}"
    if entry.after:
        yield f"after {span(entry.after)}"
    if entry.unless:
        ends = (
            f"{it.on} if {it.condition.source}" if it.condition else it.on for it in entry.unless
        )
        yield f"unless {' or '.join(ends)}"
    if entry.still is not None:
        yield f"still {entry.still.source}"
    if entry.once_per:
        yield f"once per {span(entry.once_per)}"
    if entry.sample:
        yield f"for {entry.sample.share * 100:.4g} % of all"


def _facts(journey: Journey, people: People) -> Iterator[str]:
    whole = Counter[str]()
    for step, counts in people.items():
        whole.update(counts if step != HELD_OUT else {})
    for version, count in whole.most_common():
        which = "this version" if version == journey.version else f"version {version}"
        yield f"{count:,} under way in {which}"
    yield f"class {journey.contact_class} · again: {_again(journey.again)}"
    if journey.control:
        now = f": {sum(people[HELD_OUT].values()):,} now" if HELD_OUT in people else ""
        yield f"{journey.control * 100:.4g} % are held out and only measured{now}"
    if goal := journey.goal:
        condition = f" if {goal.condition.source}" if goal.condition else ""
        within = f", within {span(goal.within)}" if goal.within else ""
        yield f"goal: {goal.on}{condition}{within}"
    for rule in journey.leave:
        condition = f"if {rule.condition.source}" if rule.condition else ""
        event = f"on {rule.on}" if rule.on else ""
        yield f"leaves early {event} {condition}".replace("  ", " ").rstrip()
    if journey.avoid:
        spans = ", ".join(f"{it.opens:%H:%M}-{it.closes:%H:%M}" for it in journey.avoid)
        yield f"not at {spans}"
    if journey.pace:
        yield f"pace {journey.pace}"


def _again(again: Again) -> str:
    if again.monthly:
        return "each month"
    if again.after is None:
        return "never"
    return f"after {span(again.after)}" if again.after else "always"


def _schedule(schedule: Schedule) -> str:
    on = {"day": "", "week": f" on {WEEKDAYS[schedule.on % 7]}", "month": f" on {schedule.on}"}
    return f"{schedule.unit}{on[schedule.unit]} at {schedule.time:%H:%M}"
