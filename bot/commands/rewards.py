"""REWARDS: what points buy."""

from __future__ import annotations

from typing import ClassVar

from bot import shop
from bot.command import Command
from bot.desk import Desk


class Rewards(Command, frozen=True):
    """The list of rewards, from which a number then chooses."""

    SHOPS: ClassVar[bool] = True
    WORDS: ClassVar[tuple[str, ...]] = (
        *("rewards", "reward", "gifts", "gift", "shop", "lp"),
        *("礼品", "禮品", "奖品", "獎品", "礼物", "礼品列表", "积分商城"),
    )

    def answer(self, desk: Desk) -> None:
        shop.show_list(desk)
