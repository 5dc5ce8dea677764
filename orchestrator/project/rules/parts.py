"""Short messages are short."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal

from orchestrator.core import cost, short_message
from orchestrator.core.errors import RenderError
from orchestrator.core.links import rendered
from orchestrator.core.model import Content
from orchestrator.core.render import MessageTemplate
from orchestrator.core.steps.base import TemplateName
from orchestrator.project.draft import Draft
from orchestrator.project.examples import examples, uses
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.forms import Warn
from orchestrator.project.rules.base import Rule

_SMS = re.compile(r"\{%-?\s*block sms\b.*?%\}(.*?)\{%-?\s*endblock", re.DOTALL)
_SAYS = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_ASKS = re.compile(r"\{%.*?%\}", re.DOTALL)
_AGAIN = re.compile(r"\{%[-+]?\s*(?:for|set)\b")
_VALUE = 32
"""Characters that a value takes at most, in our examples."""
_WIDE_PART, _NARROW_PART = 66, 152
"""What a part holds at least: an emoji, or what comes after an escape, is not torn in two."""


class SmsParts(Rule):
    """in {locale!r} this SMS takes {parts} parts{cost}

    Each part costs like a message. Counted is what somebody with a long name and large numbers
    gets. `warn: {sms_parts: 4}` in program/project.yaml allows one part more than the 3 that go
    without saying; what a part costs stands under `prices` there.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        settings = draft.settings
        most = settings.warn.sms_parts if settings else Warn().sms_parts
        for name in dict.fromkeys(name for name, _ in draft.references(TemplateName)):
            message = draft.messages.get(name)
            for locale, path in draft.template_files.get(name, {}).items() if message else ():
                block = _SMS.search(draft.files[path])
                text, own = draft.files[path], settings.locale if settings else ""
                spoken = locale or own
                if message is None or block is None or not _may_take(block[1], spoken, most):
                    continue
                content = _longest(draft, message, text, spoken)
                parts = cost.parts("sms", content) if content else 0
                if content and parts > most:
                    line = text.count("\n", 0, block.start(1)) + 1
                    column = block.start(1) - text.rfind("\n", 0, block.start(1))
                    yield self.at(
                        Mark(path, line, column),
                        _hint(content, parts, most),
                        locale=locale or "every locale",
                        parts=parts,
                        cost=_cost(draft, content),
                    )


def _may_take(block: str, locale: str, most: int) -> bool:
    """Whether it could take more parts: whatever is surely short is not worth rendering."""
    if _AGAIN.search(block):
        return True
    block = _ASKS.sub("", block)
    try:
        coding, written = short_message.encode(_SAYS.sub("", block))
    except short_message.TextError:
        return True
    narrow = coding == short_message.GSM7 and block.isascii() and not locale.startswith("zh")
    units = len(written) if coding == short_message.GSM7 else len(written) // 2
    longest = units + sum(map(_longest_said, _SAYS.findall(block)))
    return longest > most * (_NARROW_PART if narrow else _WIDE_PART)


def _longest_said(value: str) -> int:
    """So many characters are surely enough for it."""
    texts = len(value) if "'" in value or '"' in value else 0
    return max(_VALUE * (1 + value.count("~")), texts)


def _cost(draft: Draft, content: Content) -> str:
    prices = draft.settings.prices if draft.settings else None
    total = prices.of("sms", content) if prices else Decimal(0)
    if not prices or not total:
        return ""
    return f", {total:f} {prices.currency}".rstrip() + " each"


def _hint(content: Content, parts: int, most: int) -> str:
    wide = [letter for letter in dict.fromkeys(content.text) if not _narrow(letter)]
    if wide and len(wide) <= 3 and len(content.text) <= most * _NARROW_PART:
        said = ", ".join(map(repr, wide))
        return f"{said} makes all of it twice as long: take it out"
    return f"shorten it to {most} parts, or put the long form behind a link"


def _narrow(letter: str) -> bool:
    """Whether it is of the GSM alphabet."""
    content = Content(text=letter * 71)
    return cost.parts("sms", content) == 1


def _longest(draft: Draft, message: MessageTemplate, text: str, locale: str) -> Content | None:
    """What the subscriber gets, of our examples, whose SMS takes the most parts; None if none of
    them gets any."""
    said: list[Content] = []
    for example in examples(draft, uses([text]), locale):
        with suppress(RenderError):
            said.append(rendered(message, "sms", locale, example.scope({})))
    return max(said, key=lambda it: cost.parts("sms", it), default=None)
