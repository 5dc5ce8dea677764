"""How long what is known about people is kept."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from orchestrator.core.grammar import parse_duration


class Keep(Struct, frozen=True):
    """A duration (`90d`), or `forever`."""

    span: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> Keep:
        return cls(None if text == "forever" else parse_duration(text))

    def __str__(self) -> str:
        return "forever" if self.span is None else f"{self.span / timedelta(days=1):g}d"


def _days(days: int) -> Keep:
    return Keep(timedelta(days=days))


class Retention(Struct, frozen=True):
    """How long each kind of record is kept; afterwards workers take it away, within a day.

    `texts` are the words of messages; `replies` what subscribers wrote; `events` what was reported
    of them, and what a feed made known; `receipts` the carriers' ids and codes of messages, and
    what operators asked of them; `failures` the errors of turns, events that were given up, and
    reports that were set aside; `timeline` what did not go and why, past runs of journeys, turns
    and what changed between them; `messages` what remains of a message without its words: the
    contact history, which is kept at least as long as the contact policy looks back; `usage` what
    was counted in a month, from the end of that; `source_ids` the ids by which a report that comes
    twice is known.

    Points, consents and the audit log are kept as long as there is an installation, or until
    somebody is erased. Nothing goes that is still needed: messages on their way, receipts that
    wait for their message, events that wait for a turn.
    """

    texts: Keep = _days(90)
    replies: Keep = _days(120)
    events: Keep = _days(120)
    receipts: Keep = _days(30)
    failures: Keep = _days(30)
    timeline: Keep = _days(400)
    messages: Keep = _days(400)
    usage: Keep = _days(60)
    source_ids: Keep = _days(90)
