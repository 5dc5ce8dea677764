"""Points: what a member has, and how it changes. Integers; double entry; nothing is ever edited.

Every function returns the account as it then is and the effects that say so. Time comes in as an
argument; an account is settled (`settle`) before anything else is done with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.effects import Effect, LotChange, PostEntry, Redeem, Release, Reserve

EXPIRED = "expired"
"""The reason of an entry by which points expire."""

_NEVER = datetime.max.replace(tzinfo=UTC)

_NO_AWARDS: Mapping[str, int] = {}


class Lot(Struct, frozen=True, gc=False):
    """Points earned together, expiring together. `key` is that of the entry that earned them."""

    key: str
    points: int
    expires_at: datetime | None


class Hold(Struct, frozen=True, gc=False):
    """Points and one item set aside for a purchase not yet confirmed. `taken` says what each lot
    gave (negative), so that a release gives it back with its old expiry."""

    key: str
    reward: str
    points: int
    taken: tuple[LotChange, ...]
    expires_at: datetime


class Account(Struct, frozen=True, dict=True):
    """One member's points. `lots` are those not yet used up; balance = Σ lots.

    `earned_points` is all that was ever earned: tiers come from it, never from what is left.
    `awards` counts the awards of the UTC day `day` by reason, for rules that hold per day.
    """

    lots: tuple[Lot, ...] = ()
    holds: tuple[Hold, ...] = ()
    earned_points: int = 0
    day: date | None = None
    awards: Mapping[str, int] = _NO_AWARDS

    @cached_property
    def balance_points(self) -> int:
        """What can be spent now."""
        points = 0
        for lot in self.lots:
            points += lot.points
        return points

    @cached_property
    def due_at(self) -> datetime | None:
        """When the first lot or hold expires, or None."""
        if not self.lots and not self.holds:  # nearly everybody, in nearly every turn
            return None
        due: datetime | None = None
        for lot in self.lots:
            due = _sooner(due, lot.expires_at)
        for hold in self.holds:
            due = _sooner(due, hold.expires_at)
        return due

    def hold(self, key: str) -> Hold | None:
        """The open hold of that key, or None."""
        return next((hold for hold in self.holds if hold.key == key), None)

    def awards_on(self, day: date, reason: str) -> int:
        """How often points were awarded for `reason` on that UTC day, the account's last one."""
        return self.awards.get(reason, 0) if self.day == day else 0


Change = tuple[Account, tuple[Effect, ...]]

Line = tuple[int, str, datetime]
"""One line of a member's history: how many points (negative: gone), why, when."""


def award(
    account: Account,
    points: int,
    key: str,
    reason: str,
    at: datetime,
    expires_at: datetime | None,
) -> Change:
    """The account has a new lot of `points`, unless one of that key is already there."""
    if key in [lot.key for lot in account.lots]:
        return account, ()
    day = at.date()
    before = account.awards if account.day == day else _NO_AWARDS
    grown = replace(
        account,
        lots=(*account.lots, Lot(key, points, expires_at)),
        earned_points=account.earned_points + points,
        day=day,
        awards={**before, reason: before.get(reason, 0) + 1},
    )
    # What is told of all lots is told of one more: who earns every day has many of them.
    known = vars(grown)
    known["balance_points"] = account.balance_points + points
    known["due_at"] = _sooner(account.due_at, expires_at)
    change = LotChange(key, points, expires_at)
    return grown, (PostEntry(key, "issued", "available", points, reason, at, (change,)),)


def hold(
    account: Account, key: str, reward: str, points: int, at: datetime, expires_at: datetime
) -> Change:
    """`points` (at most the balance) and one item of `reward` are set aside, what expires first
    before what expires later."""
    taken: list[LotChange] = []
    missing = points
    for lot in sorted(account.lots, key=lambda lot: (lot.expires_at or _NEVER, lot.key)):
        if missing:
            gives = min(lot.points, missing)
            taken.append(LotChange(lot.key, -gives, lot.expires_at))
            missing -= gives
    if missing:
        raise ValueError(f"a hold of {points} points on a balance of {account.balance_points}")
    held = Hold(key, reward, points, tuple(taken), expires_at)
    kept = replace(account, lots=_changed(account.lots, held.taken), holds=(*account.holds, held))
    entry = PostEntry(f"hold:{key}", "available", "held", points, reward, at, held.taken)
    return kept, (*_unless_free(entry), Reserve(key, reward, points, held.taken, at, expires_at))


