"""A message as the Cloud API takes it (Cloud API, "Messages")."""

from __future__ import annotations

from typing import Any

from orchestrator.core.model import Button, Content

MAX_TEXT = 4096
MAX_BODY = 1024
"""Characters of a text, and of one with buttons or below a picture."""
_FEW, _MANY = 3, 10
_MAX_TITLE, _MAX_ROW_TITLE = 20, 24
_MAX_ID = 200

Asked = dict[str, Any]
"""The `type` of a message and its object."""


def said(content: Content, menu: str, picture: Asked | None = None) -> list[Asked]:
    """The message, with `picture` (`{"id": …}` or `{"link": …}`) above its words if they fit
    below; else two, the picture alone first. Up to three buttons are buttons, up to ten a list
    behind the button `menu`; what does not fit is written out below the text, to be typed."""
    text, buttons = words(content), content.buttons
    title = _MAX_TITLE if len(buttons) <= _FEW else _MAX_ROW_TITLE
    fits = len(text) <= MAX_BODY and len(buttons) <= _MANY
    if buttons and text and fits and all(_fits(it, title) for it in buttons):
        if picture is not None and len(buttons) > _FEW:  # a list has no picture above it
            return [_image(picture, ""), _interactive(text, buttons, menu, None)]
        return [_interactive(text, buttons, menu, picture)]
    text = written_out(content)
    if picture is None:
        return [{"type": "text", "text": {"body": text, "preview_url": False}}]
    if len(text) <= MAX_BODY:
        return [_image(picture, text)]
    return [_image(picture, ""), *said(content, menu)]


def words(content: Content) -> str:
    """What it says, without its buttons."""
    lines = [content.subject, content.text, content.href]
    return "\n".join(line for line in lines if line).replace("\0", "")


def written_out(content: Content) -> str:
    """What it says, with its buttons as lines."""
    buttons = [f"{it.label}: {it.reply}" for it in content.buttons]
    return "\n".join([words(content), *buttons]).strip("\n")


def _fits(button: Button, longest: int) -> bool:
    return len(button.label) <= longest and len(button.reply) <= _MAX_ID


def _image(picture: Asked, caption: str) -> Asked:
    return {"type": "image", "image": {**picture, **({"caption": caption} if caption else {})}}


def _interactive(text: str, buttons: tuple[Button, ...], menu: str, picture: Asked | None) -> Asked:
    action: Asked
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
    head = {"header": {"type": "image", "image": picture}} if picture is not None else {}
    body = {"type": kind, **head, "body": {"text": text}, "action": action}
    return {"type": "interactive", "interactive": body}
