"""Whatever is named exists, once, under a name that can be a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from unicodedata import combining, normalize
from zoneinfo import available_timezones

from orchestrator.core import calendar
from orchestrator.core.journey import SegmentName
from orchestrator.core.model import CHANNEL_WORDS, word_of
from orchestrator.core.steps.base import JourneyName, Step, TemplateName, ViaWord
from orchestrator.core.steps.hand_over import HandOver
from orchestrator.core.steps.split import Split
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark, did_you_mean
from orchestrator.project.forms import LOCALE, ClassName
from orchestrator.project.rules import lists
from orchestrator.project.rules.base import Rule

_MESSAGES = ("send", "ask", "hand_over")
"""The keys of steps that name a message."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class UnknownTemplate(Rule):
    """there is no message {name!r}

    `send`, `ask` and `hand_over` name a file below templates/ without its locale and `.j2`.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for name, mark in draft.references(TemplateName):
            if name not in draft.messages and name not in draft.broken:
                locale = draft.settings.locale if draft.settings else "en"
                hint = did_you_mean(name, draft.messages, f"write templates/{name}.{locale}.j2")
                yield self.at(mark, hint, name=name)


class UnknownChannel(Rule):
    """there is no channel {word!r}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for word, mark in draft.references(ViaWord):
            if word not in CHANNEL_WORDS:
                yield self.at(mark, did_you_mean(word, CHANNEL_WORDS), word=word)


class UnknownJourney(Rule):
    """there is no journey {name!r}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        known = {form.journey for form in draft.journeys.values()}
        for name, mark in draft.references(JourneyName):
            if name not in known and not draft.broken_journeys:
                yield self.at(mark, did_you_mean(name, known), name=name)


class UnknownClass(Rule):
    """there is no contact class {name!r}

    Contact classes stand in journeys/program/contact.yaml.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        known = draft.contact.classes if draft.contact else {}
        for name, mark in draft.references(ClassName) if draft.contact else ():
            if name not in known:
                yield self.at(mark, did_you_mean(name, known), name=name)


class UnknownSegment(Rule):
    """there is no segment {name!r}

    Segments stand in journeys/program/segments.yaml.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        known = draft.segments.segments if draft.segments else {}
        for name, mark in draft.references(SegmentName) if draft.segments else ():
            if name not in known:
                hint = did_you_mean(name, known, "write it in program/segments.yaml")
                yield self.at(mark, hint, name=name)


class MissingWording(Rule):
    """the message {name!r} has nothing to say on {word!r} in {locale!r}

    Every channel in `via` needs its block in every locale of the message.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in draft.within(form):
                name = next((n for w in _MESSAGES if (n := getattr(step, w, None))), None)
                message = draft.messages.get(name or "")
                if not isinstance(step, Step) or message is None or name is None:
                    continue
                via = (step.to,) if isinstance(step, HandOver) else getattr(step, "via", ())
                for number, word in enumerate(via):
                    block = word_of(word)
                    for locale, path in sorted(draft.template_files[name].items()):
                        if word in CHANNEL_WORDS and block not in message.channels(locale):
                            named = "script" if block == "desk" else block
                            hint = f"add {{% block {named} %}}…{{% endblock %}} to {path}"
                            at = ("to",) if isinstance(step, HandOver) else ("via", number)
                            mark = draft.places.mark(step, *at)
                            yield self.at(mark, hint, name=name, word=word, locale=locale)


