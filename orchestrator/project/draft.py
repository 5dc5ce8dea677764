"""A project as far as it could be read: what the lint rules look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from msgspec import Struct, field

from orchestrator.core.area import Area, Cells
from orchestrator.core.expression import Condition
from orchestrator.core.media import Picture
from orchestrator.core.project import PointsProgram, Reward
from orchestrator.core.render import MessageTemplate
from orchestrator.core.retention import Retention
from orchestrator.project.allowances import Allowance
from orchestrator.project.audience import AudienceForm
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.forms import (
    AreasForm,
    ContactForm,
    EventsForm,
    HolidaysForm,
    JourneyForm,
    ProjectForm,
    SegmentsForm,
)
from orchestrator.project.reader import Named, Places, keys

Kind = TypeVar("Kind")

_MAY_HOLD = (Struct, tuple, dict, frozenset)
"""What more may be written in."""

Bot = Callable[[str], str | None]
"""The command of the bot that takes a reply before any question does, or None."""


class Draft(Struct):
    """The parts that were read. A part that is None was not there or had errors; a name in
    `broken` belongs to a template that did not compile, which is already a finding. `bot` is there
    if somebody knows what it understands."""

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
    feed: EventsForm | None = None
    map: AreasForm | None = None
    cells: Cells = Cells({})
    """Where each cell stands, if the map names a table of them."""
    areas: Mapping[str, Area] = {}
    """The map's areas, each with the cells in it."""
    messages: dict[str, MessageTemplate] = {}
    template_files: dict[str, dict[str, str]] = {}
    pictures: dict[str, Picture] = {}
    broken: set[str] = set()
    broken_journeys: bool = False
    named: list[Named] = []
    """The words that journeys with errors refer to, by the `NewType` of each."""
    bot: Bot | None = None
    unread: frozenset[str] = frozenset()
    """Files that are there, and whose octets are no text or no picture: also a finding already."""
    allowances: tuple[Allowance, ...] = ()
    idle: tuple[Allowance, ...] = ()
    """Those of the allowances that nothing was found for."""
    allowed: tuple[tuple[Finding, Allowance], ...] = ()
    """What was found and is meant."""
    conditions: list[tuple[Condition, Mark, object]] = []
    """Every condition, where it stands, and what has it, once it was asked for: see `rules`."""
    _walked: dict[int, list[Struct]] = {}
    _written: list[Struct] = []
    _kinds: dict[type, list[tuple[JourneyForm, Any]]] = {}

    def written(self) -> Sequence[Struct]:
        """Every Struct of every journey and programme file, in reading order."""
        if not self._written:
            for form in self.journeys.values():
                self._written += self.within(form)
            classes = self.contact.classes if self.contact else {}
            parts = self.points, self.rewards, self.settings, self.holidays, classes, self.feed
            self._walk(tuple(part for part in parts if part is not None), self._written)
        return self._written

    def within(self, form: JourneyForm) -> Sequence[Struct]:
        """Every Struct of one journey, in reading order. Journeys are not read again."""
        found = self._walked.get(id(form))
        if found is None:
            found = self._walked[id(form)] = []
            self._walk(form, found)
        return found

    def each(self, kind: type[Kind]) -> Iterator[tuple[JourneyForm, Kind]]:
        """Every Struct of exactly this kind in the journeys, with its journey."""
        if not self._kinds:
            for form in self.journeys.values():
                for struct in self.within(form):
                    self._kinds.setdefault(type(struct), []).append((form, struct))
        return iter(self._kinds.get(kind, ()))

    def references(self, kind: Any) -> Iterator[tuple[str, Mark]]:
        """Every word of this `NewType` in the journeys, those with errors as well, and where it
        stands."""
        yield from ((word, mark) for it, word, mark in self.named if it is kind)
        mark = self.places.mark
        for form in self.journeys.values():
            for struct in self.within(form):
                for name, key, several in _of_kind(type(struct), kind):
                    value = getattr(struct, name)
                    if value is None:
                        continue
                    if not several:
                        yield value, mark(struct, key)
                    else:
                        for number, word in enumerate(value):
                            yield word, mark(struct, key, number)

    def _walk(self, value: Any, found: list[Struct]) -> None:
        """What was written of `value`, and of what is in it, is in `found`."""
        if isinstance(value, Struct):
            if not self.places.knows(value):
                return
            found.append(value)
            inner = [getattr(value, name) for name in value.__struct_fields__]
        elif isinstance(value, dict):
            inner = [*value.values()]
        else:
            inner = value
        for part in inner:
            if isinstance(part, _MAY_HOLD):
                self._walk(part, found)


@cache
def _of_kind(struct: type[Struct], kind: Any) -> tuple[tuple[str, str, bool], ...]:
    """The fields of this kind, or of several of it: name, key, and which it is."""
    return tuple(
        (entry.name, entry.encode_name, entry.type == tuple[kind, ...])
        for entry in keys(struct).values()
        if entry.type in (kind, kind | None, tuple[kind, ...])
    )
