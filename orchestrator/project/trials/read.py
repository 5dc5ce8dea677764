"""A project's files of tests, read and checked against the project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from orchestrator.core import calendar
from orchestrator.core.contact import EVERYTHING
from orchestrator.core.model import CHANNEL_WORDS
from orchestrator.core.project import Project
from orchestrator.core.telephone import number_of
from orchestrator.project import yaml
from orchestrator.project.asked import events_of, lists_of
from orchestrator.project.findings import Finding, Mark, ProjectErrors, did_you_mean
from orchestrator.project.reader import Places, Reader
from orchestrator.project.slips import slips
from orchestrator.project.trials.compare import kind_of
from orchestrator.project.trials.forms import (
    KINDS,
    Change,
    Expected,
    Happening,
    Person,
    Trial,
    TrialFile,
)

_HAPPENS = ("event", "reply", "fails", "set")


class Trials(Struct, frozen=True):
    """All tests of a project with the places where they stand, all people by name, and the numbers
    on each list that the project asks about."""

    trials: tuple[tuple[Mark, Trial], ...]
    people: Mapping[str, Person]
    places: Places
    lists: Mapping[str, frozenset[int]] = {}


def read(files: Mapping[str, str], project: Project) -> Trials:
    """The tests in these files, by path. Raises `ProjectErrors` with all that is wrong."""
    places = Places()
    findings: list[Finding] = []
    forms: list[TrialFile] = []
    people: dict[str, Person] = {}
    for path in sorted(files):
        if (form := _form(path, files[path], places, findings)) is None:
            continue
        forms.append(form)
        for name, person in form.people.items():
            if name in people:
                mark = places.mark(form, "people", name)
                findings.append(Finding(mark, f"{name!r} stands in another file too", "rename one"))
            people[name] = person
    checks = _Checks(places, project, people)
    lists: dict[str, frozenset[int]] = dict.fromkeys(checks.lists, frozenset())
    for form in forms:
        findings += checks.listed(form)
        for name, numbers in form.lists.items():
            lists[name] = lists.get(name, frozenset()).union(filter(None, map(number_of, numbers)))
        for person in form.people.values():
            findings += checks.person(person)
        for trial in form.tests:
            findings += checks.trial(trial)
    if findings:
        raise ProjectErrors(findings)
    trials = tuple((places.mark(trial), trial) for form in forms for trial in form.tests)
    return Trials(trials, people, places, lists)


def _form(path: str, text: str, places: Places, findings: list[Finding]) -> TrialFile | None:
    try:
        node = yaml.parse(path, text)
    except ProjectErrors as errors:
        findings += errors.findings
        return None
    if node is None:
        findings.append(Finding(Mark(path), "the file is empty", "write it, or delete it", "file"))
        return None
    reader = Reader(places)
    form = reader.read(node, TrialFile)
    findings += reader.findings
    return form


class _Checks:
    """What is wrong with people and tests: names that are nobody's, things that are two or none."""

    def __init__(self, places: Places, project: Project, people: Mapping[str, Person]) -> None:
        self._places = places
        self._project = project
        self._people = people
        self.lists = lists_of(project)
        self._events = events_of(project)

    def listed(self, form: TrialFile) -> Iterator[Finding]:
        yield from self._known(form, "lists", "list", form.lists, self.lists)
        for name, numbers in form.lists.items():
            for number in numbers:
                if number_of(number) is None:
                    mark = self._places.mark(form, "lists", name)
                    hint = "write it with its country code: +8613800138000"
                    yield Finding(mark, f"{number!r} is no telephone number", hint)

    def trial(self, trial: Trial) -> Iterator[Finding]:
        yield from self._known(trial, "who", "person", [trial.who], self._people)
        if trial.but is not None:
            yield from self.person(trial.but)
        for it in trial.happens:
            yield from self._happening(it)
        for number, wanted in enumerate(trial.expect or ()):
            yield from self._expected(number, wanted)

    def person(self, it: Person | Change) -> Iterator[Finding]:
        policy = self._project.contact
        purposes = {EVERYTHING, *(rules.purpose for rules in policy.classes.values())}
        yield from self._known(it, "addresses", "channel", it.addresses, CHANNEL_WORDS)
        yield from self._known(it, "consents", "purpose", it.consents, purposes)
        yield from self._known(it, "refused", "purpose", it.refused, purposes)
        if isinstance(it, Person):
            yield from self._known(it, "lists", "list", it.lists, self.lists)
        if it.timezone and calendar.zone(it.timezone) is None:
            mark = self._places.mark(it, "timezone")
            hint = "write it as in Europe/Berlin"
            yield Finding(mark, f"there is no time zone {it.timezone!r}", hint)

    def _happening(self, it: Happening) -> Iterator[Finding]:
        said = [name for name in _HAPPENS if getattr(it, name) is not None]
        if len(said) != 1:
            yield self._one_of(it, said, _HAPPENS)
        if it.event is not None and it.event not in self._events:
            for other in slips((*self._events, it.event)).get(it.event, ())[:1]:
                mark = self._places.mark(it, "event")
                yield Finding(mark, f"nothing hears {it.event!r}", f"did you mean {other!r}?")
        told = self._project.feed.events.get(it.event or "")
        if told is not None and (why := told.fault(it.with_)):
            mark = self._places.mark(it, "with" if it.with_ else "event")
            hint = "write `with` as program/events.yaml declares it"
            yield Finding(mark, f"{it.event} would be set aside: {why}", hint)
        if it.fails is not None:
            yield from self._known(it, "fails", "message", [it.fails], self._project.messages)
        if it.by:
            yield from self._known(it, "by", "channel", [it.by], CHANNEL_WORDS)
        if it.set is not None:
            yield from self.person(it.set)

    def _expected(self, number: int, it: Expected) -> Iterator[Finding]:
        said = [kind for kind in KINDS if getattr(it, kind) is not None]
        if len(said) != 1:
            yield self._one_of(it, said, KINDS)
            return
        kind, name = kind_of(it), getattr(it, said[0])
        if kind in ("message", "withheld", "put_off"):
            yield from self._known(it, kind, "message", [name], self._project.messages)
        elif kind == "step":
            steps = [f"{j.name}/{s}" for j in self._project.journeys.values() for s in j.steps]
            yield from self._known(it, kind, "step", [name], steps)
        elif kind != "points":
            yield from self._known(it, kind, "journey", [name], self._project.journeys)
        if it.by is not None:
            yield from self._known(it, "by", "channel", [it.by], CHANNEL_WORDS)

    def _known(
        self, value: object, key: str, what: str, names: Iterable[str], known: Iterable[str]
    ) -> Iterator[Finding]:
        words = [*known]
        for name in names:
            if name not in words:
                hint = did_you_mean(name, words)
                mark = self._places.mark(value, key)
                yield Finding(mark, f"there is no {what} {name!r}", hint)

    def _one_of(self, value: object, said: list[str], words: Iterable[str]) -> Finding:
        mark = self._places.mark(value)
        found = f"this is {' and '.join(said)} at once" if said else "this says nothing"
        return Finding(mark, found, f"write one of: {', '.join(words)}")
