"""What is written of a message can go out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding, Mark
from orchestrator.project.rules.base import Rule

_BLOCK = re.compile(r"\{%-?\s*block (?P<name>\w+)\b.*?%\}(?P<says>.*?)\{%-?\s*endblock", re.DOTALL)
_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_BUTTON = re.compile(r"[^|\n]+")

_NEEDED = ("sms", "chat", "script", "mms_text", "mms_image", "wap_push_text", "wap_push_href")
"""Blocks that may be left out, but not empty."""


class Written(Struct, frozen=True):
    """A block, what it says without comments, and where that begins in the file."""

    name: str
    says: str
    path: str
    index: int


class EmptyBlock(Rule):
    """the block {name!r} says nothing

    Nothing goes out without words, so that whoever is reached this way gets the next channel in
    `via`, or nothing. A block that is left out says that the message has no such channel.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for block in _blocks(draft):
            if block.name in _NEEDED and not block.says.strip():
                hint = "write its words, or take the block out"
                yield self.at(_mark(draft, block, 0), hint, name=block.name)


class BadButton(Rule):
    """the button {said!r} lacks its {what}

    A button is `label=reply`, with `|` between several: pressing it says the reply.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for block in _blocks(draft):
            for found in _BUTTON.finditer(block.says) if block.name == "chat_buttons" else ():
                said = found[0].strip()
                label, equals, reply = (part.strip() for part in said.partition("="))
                if said and "{" not in said and (not label or (equals and not reply)):
                    index = found.start() + len(found[0]) - len(found[0].lstrip())
                    what = "reply" if label else "label"
                    hint = "write label=reply | label=reply"
                    yield self.at(_mark(draft, block, index), hint, said=said, what=what)


def _blocks(draft: Draft) -> Iterator[Written]:
    for name, paths in draft.template_files.items():
        for path in paths.values() if name not in draft.broken else ():
            for found in _BLOCK.finditer(draft.files[path]):
                says = _COMMENT.sub(lambda it: " " * len(it[0]), found["says"])
                yield Written(found["name"], says, path, found.start("says"))


def _mark(draft: Draft, block: Written, index: int) -> Mark:
    text, at = draft.files[block.path], block.index + index
    return Mark(block.path, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
