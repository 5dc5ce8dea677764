"""HELP: what can be said here."""

from __future__ import annotations

from typing import ClassVar

from bot.command import Command
from bot.desk import Desk


class Help(Command, frozen=True):
    """The list of commands."""

    WORDS: ClassVar[tuple[str, ...]] = (
        *("help", "info", "menu", "commands", "?"),
        *("帮助", "幫助", "菜单", "菜單", "说明", "bz"),
    )

    def answer(self, desk: Desk) -> None:
        desk.say_unsure("help")
