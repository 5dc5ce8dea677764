"""POINTS: what a member has, what it is worth, and what will be gone."""

from __future__ import annotations

from typing import Any, ClassVar

from bot.command import Command
from bot.desk import Desk
from orchestrator.core import calendar
from orchestrator.core.points import Account
from orchestrator.core.project import PointsProgram


class Balance(Command, frozen=True):
    """The balance, the level, how far the next one is, and what expires first."""

    WORDS: ClassVar[tuple[str, ...]] = (
        *("points", "point", "balance", "my points", "jf"),
        *("积分", "積分", "我的积分", "查积分", "积分查询", "查询积分"),
    )

    def answer(self, desk: Desk) -> None:
        account = desk.stage.account
        tz = calendar.zone(desk.stage.subscriber.timezone or desk.project.timezone)
        desk.say(
            "balance",
            **_level(desk.project.points, account),
            **_expiring(account, tz or calendar.UTC_ZONE),
        )


def _level(program: PointsProgram, account: Account) -> dict[str, Any]:
    higher = [tier for tier in program.tiers if tier.from_points > account.earned_points]
    following = min(higher, key=lambda tier: tier.from_points, default=None)
    return {
        "tier": program.tier(account.earned_points),
        "next_tier": following.name if following else "",
        "to_next_tier": following.from_points - account.earned_points if following else 0,
    }


def _expiring(account: Account, tz: Any) -> dict[str, Any]:
    """How many points expire on the first local day on which some do."""
    days = [
        (calendar.local_day(lot.expires_at, tz), lot.points)
        for lot in account.lots
        if lot.expires_at is not None
    ]
    first = min((day for day, _ in days), default=None)
    return {
        "expiring_points": sum(points for day, points in days if day == first),
        "expiring_on": first.isoformat() if first else "",
    }
