"""A message as the Cloud API takes it (Cloud API, "Messages")."""

from __future__ import annotations

import re
from typing import Any

from orchestrator.core.model import Button, Content

MAX_TEXT = 4096
_MAX_BODY = 1024
"""Characters of a text, and of one with buttons or below a picture."""
_FEW, _MANY = 3, 10
_MAX_TITLE, _MAX_ROW_TITLE = 20, 24
_MAX_ID = 200

_SPACES = re.compile(r"\s+")


def said(content: Content, menu: str) -> dict[str, Any]:
    """The `type` and its object. Up to three buttons are buttons, up to ten a list behind the
    button `menu`; what does not fit is written out below the text, so that it can be typed."""
    lines = [content.subject, content.text, content.href]
    text = "\n".join(line for line in lines if line).replace("\0", "")
    buttons = content.buttons
    title = _MAX_TITLE if len(buttons) <= _FEW else _MAX_ROW_TITLE
    fits = len(text) <= _MAX_BODY and len(buttons) <= _MANY
    if buttons and text and fits and all(_fits(it, title) for it in buttons):
        return _interactive(text, buttons, menu)
    text = "\n".join([text, *(f"{it.label}: {it.reply}" for it in buttons)]).strip("\n")
    if content.image.startswith(("https://", "http://")) and len(text) <= _MAX_BODY:
        image = {"link": content.image, **({"caption": text} if text else {})}
        return {"type": "image", "image": image}
    return {"type": "text", "text": {"body": text, "preview_url": False}}


def templated(asked: dict[str, Any], name: str, language: str) -> dict[str, Any] | None:
    """The same words as the one parameter of a template, or None if they are too long for one. A
    parameter has no line breaks."""
    text = asked["text"]["body"] if asked["type"] == "text" else _body(asked)
    flat = _SPACES.sub(" ", text).strip()
    if not flat or len(flat) > _MAX_BODY:
        return None
    parameter = {"type": "text", "text": flat}
    return {
        "type": "template",
        "template": {
            "name": name,
            "language": {"code": language},
            "components": [{"type": "body", "parameters": [parameter]}],
        },
    }


def text_of(asked: dict[str, Any]) -> str:
    """The words of it."""
    return str(asked["text"]["body"] if asked["type"] == "text" else _body(asked))


def _body(asked: dict[str, Any]) -> str:
    if asked["type"] == "image":
        return str(asked["image"].get("caption", asked["image"]["link"]))
    return str(asked["interactive"]["body"]["text"])


def _fits(button: Button, longest: int) -> bool:
    return len(button.label) <= longest and len(button.reply) <= _MAX_ID


def _interactive(text: str, buttons: tuple[Button, ...], menu: str) -> dict[str, Any]:
    action: dict[str, Any]
    if len(buttons) <= _FEW:
        kind = "button"
        action = {
            "buttons": [
                {"type": "reply", "reply": {"id": it.reply, "title": it.label}} for it in buttons
            ]
        }
    else:
        kind = "list"
        rows = [{"id": it.reply, "title": it.label} for it in buttons]
        action = {"button": menu, "sections": [{"rows": rows}]}
    body = {"type": kind, "body": {"text": text}, "action": action}
    return {"type": "interactive", "interactive": body}
