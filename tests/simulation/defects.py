"""Defects, planted one at a time, that the simulation must find; and after how many seeds it does.

`python -m tests.simulation --defects` plants each and prints a line for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from orchestrator.core.steps import wait
from orchestrator.store import claims, decisions, events, outcomes, receipts, scenes, stock
from tests.simulation.run import Report, Theatre

MOST_SEEDS = 120
"""Seeds after which a defect counts as not found."""


def _edit(
    module: Any, name: str, *changes: tuple[str, str]
) -> Callable[[pytest.MonkeyPatch], None]:
    """The statement of that name says something else."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        text = before = getattr(module, name)
        for old, new in changes:
            text = text.replace(old, new)
        assert text != before, f"{name} has no {changes[0][0]!r} any more"
        patch.setattr(module, name, text)

    return plant


def _claim_uncommitted(patch: pytest.MonkeyPatch) -> None:
    """What was claimed is forgotten if the gateway dies: the claim is another's while it sends."""
    original = claims.claim

    async def claim(connection: Any, *given: Any, **named: Any) -> Any:
        claimed = await original(connection, *given, **named)
        await connection.execute(
            "UPDATE attempts SET claimed_by = NULL, lease_until = NULL "
            "WHERE id = ANY($1::bigint[])",
            list(claimed.attempts),
        )
        return claimed

    patch.setattr(claims, "claim", claim)


def _waits_short(patch: pytest.MonkeyPatch) -> None:
    """A wait is a minute shorter than it says."""
    end = wait.Pause.end

    def early(self: wait.Pause, now: Any, timezone: Any) -> Any:
        return end(self, now, timezone) - timedelta(minutes=1)

    patch.setattr(wait.Pause, "end", early)


def _lapses_resend(patch: pytest.MonkeyPatch) -> None:
    """What is uncertain is sent again, whatever its class says."""
    patch.setattr(outcomes, "_resends", lambda *_: True)


def _events_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A turn looks only at the first of what happened, and takes all of it."""
    load = scenes.load

    async def one(*given: Any) -> Any:
        cases = await load(*given)
        return [msgspec.structs.replace(case, pending=case.pending[:1]) for case in cases]

    patch.setattr(scenes, "load", one)
    take = _edit(
        events,
        "TAKE",
        (
            "WHERE e.subscriber_id = u.subscriber_id AND e.id = u.id",
            "WHERE e.subscriber_id = u.subscriber_id",
        ),
    )
    take(patch)


def _optout_ignored(patch: pytest.MonkeyPatch) -> None:
    """An opt-out leaves what is queued where it is, and the claim does not look at it either."""
    changes = ("AND m.attempt_id IN", "AND false AND m.attempt_id IN")
    _edit(decisions, "DROP_QUEUED", changes)(patch)
    _edit(claims, "REFUSERS", ("WHERE id = ANY", "WHERE false AND id = ANY"))(patch)


def _stock_unguarded(patch: pytest.MonkeyPatch) -> None:
    """What is free is looked at without a lock, and not again when it is claimed."""
    _edit(stock, "LOCK", ("ORDER BY reward FOR UPDATE", "ORDER BY reward"))(patch)
    guard = "s.stock - s.reserved - s.sold + u.released >= u.held"
    _edit(stock, "MOVE", (guard, "true"))(patch)


DEFECTS: Mapping[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a claim that others can claim as well": _claim_uncommitted,
    "an opt-out that does not reach the queue": _optout_ignored,
    "a source id taken in twice": _edit(
        events,
        "ADD",
        (
            "ON CONFLICT DO NOTHING",
            "ON CONFLICT (source, source_id) DO UPDATE SET at = excluded.at",
        ),
    ),
    "a lapse that sends again under hold": _lapses_resend,
    "a record without its fence": _edit(
        outcomes,
        "RECORD",
        ("AND m.attempt_id = ($5::bigint[])[u.n]", "AND ($5::bigint[])[u.n] > 0"),
    ),
    "a receipt that steps a state back": _edit(
        receipts,
        "RECEIVE",
        ("AND m.state = 'accepted'", "AND m.state IN ('accepted', 'delivered')"),
        (
            "SET state = u.state",
            "SET state = CASE m.state WHEN 'accepted' THEN u.state ELSE 'accepted' END",
        ),
    ),
    "a wait that is a minute short": _waits_short,
    "events taken that nobody looked at": _events_forgotten,
    "an item that two may claim": _stock_unguarded,
}


async def seeds_until_found(
    stage: Theatre, plant: Callable[[pytest.MonkeyPatch], None], most: int = MOST_SEEDS
) -> tuple[int, str] | None:
    """After how many seeds, counted from the first, the defect is found, and what is said of it."""
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        for seed in range(most):
            report = Report()
            await stage.play([seed], report)
            if report.failures:
                return seed + 1, report.failures[0].problems[0]
    return None