def confirm(account: Account, held: Hold, at: datetime, code_hash: bytes = b"") -> Change:
    """The hold is a sale: its points are spent, its item is sold."""
    entry = PostEntry(f"spend:{held.key}", "held", "spent", held.points, held.reward, at)
    redeem = Redeem(held.key, held.reward, code_hash, at)
    return _without(account, held), (*_unless_free(entry), redeem)


def release(account: Account, held: Hold, at: datetime) -> Change:
    """The hold ends without a sale: every lot has back what it gave, with its old expiry. What
    should have expired meanwhile expires now."""
    back = tuple(LotChange(lot.lot, -lot.points, lot.expires_at) for lot in held.taken)
    late = [lot for lot in back if lot.expires_at is not None and lot.expires_at <= at]
    freed = replace(
        _without(account, held),
        lots=_changed(account.lots, [lot for lot in back if lot not in late]),
    )
    expiries = [_expiry(f"expire:{lot.lot}:{held.key}", lot.lot, lot.points, at) for lot in late]
    entry = PostEntry(
        f"release:{held.key}", "held", "available", held.points, held.reward, at, back
    )
    return freed, (*_unless_free(entry), Release(held.key, held.reward, at), *expiries)


def settle(account: Account, now: datetime) -> Change:
    """Every lot and hold that was due by `now` has expired, in order of time."""
    due = account.due_at
    if due is None or due > now:
        return account, ()
    effects: list[Effect] = []
    while (due := account.due_at) is not None and due <= now:
        for held in [held for held in account.holds if held.expires_at <= due]:
            account, freed = release(account, held, due)
            effects += freed
        gone = [lot for lot in account.lots if (lot.expires_at or _NEVER) <= due]
        account = replace(account, lots=tuple(lot for lot in account.lots if lot not in gone))
        effects += [_expiry(f"expire:{lot.key}", lot.key, lot.points, due) for lot in gone]
    return account, tuple(effects)


def claimed(effects: Iterable[Effect]) -> dict[str, int]:
    """How many items of each reward `effects` claim; negative for those they give back."""
    items: dict[str, int] = {}
    for effect in effects:
        if type(effect) is Reserve:
            items[effect.reward] = items.get(effect.reward, 0) + 1
        elif type(effect) is Release:
            items[effect.reward] = items.get(effect.reward, 0) - 1
    return items


def lines(effects: Iterable[Effect]) -> tuple[Line, ...]:
    """What `effects` change of what a member owns (earned, spent, expired), newest first."""
    owned: list[Line] = []
    for it in effects:
        if type(it) is not PostEntry:
            continue
        if it.debit == "issued":
            owned.append((it.points, it.reason, it.at))
        elif it.credit in ("spent", "expired"):
            owned.append((-it.points, it.reason, it.at))
    return tuple(owned[::-1])


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    """The earlier of two instants, where None is never."""
    if one is None or other is None:
        return one or other
    return one if one <= other else other


def _unless_free(entry: PostEntry) -> tuple[PostEntry, ...]:
    """A reward that costs nothing leaves no entry."""
    return (entry,) if entry.points else ()


def _expiry(key: str, lot: str, points: int, at: datetime) -> PostEntry:
    change = LotChange(lot, -points)
    return PostEntry(key, "available", "expired", points, EXPIRED, at, (change,))


def _without(account: Account, held: Hold) -> Account:
    return replace(account, holds=tuple(other for other in account.holds if other != held))


def _changed(lots: tuple[Lot, ...], changes: Iterable[LotChange]) -> tuple[Lot, ...]:
    """The lots with those changes made; empty ones are gone."""
    after = {lot.key: lot for lot in lots}
    for change in changes:
        lot = after.get(change.lot) or Lot(change.lot, 0, change.expires_at)
        after[change.lot] = replace(lot, points=lot.points + change.points)
    return tuple(lot for lot in after.values() if lot.points)
