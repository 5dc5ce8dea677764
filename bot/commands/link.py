"""LINK: this chat and that phone are the same person."""

from __future__ import annotations

from typing import ClassVar

from bot.command import Command, Said, argument
from bot.desk import MOST_UNSURE, Desk
from orchestrator.core.codes import LENGTH
from orchestrator.core.effects import Invite
from orchestrator.core.invitations import (
    SHORT_LIFE,
    hash_invitation,
    read_invitation,
    short_code,
)

_ANSWERS = {"done": "linked", "taken": "link-taken", "often": "link-often"}


class Link(Command, frozen=True):
    """`link` gives a code; `link 7Q2M-0RXA`, said on another channel, joins that address to whoever
    was given it. A link that opens the chat says `/start` and a long one. By the time it is
    answered, it has been tried: `reply.joined` says with what success."""

    code: str = ""

    WORDS: ClassVar[tuple[str, ...]] = (
        *("link", "connect", "bind", "bd"),
        *("绑定", "綁定", "关联", "關聯"),
    )

    @classmethod
    def parse(cls, said: Said) -> Command | None:
        started = start_code(said)
        if started is not None:
            return cls(started)
        rest = argument(said, cls.WORDS)
        if rest is None:
            return None
        code = read_invitation(rest)
        return cls(code or rest) if code or not rest or _like_code(rest) else None

    def answer(self, desk: Desk) -> None:
        if self.code:
            template = _ANSWERS.get(desk.reply.joined, "link-wrong")
            return desk.say(template) if template == "linked" else desk.say_unsure(template)
        if len(desk.unsure()) >= MOST_UNSURE:
            return None
        code = short_code(desk.scene.chance, desk.reply.source_id)
        hashed = hash_invitation(code, desk.scene.secret)
        desk.stage.effects.append(Invite(hashed, desk.now + SHORT_LIFE))
        return desk.say_unsure("link-code", code=code, minutes=SHORT_LIFE.seconds // 60)


def start_code(said: Said) -> str | None:
    """The long code with which a link opened the chat."""
    if not said.slash or not said.words.startswith("start "):
        return None
    code = read_invitation(said.words.removeprefix("start "))
    return code if code is not None and len(code) == LENGTH else None


def code_in(text: str) -> str | None:
    """The code that a reply tries, or None if it tries none."""
    if len(text) > 100:
        return None
    command = Link.parse(Said.of(text))
    return command.code or None if isinstance(command, Link) else None


def _like_code(rest: str) -> bool:
    """Letters and digits, though too few or too many for a code: `link 1234`, not `link me`."""
    letters = rest.replace(" ", "")
    return letters.isascii() and letters.isalnum() and any(it.isdigit() for it in letters)