class BadName(Rule):
    """{name!r} cannot be a name

    Journeys, steps, ways, contact classes, lists, segments, areas and rewards are named in small
    letters, digits and hyphens. Steps of a journey's first level need an `id`, which keeps people
    in their place when the journey is edited.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for name, mark in self._names(draft):
            if not _NAME.fullmatch(name) or len(name) > 64:
                meant = "-".join(re.findall("[a-z0-9]+", _plain(name)))[:64].strip("-")
                hint = f"write small letters, digits and hyphens: {meant or 'first-app'}"
                yield self.at(mark, hint, name=name)

    def _names(self, draft: Draft) -> Iterator[tuple[str, Mark]]:
        mark = draft.places.mark
        for form in draft.journeys.values():
            yield form.journey, mark(form, "journey")
            for struct in draft.within(form):
                if isinstance(struct, Step) and struct.id:
                    yield struct.id, mark(struct, "id")
                if isinstance(struct, Split):
                    for way in struct.split.ways:
                        yield way.name, mark(way, "name")
        for reward in draft.rewards or ():
            yield reward.id, mark(reward, "id")
        yield from lists.names(draft)
        for name, rules in draft.contact.classes.items() if draft.contact else ():
            yield name, mark(rules)
        for name, area in draft.map.areas.items() if draft.map else ():
            yield name, mark(area)
        for name in draft.segments.segments if draft.segments else ():
            yield name, mark(draft.segments, "segments", name)


def _plain(name: str) -> str:
    """The name in small letters without accents: `Grüße` is `grusse`."""
    letters = normalize("NFKD", name.casefold())
    return "".join(it for it in letters if not combining(it))


class MissingId(Rule):
    """this step has no `id`

    Steps of a journey's first level need one: it keeps people in their place when the journey is
    edited, and reports name it.
    """

    def check(self, draft: Draft) -> Iterator[Finding]:
        for form in draft.journeys.values():
            for step in form.steps:
                if not step.id:
                    hint = f"give it one: `id: {step.word().replace('_', '-')}-something`"
                    yield self.at(draft.places.mark(step), hint)


class NameTwice(Rule):
    """{name!r} is already the name of another {what}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        mark = draft.places.mark
        forms = draft.journeys.values()
        yield from self._twice("journey", ((f.journey, mark(f, "journey")) for f in forms))
        for form in forms:
            steps = [s for s in draft.within(form) if isinstance(s, Step)]
            yield from self._twice("step", ((s.id, mark(s, "id")) for s in steps if s.id))
            for step in steps:
                if isinstance(step, Split):
                    ways = step.split.ways
                    yield from self._twice("way", ((w.name, mark(w, "name")) for w in ways))
        rewards = draft.rewards or ()
        yield from self._twice("reward", ((r.id, mark(r, "id")) for r in rewards))
        tiers = draft.points.tiers if draft.points else ()
        yield from self._twice("tier", ((t.name, mark(t, "name")) for t in tiers))

    def _twice(self, what: str, names: Iterable[tuple[str, Mark]]) -> Iterator[Finding]:
        first: dict[str, Mark] = {}
        for name, mark in names:
            if name in first:
                hint = f"the first is at {first[name].file}:{first[name].line}"
                yield self.at(mark, hint, name=name, what=what)
            first.setdefault(name, mark)


class RewardName(Rule):
    """the reward {name!r} has no name in {locale!r}, the project's locale"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for reward in draft.rewards or ():
            settings = draft.settings
            if settings and settings.locale not in reward.names:
                mark = draft.places.mark(reward, "names")
                hint = f"add `{settings.locale}: …`"
                yield self.at(mark, hint, name=reward.id, locale=settings.locale)


class UnknownZone(Rule):
    """there is no time zone {name!r}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        settings = draft.settings
        if settings and calendar.zone(settings.timezone) is None:
            mark = draft.places.mark(settings, "timezone")
            yield self.at(mark, _zone_like(settings.timezone), name=settings.timezone)
        for pack in draft.holidays.holidays.values() if draft.holidays else ():
            for number, name in enumerate(pack.zones):
                if calendar.zone(name) is None:
                    mark = draft.places.mark(pack, "zones", number)
                    yield self.at(mark, _zone_like(name), name=name)


def _zone_like(name: str) -> str:
    return did_you_mean(name, available_timezones(), "write one like Asia/Shanghai")


class UnknownLocale(Rule):
    """{name!r} is not a locale"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        settings = draft.settings
        if settings and not settings.has_locale:
            mark = draft.places.mark(settings, "locale")
            yield self.at(mark, "write one like zh, en or pt-BR", name=settings.locale)
        for number, name in enumerate(settings.locales if settings else ()):
            if not LOCALE.fullmatch(name):
                mark = draft.places.mark(settings, "locales", number)
                yield self.at(mark, "write one like zh, en or pt-BR", name=name)
