"""What events earn: by rule, so often a day, once each; and everything is settled first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from orchestrator.core.effects import PostEntry
from orchestrator.core.events import SubscriberEvent, TimerDue
from tests.bot.chat import Chat, shipped

DAY = timedelta(days=1)


def happen(chat: Chat, name: str, source_id: str, **properties: Any) -> list[str]:
    """The reasons for which points were then posted."""
    chat.passes(timedelta(minutes=1))
    chat.happens(SubscriberEvent(name, chat.now, properties, source_id))
    return [effect.reason for effect in chat.effects if isinstance(effect, PostEntry)]


def test_a_rule_earns_so_often_a_day() -> None:
    chat = Chat(shipped())
    assert happen(chat, "app.installed", "1") == ["new-app"]
    assert happen(chat, "app.installed", "2") == ["new-app"]
    assert happen(chat, "app.installed", "3") == ["new-app"]
    assert happen(chat, "app.installed", "4") == []
    chat.passes(DAY)
    assert happen(chat, "app.installed", "5") == ["new-app"]


def test_reasons_are_counted_apart() -> None:
    chat = Chat(shipped())
    assert happen(chat, "data.used", "1", mb=40) == ["daily-use"]
    assert happen(chat, "data.used", "2", mb=40) == []
    assert happen(chat, "app.installed", "3") == ["new-app"]


def test_an_event_that_comes_twice_earns_once() -> None:
    chat = Chat(shipped())
    assert happen(chat, "friend.invited", "1") == ["friend"]
    assert happen(chat, "friend.invited", "1") == []
    assert happen(chat, "friend.invited", "2") == ["friend"]
    assert chat.scene.account.balance_points == 100


def test_what_was_due_has_expired_before_anything_is_decided() -> None:
    chat = Chat(shipped(), lots=((20, DAY), (5, 3 * DAY)))
    chat.passes(2 * DAY)
    assert happen(chat, "friend.invited", "1") == ["expired", "friend"]
    assert chat.scene.account.balance_points == 55


def test_a_timer_alone_settles_and_does_nothing_else() -> None:
    chat = Chat(shipped(), lots=((20, DAY),))
    chat.passes(DAY)
    chat.happens(TimerDue())
    (entry,) = chat.effects
    assert isinstance(entry, PostEntry)
    assert chat.scene.account.due_at is None
