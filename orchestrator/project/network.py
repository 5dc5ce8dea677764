"""What the matcher makes of one person's events, on a skipped clock: production's own, to which no
event comes late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import inf

from orchestrator.core.events import SubscriberEvent, Triggered
from orchestrator.core.feed import Happened
from orchestrator.core.matching import Fired, Matching
from orchestrator.core.model import Subscriber
from orchestrator.core.telephone import number_of
from orchestrator.core.triggers import Triggers


class Network:
    """The triggers of one person."""

    def __init__(self, triggers: Triggers) -> None:
        self._matching = Matching(triggers, 0.0)

    def report(self, subscriber: Subscriber, event: SubscriberEvent) -> Iterator[Triggered]:
        """The event is known to the matcher; what fires at once."""
        who = number_of(subscriber.addresses.get("sms")) or subscriber.key
        at = event.at.timestamp()
        happened = Happened(event.name, who, at, event.source_id, dict(event.properties))
        return _triggered(self._matching.take([happened]))

    @property
    def due_at(self) -> datetime | None:
        """When there is something to judge next."""
        at = self._matching.next_at
        return _instant(at) if at < inf else None

    def judge(self) -> Iterator[Triggered]:
        """What fires when that has been judged."""
        return _triggered(self._matching.advance(self._matching.next_at))


def _triggered(fired: Iterable[Fired]) -> Iterator[Triggered]:
    for it in fired:
        yield Triggered(
            it.journey,
            it.number,
            it.name,
            _instant(it.began),
            _instant(it.at),
            it.properties,
            it.source_id,
        )


def _instant(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
