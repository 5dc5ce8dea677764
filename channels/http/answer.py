"""What an aggregator's answer says of a message."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from channels.http.settings import Send
from channels.http.words import looked_up
from orchestrator.core.delivery import Outcome

_SHOWN = 120


def judged(
    send: Send, message_id: int, own_id: str, parts: int, status: int, body: bytes
) -> Outcome:
    """The outcome that this answer means. `own_id` is the carrier id if it names none."""
    said = _read(send, body)
    word = said["status"] or str(status)
    reason = said["reason"][:_SHOWN] or f"the aggregator answered {word}"
    if _in(word, send.later):
        return Outcome(message_id, "unsent", "", word, reason, "later", parts)
    if _in(word, send.unknown):
        return Outcome(message_id, "unknown", "", word, reason, parts=parts)
    if not _in(word, send.accepted):
        return Outcome(message_id, "rejected", "", word, reason, parts=parts)
    carrier_id = said["id"] or own_id
    if not carrier_id and send.id:
        reason = "the aggregator took it and named no id"
        return Outcome(message_id, "unknown", "", word, reason, parts=parts)
    return Outcome(message_id, "accepted", carrier_id, parts=parts)


def _read(send: Send, body: bytes) -> Mapping[str, str]:
    if send.pattern:
        found = re.search(send.pattern, body.decode("utf-8", "replace"))
        groups = found.groupdict("") if found else {}
        return {name: groups.get(name, "") for name in ("id", "status", "reason")}
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        answer = None
    paths = {"id": send.id, "status": send.status, "reason": send.reason}
    return {
        name: looked_up(answer, path) if path and "{" not in path else ""
        for name, path in paths.items()
    }


def _in(word: str, known: tuple[str, ...]) -> bool:
    return word in known or (len(word) == 3 and f"{word[0]}xx" in known)
