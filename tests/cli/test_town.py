"""The demo's town: what must happen there is what the matcher makes of it, and the judge tells."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from orchestrator.cli.demo.stage import STARTS_AT, demo_files
from orchestrator.cli.demo.town import NEWS, RING_BACK, Town, in_time, in_vain, not_fired, town
from orchestrator.core.matching import Matching
from orchestrator.core.triggers import Triggers
from orchestrator.project.load import load
from orchestrator.store.reckoning import Recorded

END = STARTS_AT + timedelta(days=2)


@pytest.fixture(scope="module")
def there() -> Town:
    return town(STARTS_AT, END, 1)


def test_the_matcher_fires_what_was_found_by_hand(there: Town) -> None:
    project = load(demo_files())
    matching = Matching(Triggers(project, there.lists), project.feed.lateness.total_seconds(), None)
    fired = matching.take(there.events)
    fired += matching.advance(END.timestamp() + 3600)
    ours = {int(it.address) for it in there.people}
    found = {(it.at, it.journey, it.who, it.source_id) for it in fired if it.who in ours}
    assert found == {(it.due, it.journey, it.who, it.source_id) for it in there.firings}
    assert {it.journey for it in there.firings} == {RING_BACK, NEWS}


def recorded(journey: str, at: float) -> Recorded:
    when = datetime.fromtimestamp(at, STARTS_AT.tzinfo)
    return Recorded(journey, "offer", f"triggers/{journey}", "moment", "delivered", "…", when)


def test_what_fired_not_or_in_vain_is_counted(there: Town) -> None:
    told = {(it.journey, f"+{it.who}", it.source_id) for it in there.firings}
    assert not_fired(there, told, END + timedelta(days=1)) == 0
    assert in_vain(there, told, {}) == 0
    first = min(there.firings)
    lacking = told - {(first.journey, f"+{first.who}", first.source_id)}
    assert not_fired(there, lacking, END) == 1
    assert not_fired(there, lacking, STARTS_AT) == 0, "it is not due yet"
    assert in_vain(there, told | {(NEWS, "+8613900000000", "1-1")}, {}) == 1


def test_whose_events_came_too_late_is_held_to_nothing(there: Town) -> None:
    """On a machine with too much to do; all others are judged as ever."""
    told = {(it.journey, f"+{it.who}", it.source_id) for it in there.firings}
    first = min(there.firings)
    other = next(it for it in there.firings if it.who != first.who)
    lacking = told - {(it.journey, f"+{it.who}", it.source_id) for it in (first, other)}
    in_vain_too = lacking | {(NEWS, f"+{first.who}", "1-1")}
    until = END + timedelta(days=1)
    assert not_fired(there, in_vain_too, until) == 2
    held, fired = in_time(there, in_vain_too, {first.who})
    assert (not_fired(held, fired, until), in_vain(held, fired, {})) == (1, 0)
    assert in_time(there, told, set()) == (there, told)


def test_an_offer_comes_after_its_trigger_and_by_day(there: Town) -> None:
    told = {(it.journey, f"+{it.who}", it.source_id) for it in there.firings}
    first = next(it for it in sorted(there.firings) if it.due > STARTS_AT.timestamp() + 7200)
    key = next(it.subscriber.key for it in there.people if it.address == f"+{first.who}")
    for at, wrong in ((first.due + 60, 0), (STARTS_AT.timestamp(), 1)):
        assert in_vain(there, told, {key: [recorded(first.journey, at)]}) == wrong
