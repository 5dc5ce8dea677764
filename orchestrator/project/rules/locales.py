"""What is said in one language is said in all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.base import Step, TemplateName
from orchestrator.core.steps.send import Send
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.rules.base import Rule


class MissingLocale(Rule):
    """{name!r} is not written in {locale!r}

    Who speaks it gets the project's own locale instead. Messages are expected in all `locales` of
    program/project.yaml; without such a list, in those in which most others are written.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        declared = draft.settings.locales if draft.settings else ()
        of_journeys = {name for name, _ in draft.references(TemplateName)}
        of_bot = {name for name in draft.template_files if name.startswith("bot/")}
        for group in (of_journeys - of_bot, of_bot):
            names = sorted(group & draft.template_files.keys())
            for locale in declared or _usual(draft, names):
                for name in names:
                    files = draft.template_files[name]
                    if not _speaks(files, locale):
                        own = draft.settings.locale if draft.settings else ""
                        path = files.get(own) or next(iter(files.values()))
                        hint = f"write templates/{name}.{locale}.j2"
                        yield self.at(Mark(path), hint, name=name, locale=locale)


def _usual(draft: Draft, names: list[str]) -> list[str]:
    """The locales in which most of these messages are written."""
    counts = Counter(locale for name in names for locale in draft.template_files[name] if locale)
    return sorted(locale for locale, count in counts.items() if 2 * count > len(names))


def _speaks(files: dict[str, str], locale: str) -> bool:
    parts = locale.split("-")
    wanted = {"-".join(parts[:end]) for end in range(1, len(parts) + 1)}
    return "" in files or bool(wanted & files.keys())


class MissingBlock(Rule):
    """{name!r} says something on {word!r} in other languages, and nothing in {locale!r}

    Without `via` a message goes on every channel that it has words for, so whoever speaks this one
    is reached on fewer.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        sent: list[tuple[str, Step]] = [
            *((it.send, it) for _, it in draft.each(Send) if not it.via),
            *((it.ask, it) for _, it in draft.each(Ask) if not it.via),
        ]
        for name, step in sent:
            message = draft.messages.get(name)
            if message is None:
                continue
            files = draft.template_files[name]
            words = {locale: message.channels(locale) for locale in files}
            for word in dict.fromkeys(word for some in words.values() for word in some):
                for locale, path in sorted(files.items()):
                    if word not in words[locale]:
                        block = BLOCKS.get(word, word)
                        hint = f"add {{% block {block} %}}…{{% endblock %}} to {path}"
                        mark = draft.places.mark(step, step.word())
                        yield self.at(mark, hint, name=name, word=word, locale=locale)


BLOCKS = {"mms": "mms_text", "wap_push": "wap_push_text", "desk": "script"}
"""The first block of each channel that is not named as its block is."""
