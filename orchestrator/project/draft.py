"""A project as far as it could be read: what the lint rules look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from orchestrator.core.media import Picture
from orchestrator.core.project import PointsProgram, Reward
from orchestrator.core.render import MessageTemplate
from orchestrator.core.retention import Retention
from orchestrator.project.audience import AudienceForm
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.forms import (
    ContactForm,
    HolidaysForm,
    JourneyForm,
    ProjectForm,
    SegmentsForm,
)
from orchestrator.project.reader import Places, keys


class Draft(Struct):
    """The parts that were read. A part that is None was not there or had errors; a name in
    `broken` belongs to a template that did not compile, which is already a finding."""

    files: Mapping[str, str]
    places: Places = field(default_factory=Places)
    findings: list[Finding] = field(default_factory=list)
    journeys: dict[str, JourneyForm] = {}
    contact: ContactForm | None = None
    holidays: HolidaysForm | None = None
    points: PointsProgram | None = None
    rewards: tuple[Reward, ...] | None = None
    segments: SegmentsForm | None = None
    retention: Retention | None = None
    settings: ProjectForm | None = None
    audience: AudienceForm | None = None
    messages: dict[str, MessageTemplate] = {}
    template_files: dict[str, dict[str, str]] = {}
    pictures: dict[str, Picture] = {}
    broken: set[str] = set()
    broken_journeys: bool = False

    def written(self) -> Iterator[Struct]:
        """Every Struct of every journey and programme file, in reading order."""
        parts = (self.points, self.rewards, self.settings, self.holidays)
        for part in (*self.journeys.values(), *parts):
            yield from self._within(part)
        if self.contact:
            yield from self._within(self.contact.classes)

    def within(self, form: JourneyForm) -> Iterator[Struct]:
        """Every Struct of one journey, in reading order."""
        return self._within(form)

    def references(self, kind: Any) -> Iterator[tuple[str, Mark]]:
        """Every word of this `NewType` in the journeys, and where it stands."""
        for form in self.journeys.values():
            for struct in self._within(form):
                for entry in keys(type(struct)).values():
                    value = getattr(struct, entry.name)
                    mark = self.places.mark
                    if entry.type is kind:
                        yield value, mark(struct, entry.encode_name)
                    elif entry.type == tuple[kind, ...]:
                        for number, word in enumerate(value):
                            yield word, mark(struct, entry.encode_name, number)

    def _within(self, value: Any) -> Iterator[Struct]:
        match value:
            case Struct():
                if self.places.knows(value):
                    yield value
                    for name in value.__struct_fields__:
                        yield from self._within(getattr(value, name))
            case tuple() | frozenset():
                for item in value:
                    yield from self._within(item)
            case dict():
                for item in value.values():
                    yield from self._within(item)
