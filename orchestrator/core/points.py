"""Points: what a member has, and how it changes. Integers; double entry; nothing is ever edited."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.effects import LotChange, PostEntry


class Lot(Struct, frozen=True):
    """Points earned together, expiring together. `key` is that of the entry that earned them."""

    key: str
    points: int
    expires_at: datetime | None


class Hold(Struct, frozen=True):
    """Points and one item set aside for a purchase not yet confirmed. `taken` says what each lot
    gave (negative), so that a release gives it back with its old expiry."""

    key: str
    reward: str
    points: int
    taken: tuple[LotChange, ...]
    expires_at: datetime


class Account(Struct, frozen=True):
    """One member's points. `lots` are those not yet used up; balance = Σ lots.
    `earned_points` is all that was ever earned: tiers come from it, never from what is left."""

    lots: tuple[Lot, ...] = ()
    holds: tuple[Hold, ...] = ()
    earned_points: int = 0

    @property
    def balance_points(self) -> int:
        return sum(lot.points for lot in self.lots)


def award(
    account: Account,
    points: int,
    key: str,
    reason: str,
    at: datetime,
    expires_at: datetime | None,
) -> tuple[Account, PostEntry]:
    """The account with a new lot of `points`, and the entry that says so."""
    grown = replace(
        account,
        lots=(*account.lots, Lot(key, points, expires_at)),
        earned_points=account.earned_points + points,
    )
    change = LotChange(key, points, expires_at)
    return grown, PostEntry(key, "issued", "available", points, reason, at, (change,))
