"""Marketing says who sends it, and how to stop it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.rules.base import Rule

MARKETING = "marketing"
"""The purpose whose messages must say how to stop them."""

_BLOCK = re.compile(r"\{%-?\s*block (\w+)\b.*?%\}(.*?)\{%-?\s*endblock", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_REFUSAL = re.compile(
    r"退订|退訂|(?<![A-Za-z])(?:TD|STOP)(?![A-Za-z])|opt[ -]out|unsubscribe", re.IGNORECASE
)
"""Chinese is written without spaces: `回复TD取消`."""
_SAID = {
    "sms": ("sms",),
    "mms_text": ("mms_subject", "mms_text"),
    "wap_push_text": ("wap_push_text",),
    "chat": ("chat", "chat_buttons"),
}
"""The block in which an author looks for a channel's words, and all that are read together."""
_NAMELESS = ("chat",)
"""A chat shows whose it is."""


class Text(Struct, frozen=True):
    """What a marketing message says on one channel."""

    block: str
    words: str
    mark: Mark


class NoRefusal(Rule):
    """this marketing text does not say how to stop it

    The law of most countries asks for it, and a reply of STOP costs less than a complaint. In a
    chat a button will do: `Stop=/stop`.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for text in _marketing(draft):
            if not _REFUSAL.search(text.words):
                hint = "add, for example, `Reply STOP to opt out`"
                if text.block == "chat":
                    hint = "add a button: {% block chat_buttons %}Stop=/stop{% endblock %}"
                yield self.at(text.mark, hint)


class NoSender(Rule):
    """this marketing text does not say who sends it

    It must say one of the `senders` of journeys/program/contact.yaml, if there are any.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        senders = draft.contact.senders if draft.contact else ()
        for text in _marketing(draft) if senders else ():
            if text.block not in _NAMELESS and not any(it in text.words for it in senders):
                yield self.at(text.mark, f"write who you are: {' or '.join(senders)}")


def _marketing(draft: Draft) -> Iterator[Text]:
    """Each channel's words in each file of a message that is sent for marketing."""
    classes = draft.contact.classes if draft.contact else {}
    names: set[str] = set()
    for form in draft.journeys.values():
        rules = classes.get(form.class_)
        if rules and rules.purpose == MARKETING:
            for struct in draft.within(form):
                names.add(getattr(struct, "send", None) or getattr(struct, "ask", None) or "")
    for name in sorted(names):
        for path in draft.template_files.get(name, {}).values():
            yield from _texts(path, draft.files[path])


def _texts(path: str, text: str) -> Iterator[Text]:
    blocks = {found[1]: found for found in _BLOCK.finditer(text)}
    for block, parts in _SAID.items():
        if block in blocks:
            start = blocks[block].start(2)
            line = text.count("\n", 0, start) + 1
            said = " ".join(blocks[part][2] for part in parts if part in blocks)
            words = _COMMENT.sub("", said)
            if words.strip():
                yield Text(block, words, Mark(path, line, start - text.rfind("\n", 0, start)))
