"""A message's words as Telegram takes them: plain, with buttons below."""

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
    text: str
    keyboard: InlineKeyboardMarkup | None

    @property
    def everything(self) -> str:
        """All the characters in it."""
        rows = self.keyboard.inline_keyboard if self.keyboard is not None else ()
        pressed = (f"{it.text}{it.callback_data}" for row in rows for it in row)
        return "".join((self.text, *pressed))


def said(content: Content) -> Said:
    """The words of `content`. What a button cannot hold is written out below the text, so that a
    person can type it."""
    fits = [it for it in content.buttons if _fits(it)][:MAX_BUTTONS]
    written = [f"{it.label}: {it.reply}" for it in content.buttons if it not in fits]
    lines = [content.subject, content.text, content.href, *written]
    text = "\n".join(line for line in lines if line).replace("\0", "")
    return Said(text, InlineKeyboardMarkup(_rows(fits)) if fits else None)


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
