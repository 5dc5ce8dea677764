"""Channels that journeys go by and that nothing sends: what is queued on one waits for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from orchestrator.core.model import CHANNEL_WORDS, CHAT_CHANNELS
from orchestrator.core.project import Project
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.base import Step
from orchestrator.core.steps.send import Send

_SIMULATED = frozenset({"sms", "mms", "wap_push"})
"""See `simulated.write_channels`."""


def unserved(project: Project, there: Collection[str]) -> dict[str, Sequence[str]]:
    """The journeys by each channel word that they name in `via`, or without `via` have a wording
    for, and that none of the channels `there` serves."""
    found: dict[str, set[str]] = {}
    for name, journey in project.journeys.items():
        for placed in journey.steps.values():
            for word in _words(project, placed.step):
                served = CHAT_CHANNELS if word == "chat" else (word,)
                if word in CHANNEL_WORDS and not any(it in there for it in served):
                    found.setdefault(word, set()).add(name)
    return {word: sorted(names) for word, names in sorted(found.items())}


def known_to_all(there: Collection[str]) -> frozenset[str]:
    """The channels that are there for whoever looks from outside: `outreach up` plays a carrier
    where none of SMS is configured, and only its own processes know of it."""
    return frozenset(there) | (frozenset() if "sms" in there else _SIMULATED)


def told(missing: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """What is missing, line by line."""
    for word, names in missing.items():
        yield f"{word}: journeys name it ({', '.join(names)}), and nothing sends it"


def _words(project: Project, step: Step) -> Iterator[str]:
    if not isinstance(step, Send | Ask):
        return
    template = project.messages.get(step.send if isinstance(step, Send) else step.ask)
    if step.via or template is None:
        yield from step.via
        return
    for locale in template.locales:
        yield from template.channels(locale)
