"""What is asked of subscribers is known of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import BUILT_IN
from orchestrator.core.grammar import TagChange
from orchestrator.core.steps.set import Changes
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.rules.base import Rule
from orchestrator.project.rules.conditions import conditions, counted_kinds
from orchestrator.project.slips import slips

_TAG = re.compile(r"(['\"])([\w.:-]+)\1\s+(?:not\s+)?in\s+subscriber\.tags")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
}


class Use(Struct, frozen=True):
    """An attribute by its dotted name, where it is named, in which file or message, and whether it
    is given a value there."""

    name: str
    mark: Mark
    source: str
    value: Any = None
    given: bool = False


class UnknownAttribute(Rule):
    """no subscriber has the attribute {name!r}

    With `attributes` in program/project.yaml there are those, and `key`, `locale`, `timezone`,
    `tags` and `created_at`.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        declared = draft.settings.attributes if draft.settings else {}
        declared = {**counted_kinds(draft), **declared} if declared else {}
        for use in uses(draft) if declared else ():
            if not _declared(use.name, declared):
                hint = did_you_mean(use.name, {*declared, *BUILT_IN}, _ADD)
                yield self.at(use.mark, hint, name=use.name)


_ADD = "add it to `attributes` in program/project.yaml"


class AttributeKind(Rule):
    """{name!r} is declared as {kind}, and this is none

    `attributes` in program/project.yaml says of what kind each attribute is; null takes one away.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        declared = draft.settings.attributes if draft.settings else {}
        for use in uses(draft) if declared else ():
            kind = declared.get(use.name, "any")
            if use.given and use.value is not None and kind != "any":
                fits = isinstance(use.value, _TYPES[kind])
                if not fits or (kind == "number" and isinstance(use.value, bool)):
                    hint = "write it with quotes" if kind == "text" else "write it without quotes"
                    yield self.at(use.mark, hint, name=use.name, kind=kind)


class MisspeltAttribute(Rule):
    """is {name!r} the attribute {other!r}?

    It is used once, and the other, one key away, elsewhere. Write `attributes` in
    program/project.yaml to say which there are.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        if draft.settings and draft.settings.attributes:
            return
        named = [*uses(draft)]
        sources: dict[str, set[str]] = {name: {"us", "everybody"} for name in BUILT_IN}
        for use in named:
            given = {f"{use.source} gives it"} if use.given else set()
            sources.setdefault(use.name, set()).update({use.source}, given)
        close = slips(sources)
        for use in named:
            for other in close.get(use.name, ()) if len(sources[use.name]) == 1 else ():
                if len(sources[other]) > 1:
                    hint = f"then write {other!r}"
                    yield self.at(use.mark, hint, name=use.name, other=other)
                    break


class MisspeltTag(Rule):
    """is {name!r} the tag {other!r}?

    No journey puts it on, and one puts on another that is one key away.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        put_on = {
            change.tag
            for _, changes in draft.each(Changes)
            for change in changes.tags
            if change.add
        }
        asked = [*_tags(draft)]
        close = slips({*put_on, *(name for name, _ in asked)})
        for name, mark in asked:
            for other in close.get(name, ()) if name not in put_on else ():
                if other in put_on:
                    yield self.at(mark, f"then write {other!r}", name=name, other=other)
                    break


def _tags(draft: Draft) -> Iterator[tuple[str, Mark]]:
    """Every tag that a condition asks for, or that is taken off."""
    for condition, mark, _ in conditions(draft):
        for found in _TAG.finditer(condition.source):
            yield found[2], mark
    for _, changes in draft.each(Changes):
        for number, change in enumerate(changes.tags):
            if isinstance(change, TagChange) and not change.add:
                yield change.tag, draft.places.mark(changes, "tags", number)


def _declared(name: str, declared: Mapping[str, str]) -> bool:
    """Whether it is declared, or a part or the whole of what is."""
    return (
        name in declared
        or any(it.startswith(f"{name}.") for it in declared)
        or any(name.startswith(f"{it}.") for it, kind in declared.items() if kind == "any")
    )


def uses(draft: Draft) -> Iterator[Use]:
    """Every attribute that something names."""
    for condition, mark, _ in conditions(draft):
        for name in sorted(condition.names()):
            if attribute := _attribute(name):
                yield Use(attribute, mark, mark.file)
    for _, changes in draft.each(Changes):
        for name, value in changes.attributes.items():
            mark = draft.places.mark(changes, "attributes", name)
            yield Use(name, mark, mark.file, value, True)
    for message, template in draft.messages.items():
        names = {name: attribute for name in template.names() if (attribute := _attribute(name))}
        for name, attribute in sorted(names.items()):
            for path in draft.template_files[message].values():
                if at := _place(draft.files[path], name):
                    yield Use(attribute, Mark(path, *at), message)


def _attribute(name: str) -> str | None:
    """`usage.mb_7d` of both `usage.mb_7d` and `subscriber.usage.mb_7d`; None if it is none."""
    root, _, rest = name.partition(".")
    if root == "usage" and rest:
        return name
    return rest if root == "subscriber" and rest.partition(".")[0] not in ("", *BUILT_IN) else None


def _place(text: str, name: str) -> tuple[int, int] | None:
    """Line and column of a dotted name in a template."""
    start = text.find(name)
    while start >= 0:
        if not re.match(r"[\w.]", text[start + len(name) : start + len(name) + 1]) and not (
            start and re.match(r"[\w.]", text[start - 1])
        ):
            return text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
        start = text.find(name, start + 1)
    return None
