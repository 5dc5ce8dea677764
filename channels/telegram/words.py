"""A message as Telegram takes it: plain words, buttons below them, perhaps a picture above."""

from __future__ import annotations

from msgspec import Struct
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from orchestrator.core.model import Button, Content

MAX_TEXT = 4096
MAX_CAPTION = 1024
"""UTF-16 code units of a message and of a picture's words (Bot API, sendMessage, sendPhoto)."""

MAX_BUTTONS = 100
MAX_REPLY_OCTETS = 64
"""Of a button's callback_data (Bot API, InlineKeyboardButton)."""

_ROW_WIDTH = 24


class Said(Struct, frozen=True):
    """`photo` is the address of a picture that Telegram fetches itself, or ''."""

    text: str
    photo: str
    keyboard: InlineKeyboardMarkup | None

    @property
    def everything(self) -> str:
        """All the characters in it."""
        rows = self.keyboard.inline_keyboard if self.keyboard is not None else ()
        pressed = (f"{it.text}{it.callback_data}" for row in rows for it in row)
        return "".join((self.text, self.photo, *pressed))


def said(content: Content) -> Said:
    """The words of `content`. What a button cannot hold is written out below the text, so that a
    person can type it."""
    fits = [it for it in content.buttons if _fits(it)][:MAX_BUTTONS]
    written = [f"{it.label}: {it.reply}" for it in content.buttons if it not in fits]
    lines = [content.subject, content.text, content.href, *written]
    text = "\n".join(line for line in lines if line).replace("\0", "")
    # Pictures of the project itself need an address of ours that Telegram can fetch.
    photo = content.image if content.image.startswith(("https://", "http://")) else ""
    return Said(text, photo, InlineKeyboardMarkup(_rows(fits)) if fits else None)


def units(text: str) -> int:
    """Its length as Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _fits(button: Button) -> bool:
    return len(button.reply.encode("utf-8", "surrogatepass")) <= MAX_REPLY_OCTETS


def _rows(buttons: list[Button]) -> list[list[InlineKeyboardButton]]:
    """Short buttons side by side, as far as a telephone's screen goes."""
    rows: list[list[InlineKeyboardButton]] = []
    width = _ROW_WIDTH + 1
    for it in buttons:
        own = sum(1 if character.isascii() else 2 for character in it.label) + 4
        if width + own > _ROW_WIDTH:
            rows.append([])
            width = 0
        rows[-1].append(InlineKeyboardButton(it.label, callback_data=it.reply))
        width += own
    return rows
