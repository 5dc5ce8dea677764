"""REDEEM: points for a reward."""

from __future__ import annotations

from typing import ClassVar

from bot import shop
from bot.command import Command, Said, argument
from bot.desk import Desk


class Redeem(Command, frozen=True):
    """`redeem` shows the list, `redeem 2` and `redeem coffee` choose from it."""

    wanted: str = ""

    SHOPS: ClassVar[bool] = True
    WORDS: ClassVar[tuple[str, ...]] = (
        *("redeem", "claim", "exchange", "dh"),
        *("兑换", "兌換", "换购", "積分兌換", "积分兑换"),
    )

    @classmethod
    def parse(cls, said: Said) -> Command | None:
        wanted = argument(said, cls.WORDS)
        return None if wanted is None else cls(wanted)

    def answer(self, desk: Desk) -> None:
        if not self.wanted:
            return shop.show_list(desk)
        reward = shop.find(desk, self.wanted)
        if reward is None:
            return desk.say_unsure("no-such-reward")
        return shop.claim(desk, reward)
