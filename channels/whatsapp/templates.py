"""Approved templates: the one that has a message's words, and what fills its gaps."""

from __future__ import annotations

import re
from collections.abc import Sequence

from channels.whatsapp.settings import GAP, Approved
from channels.whatsapp.words import MAX_BODY, Asked, words, written_out
from orchestrator.core.model import Content

_SPACES = re.compile(r"\s+")


def templated(
    content: Content, templates: Sequence[Approved], picture: Asked | None
) -> Asked | None:
    """The message as the first of `templates` that can say it, or None. What fills a gap has no
    line breaks (Cloud API, "Message templates"). `picture` stands above the words if the template
    has one there, and is left out if not."""
    labels = tuple(it.label for it in content.buttons)
    for it in templates:
        if it.buttons and it.buttons != labels:
            continue
        if it.image and picture is None:
            continue
        text = _flat(words(content) if it.buttons else written_out(content))
        filled = gaps_of(it.body, text)
        if filled is not None and text and len(text) <= MAX_BODY:
            return _asked(it, filled, picture, [button.reply for button in content.buttons])
    return None


def gaps_of(body: str, text: str) -> dict[str, str] | None:
    """What `text` has where `body` has `{{1}}`, `{{name}}` …, or None if it says something else.
    Spaces and line breaks are the same. Takes linear time, whatever the text."""
    pieces = GAP.split(_flat(body))
    literals, names = pieces[::2], pieces[1::2]
    if not names:
        return {} if literals[0] == text else None
    last = literals[-1]
    if not (text.startswith(literals[0]) and text.endswith(last)):
        return None
    filled: dict[str, str] = {}
    at, end = len(literals[0]), len(text) - len(last)
    for name, literal in zip(names, [*literals[1:-1], None], strict=True):
        until = end if literal is None else text.find(literal, at + 1, end)
        if until <= at:
            return None
        said = text[at:until].strip()
        if not said or filled.setdefault(name, said) != said:
            return None
        at = until + len(literal or "")
    return filled


def _flat(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _by_number(gap: tuple[str, str]) -> int:
    """Gaps with names stay in their order."""
    return int(gap[0]) if gap[0].isdigit() else 0


def _asked(
    it: Approved, filled: dict[str, str], picture: Asked | None, replies: list[str]
) -> Asked:
    components: list[Asked] = []
    if it.image:
        shown = {"type": "image", "image": picture}
        components.append({"type": "header", "parameters": [shown]})
    if filled:
        parameters = [
            {"type": "text", **({} if name.isdigit() else {"parameter_name": name}), "text": said}
            for name, said in sorted(filled.items(), key=_by_number)
        ]
        components.append({"type": "body", "parameters": parameters})
    for index, reply in enumerate(replies if it.buttons else []):
        pressed = {"index": str(index), "parameters": [{"type": "payload", "payload": reply}]}
        components.append({"type": "button", "sub_type": "quick_reply", **pressed})
    language = {"code": it.language}
    template = {"name": it.name, "language": language, "components": components}
    return {"type": "template", "template": template}
