"""Messages that remember what they said: who gives the same values gets the same words, rendered
once. For simulations, in which thousands are told the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from orchestrator.core.links import Links
from orchestrator.core.model import Content
from orchestrator.core.project import Project
from orchestrator.core.render import MessageTemplate

MOST = 4_096
"""Wordings remembered of one message."""


class Remembering(MessageTemplate):
    """A message that renders what it has not rendered before. What it says depends on nothing but
    the values of the names that stand in it."""

    def __init__(self, message: MessageTemplate) -> None:
        self.name = message.name
        self.locales = message.locales
        self.of_use = message.of_use
        self._message = message
        self._paths = [name.split(".") for name in sorted(message.names()) if name != "link"]
        self._said: dict[Any, tuple[Content, tuple[str, ...]]] = {}

    def channels(self, locale: str) -> tuple[str, ...]:
        return self._message.channels(locale)

    def names(self) -> frozenset[str]:
        return self._message.names()

    def ready(self) -> None:
        self._message.ready()

    def render(self, word: str, locale: str, variables: Mapping[str, Any]) -> Content:
        key = [word, locale]
        for path in self._paths:
            value: Any = variables
            for part in path:
                if type(value) is not dict:
                    value = None if value is None else []  # said anew each time
                    break
                value = value.get(part)
            if type(value) is not str:
                value = (type(value), value)  # 1, 1.0 and true are equal, but not said alike
            key.append(value)
        known = tuple(key)
        try:
            said = self._said.get(known)
        except TypeError:  # a list or an object cannot be looked up
            return self._message.render(word, locale, variables)
        links = variables.get("link")
        if said is None:
            content = self._message.render(word, locale, variables)
            if len(self._said) >= MOST:
                self._said.clear()
            targets = tuple(links.targets) if isinstance(links, Links) else ()
            self._said[known] = (content, targets)
            return content
        content, targets = said
        if targets and isinstance(links, Links):
            links.targets.extend(targets)
        return content


def remembering(project: Project) -> Project:
    """The project, whose messages remember what they said."""
    return replace(
        project, messages={name: Remembering(it) for name, it in project.messages.items()}
    )
