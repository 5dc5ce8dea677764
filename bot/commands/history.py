"""HISTORY: where the points came from, and where they went."""

from __future__ import annotations

from typing import ClassVar

from bot import shop
from bot.command import Command
from bot.desk import Desk
from orchestrator.core import calendar
from orchestrator.core.points import lines


class History(Command, frozen=True):
    """The last lines of the member's account, newest first."""

    WORDS: ClassVar[tuple[str, ...]] = (
        *("history", "statement", "mx"),
        *("明细", "明細", "积分明细", "积分记录", "记录", "记錄"),
    )

    def answer(self, desk: Desk) -> None:
        tz = calendar.zone(desk.stage.subscriber.timezone or desk.project.timezone)
        rewards = desk.project.rewards
        shown = [
            {
                "points": points,
                "reason": reason,
                "name": shop.name_of(rewards[reason], desk) if reason in rewards else "",
                "on": calendar.local_day(at, tz or calendar.UTC_ZONE).isoformat(),
            }
            for points, reason, at in (*lines(desk.stage.effects), *desk.scene.history)
        ]
        desk.say("history", lines=shown)
