"""What triggers come to, said as plainly as can be: all events sorted, each once, judged one after
the other by the conditions as they are written."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.core.chance import draw
from orchestrator.core.feed import Happened
from orchestrator.core.journey import Entry, Journey
from orchestrator.core.project import Project

Known = tuple[str, int, int | str, float, str]
"""A firing: the journey, the entry's number, who, when, and of which event."""


def fired(
    project: Project, lists: Mapping[str, Container[int]], happened: Iterable[Happened]
) -> list[Known]:
    """Every firing, sorted."""
    return _Oracle(project, lists).fired(happened)


class _Oracle:
    def __init__(self, project: Project, lists: Mapping[str, Container[int]]) -> None:
        self._project, self._lists = project, lists
        self._state: dict[int | str, dict[str, Any]] = {}
        self._waits: list[tuple[float, Journey, int, Happened]] = []
        self._last: dict[tuple[str, int, int | str], float] = {}
        self._fired: list[Known] = []

    def fired(self, happened: Iterable[Happened]) -> list[Known]:
        once = {it.source_id: it for it in happened}
        for it in sorted(once.values(), key=lambda it: (it.at, it.source_id)):
            self._due(before=it.at)
            self._happens(it)
        self._due(before=float("inf"))
        return sorted(self._fired, key=repr)

    def _due(self, before: float) -> None:
        due = [it for it in self._waits if it[0] < before]
        for wait in sorted(due, key=lambda it: it[0]):
            self._waits.remove(wait)
            at, journey, number, began = wait
            still = journey.enter[number].still
            if still is None or still.holds(self._scope(began)):
                self._fire(journey, number, began, at)

    def _happens(self, it: Happened) -> None:
        for name, setting in self._project.feed.setting.get(it.name, {}).items():
            if (value := setting.of(it.properties)) is not None:
                self._state.setdefault(it.who, {})[name] = value
        for wait in [*self._waits]:
            _, journey, number, began = wait
            if began.who == it.who and began.at < it.at:
                unless = [each for each in journey.enter[number].unless if each.on == it.name]
                if any(e.condition is None or e.condition.holds(self._scope(it)) for e in unless):
                    self._waits.remove(wait)
        for journey, number, entry in self._project.triggers:
            if entry.on == it.name and self._begins(journey, number, entry, it):
                after_s = entry.after.total_seconds() if entry.after else 0.0
                if after_s:
                    self._waits.append((it.at + after_s, journey, number, it))
                else:
                    self._fire(journey, number, it, it.at)

    def _begins(self, journey: Journey, number: int, entry: Entry, it: Happened) -> bool:
        if any(j is journey and n == number and b.who == it.who for _, j, n, b in self._waits):
            return False
        last = self._last.get((journey.name, number, it.who))
        span = entry.once_per
        if span and last is not None and it.at - last < span.total_seconds():
            return False
        if entry.sample and draw("sample", journey.name, it.who) >= entry.sample.share:
            return False
        return entry.condition is None or entry.condition.holds(self._scope(it))

    def _fire(self, journey: Journey, number: int, began: Happened, at: float) -> None:
        hours = journey.enter[number].hours
        clock = datetime.fromtimestamp(began.at, UTC).astimezone(ZoneInfo(self._project.timezone))
        if hours is None or hours.holds(clock.time()):
            self._last[journey.name, number, began.who] = at
        self._fired.append((journey.name, number, began.who, at, began.source_id))

    def _scope(self, it: Happened) -> dict[str, Any]:
        return {
            "event": it.properties,
            "state": self._state.get(it.who, {}),
            "number": it.who if isinstance(it.who, int) else None,
            "lists": self._lists,
            "areas": self._project.areas,
        }
