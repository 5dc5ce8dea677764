"""What is written of a message can go out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.rules.base import Rule

_NEEDED = ("sms", "chat", "script", "mms_text", "mms_image", "wap_push_text", "wap_push_href")
"""Blocks that may be left out, but not empty."""

_EMPTY = re.compile(
    rf"\{{%-?\s*block ({'|'.join(_NEEDED)})\b[^%]*%\}}()(?:\s|\{{#.*?#\}})*\{{%-?\s*endblock",
    re.DOTALL,
)
_BUTTONS = re.compile(r"\{%-?\s*block chat_buttons\b[^%]*%\}(.*?)\{%-?\s*endblock", re.DOTALL)
_BUTTON = re.compile(r"[^|\n]+")


class EmptyBlock(Rule):
    """the block {name!r} says nothing

    Nothing goes out without words, so that whoever is reached this way gets the next channel in
    `via`, or nothing. A block that is left out says that the message has no such channel.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for path, text in _readable(draft):
            for found in _EMPTY.finditer(text):
                hint = "write its words, or take the block out"
                yield self.at(_mark(path, text, found.start(2)), hint, name=found[1])


class BadButton(Rule):
    """the button {said!r} lacks its {what}

    A button is `label=reply`, with `|` between several: pressing it says the reply.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for path, text in _readable(draft):
            for block in _BUTTONS.finditer(text) if "chat_buttons" in text else ():
                for found in _BUTTON.finditer(text, *block.span(1)):
                    said = found[0].strip()
                    label, equals, reply = (part.strip() for part in said.partition("="))
                    if said and "{" not in said and (not label or (equals and not reply)):
                        index = found.end() - len(found[0].lstrip())
                        what = "reply" if label else "label"
                        hint = "write label=reply | label=reply"
                        yield self.at(_mark(path, text, index), hint, said=said, what=what)


def _readable(draft: Draft) -> Iterator[tuple[str, str]]:
    for name, paths in draft.template_files.items():
        for path in paths.values() if name not in draft.broken else ():
            yield path, draft.files[path]


def _mark(path: str, text: str, index: int) -> Mark:
    return Mark(path, text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index))
