"""LANG: the language we write in."""

from __future__ import annotations

from typing import ClassVar

from bot.command import Command, Said
from bot.desk import Desk
from orchestrator.core.wording import normalise

LOCALES = {
    "en": ("en", "eng", "english", "英文", "英语", "英語"),
    "zh": ("zh", "cn", "chinese", "中文", "汉语", "漢語", "华语"),
}
ASKED_BY = ("lang", "language", "语言", "語言", "")


class Language(Command, frozen=True):
    """`lang en`, `语言 中文`, or the name of a language alone."""

    locale: str = ""

    WORDS: ClassVar[tuple[str, ...]] = tuple(
        f"{word} {name}".strip()
        for word in ASKED_BY
        for names in LOCALES.values()
        for name in names
        if word or len(normalise(name)) > 3 or not name.isascii()
    )

    @classmethod
    def parse(cls, said: Said) -> Command | None:
        if super().parse(said) is None:
            return None
        name = said.words.split()[-1]
        return cls(next(locale for locale, names in LOCALES.items() if name in names))

    def answer(self, desk: Desk) -> None:
        """What they speak already is kept, region and all: zh-Hant stays so."""
        if desk.stage.subscriber.locale.partition("-")[0] != self.locale:
            desk.stage.speak(self.locale)
        desk.say("language")
