"""Texts to a `Project`: everything authors wrote, read, checked and compiled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from msgspec import Struct

from orchestrator.core.journey import Journey
from orchestrator.core.media import MediaError, is_picture, pointed
from orchestrator.core.project import PointsProgram, Project
from orchestrator.core.render import TemplateError, compile_message
from orchestrator.core.retention import Retention
from orchestrator.project import cells, lint, source, yaml
from orchestrator.project.allowances import allowances
from orchestrator.project.audience import AudienceForm
from orchestrator.project.draft import Bot, Draft
from orchestrator.project.findings import Finding, Mark, ProjectErrors, did_you_mean, in_order
from orchestrator.project.forms import (
    LOCALE,
    AreasForm,
    ContactForm,
    EventsForm,
    HolidaysForm,
    JourneyForm,
    ProjectForm,
    RewardsForm,
    SegmentsForm,
)
from orchestrator.project.reader import Named, Places, Reader
from orchestrator.project.source import PROGRAM

Form = TypeVar("Form", bound=Struct)

PROGRAM_FILES = (
    *("areas", "audience", "contact", "events", "holidays", "points", "project", "retention"),
    *("rewards", "segments"),
)

_TEMPLATE = re.compile(rf"templates/(?P<name>[^.]+)(?:\.(?P<locale>{LOCALE.pattern}))?\.j2")


def load(files: Mapping[str, str]) -> Project:
    """The project these texts, by path, make up. Raises `ProjectErrors` with every error found, but
    for those with which a project runs all the same."""
    draft = read(files)
    if errors := [*draft.findings, *lint.needed(draft)]:
        raise ProjectErrors(errors)
    for message in draft.messages.values():
        message.ready()
    return _compiled(draft)


def load_folder(folder: Path) -> Project:
    """The project in a folder. Raises `OutreachError`, `ProjectErrors` for what is in it."""
    return load(source.read_folder(folder))


def check(
    files: Mapping[str, str], bot: Bot | None = None
) -> tuple[Project | None, tuple[Finding, ...]]:
    """The project, or None if there are errors, and all findings in order, warnings as well. `bot`
    says which of its commands takes a reply."""
    draft, findings = inspect(files, bot)
    return whole(draft, findings), findings


def inspect(
    files: Mapping[str, str], bot: Bot | None = None, unread: Sequence[Finding] = ()
) -> tuple[Draft, tuple[Finding, ...]]:
    """All that can be read, and all findings in order, as of `check`; `unread` are of files that
    are not among these because they cannot be."""
    draft = read(files, unread)
    draft.bot = bot
    draft.allowances = tuple(allowances(files))
    return draft, in_order([*draft.findings, *lint.findings(draft)])


def whole(draft: Draft, findings: Iterable[Finding]) -> Project | None:
    """The project of a draft that was inspected, or None if errors were found."""
    return None if any(it.severity == "error" for it in findings) else _compiled(draft)


def load_journey(path: str, text: str) -> Journey:
    """The journey in one text, as stored for those who still stand in it. It was checked against
    its project when it was applied, so only its form is checked here."""
    places = Places()
    form, findings, _ = _read_file(path, text, JourneyForm, places)
    if form is None or findings:
        raise ProjectErrors(findings)
    return form.compiled(source.version_hash(text))


def read(files: Mapping[str, str], unread: Sequence[Finding] = ()) -> Draft:
    """All that can be read, with a finding for all that cannot."""
    draft = Draft(files, findings=[*unread], unread=frozenset(it.mark.file for it in unread))
    draft.broken_journeys = any(map(_is_journey, draft.unread))
    _read_program(draft)
    for path in sorted(files):
        if _is_journey(path):
            form, findings, named = _read_file(path, files[path], JourneyForm, draft.places)
            draft.findings += findings
            if form is None:
                draft.broken_journeys = True
                draft.named += named
            else:
                draft.journeys[path] = form
    _read_templates(draft)
    return draft


def _is_journey(path: str) -> bool:
    return path.startswith("journeys/") and not path.startswith(PROGRAM)


def _read_program(draft: Draft) -> None:
    def part(name: str, form: type[Form], required: bool = False) -> Form | None:
        path = f"{PROGRAM}{name}.yaml"
        if path in draft.files:
            value, findings, _ = _read_file(path, draft.files[path], form, draft.places)
            draft.findings.extend(findings)
            return value
        if path in draft.unread:
            return None
        if required:
            keys = ", ".join(form.__struct_fields__)
            hint = f"write it; its keys are: {keys}"
            draft.findings.append(Finding(Mark(path), "this file is missing", hint, "file"))
            return None
        return form()

    draft.contact = part("contact", ContactForm, required=True)
    draft.holidays = part("holidays", HolidaysForm)
    draft.settings = part("project", ProjectForm, required=True)
    draft.points = part("points", PointsProgram)
    if rewards := part("rewards", RewardsForm):
        draft.rewards = rewards.rewards
    draft.segments = part("segments", SegmentsForm)
    draft.retention = part("retention", Retention)
    draft.audience = part("audience", AudienceForm)
    draft.feed = part("events", EventsForm)
    draft.map = part("areas", AreasForm)
    _read_cells(draft)
    for path in draft.files:
        name = PurePosixPath(path)
        if not path.startswith(PROGRAM) or path == _table_of_cells(draft):
            continue
        if name.suffix == source.TABLE and (
            draft.map is None or (draft.map.cells and _table_of_cells(draft) not in draft.files)
        ):
            continue  # perhaps this one is meant
        if name.suffix == source.TABLE or name.stem not in PROGRAM_FILES:
            hint = did_you_mean(name.stem, PROGRAM_FILES)
            if name.suffix == source.TABLE:
                hint = f"a table of cells is named in {PROGRAM}areas.yaml: `cells: {name.name}`"
            message = f"{name.name} is no part of the programme"
            draft.findings.append(Finding(Mark(path), message, hint, "file"))


def _table_of_cells(draft: Draft) -> str:
    """The path of the table that the map names, or ''."""
    return f"{PROGRAM}{draft.map.cells}" if draft.map and draft.map.cells else ""


def _read_cells(draft: Draft) -> None:
    if draft.map is None:
        return
    path = _table_of_cells(draft)
    if path in draft.files and path.endswith(source.TABLE):
        draft.cells, findings = cells.read(path, draft.files[path])
        draft.findings += findings
    elif path and path not in draft.unread:
        mark = draft.places.mark(draft.map, "cells")
        tables = [it.removeprefix(PROGRAM) for it in draft.files if it.endswith(source.TABLE)]
        hint = did_you_mean(draft.map.cells, tables, "write it beside this file: cells.csv")
        draft.findings.append(Finding(mark, f"there is no table {draft.map.cells!r}", hint, "file"))
    draft.areas = draft.map.compiled(draft.cells)


def _read_file(
    path: str, text: str, form: type[Form], places: Places
) -> tuple[Form | None, Sequence[Finding], Sequence[Named]]:
    """What the file holds, what is wrong in it, and the words in it that refer to others."""
    try:
        node = yaml.parse(path, text)
    except ProjectErrors as errors:
        return None, errors.findings, ()
    reader = Reader(places)
    if node is None:
        empty = Finding(Mark(path), "the file is empty", "write it, or delete it", "file")
        return None, [empty], ()
    value = reader.read(node, form)
    return value, reader.findings, reader.named


def _read_templates(draft: Draft) -> None:
    for path in sorted(draft.files):
        if not path.startswith("templates/") or _took_picture(draft, path):
            continue
        if match := _TEMPLATE.fullmatch(path):
            locale = match["locale"] or ""
            draft.template_files.setdefault(match["name"], {})[locale] = path
        else:
            hint = "name it message.locale.j2: templates/seven-days/entrance.zh.j2"
            message = "the file's name does not tell the message and its locale"
            draft.findings.append(Finding(Mark(path), message, hint, "file"))
    draft.broken |= {found["name"] for it in draft.unread if (found := _TEMPLATE.fullmatch(it))}
    for name in draft.broken:
        draft.template_files.pop(name, None)
    settings = draft.settings if draft.settings and draft.settings.has_locale else None
    for name, paths in draft.template_files.items():
        sources = {locale: draft.files[path] for locale, path in paths.items()}
        default = settings.locale if settings else next(iter(sources))
        try:
            draft.messages[name] = compile_message(name, sources, default)
        except TemplateError as error:
            draft.broken.add(name)
            draft.findings += {_in_template(error), *_each_locale(name, sources)}


def _took_picture(draft: Draft, path: str) -> bool:
    if not is_picture(path):
        return False
    try:
        draft.pictures[path.removeprefix("templates/")] = pointed(draft.files[path])
    except MediaError as error:
        draft.findings.append(Finding(Mark(path), error.message, error.hint, "picture"))
    return True


def _each_locale(name: str, sources: Mapping[str, str]) -> Iterator[Finding]:
    """What is wrong in any of the message's files, not in the first only."""
    for locale, text in sources.items():
        try:
            compile_message(name, {locale: text}, locale)
        except TemplateError as error:
            yield _in_template(error)


def _in_template(error: TemplateError) -> Finding:
    mark = Mark(f"templates/{error.file}", error.line, error.column)
    return Finding(mark, error.message, error.hint, "template")


def _compiled(draft: Draft) -> Project:
    assert draft.contact is not None
    assert draft.settings is not None
    assert draft.points is not None
    assert draft.segments is not None
    assert draft.retention is not None
    assert draft.feed is not None
    journeys = [
        form.compiled(source.version_hash(draft.files[path]))
        for path, form in draft.journeys.items()
    ]
    return Project(
        journeys={journey.name: journey for journey in journeys},
        versions={journey.version: journey for journey in journeys},
        messages=draft.messages,
        contact=draft.contact.compiled(draft.holidays.holidays if draft.holidays else {}),
        segments=draft.segments.segments,
        points=draft.points,
        rewards={reward.id: reward for reward in draft.rewards or ()},
        locale=draft.settings.locale,
        timezone=draft.settings.timezone,
        name=draft.settings.name,
        retention=draft.retention,
        prices=draft.settings.prices,
        feed=draft.feed.compiled(),
        areas=draft.areas,
    )
