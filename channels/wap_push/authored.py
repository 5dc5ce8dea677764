"""What an author's message is as a push document."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated

from msgspec import Meta, Struct

from channels.base import Outgoing
from channels.wap_push.documents import (
    EXECUTES,
    SIGNALS,
    Bookmark,
    Bookmarks,
    Document,
    Indication,
    Loading,
)
from channels.wap_push.tree import PushError
from orchestrator.core.model import PushAction

LONGEST_HREF = 1024
_SCHEMES = ("http://", "https://")


class Push(Struct, frozen=True, kw_only=True):
    """How messages become documents, whichever way they go."""

    action: PushAction = "signal-medium"
    actions: Mapping[str, PushAction] = {}
    replaces: bool = True
    keep_h: Annotated[float, Meta(ge=0, le=24 * 366)] = 72.0


def document_of(message: Outgoing, push: Push, now: datetime) -> Document:
    """The document that this message is, created `now`. Raises PushError.

    The template's action comes before that of the message's contact class, and that before the
    channel's.
    """
    content, action = message.content, _action(message, push)
    href = content.href
    if not href.startswith(_SCHEMES) or len(href) > LONGEST_HREF or not href.isprintable():
        raise PushError("the push has no link that begins with http:// or https://")
    for signal in SIGNALS:
        if signal == action and signal != "delete":
            if not content.text:
                raise PushError("the push has no words")
            made = now.astimezone(UTC).replace(microsecond=0)
            expires = None
            if message.valid_until is not None:
                expires = message.valid_until + timedelta(hours=push.keep_h)
            return Indication(content.text, href, signal, si_id(message, push), made, expires)
    for execute in EXECUTES:
        if execute == action:
            return Loading(href, execute)
    if action in ("bookmark", "homepage"):
        return Bookmarks((Bookmark(content.text, href, home=action == "homepage"),))
    raise PushError("the template's wap_push_action is none that a phone knows")


def may_be_deleted(message: Outgoing, push: Push) -> bool:
    """The message is one that a phone keeps, and drops when it is told to."""
    return _action(message, push) in SIGNALS


def _action(message: Outgoing, push: Push) -> str:
    return message.content.action or push.actions.get(message.contact_class) or push.action


def deletion_of(message: Outgoing, push: Push, now: datetime) -> Indication:
    """The document that takes this message's words from the phone again."""
    made = now.astimezone(UTC).replace(microsecond=0)
    return Indication("", message.content.href, "delete", si_id(message, push), made)


def si_id(message: Outgoing, push: Push) -> str:
    """The name under which a phone keeps the words: the same for every message of one step of a
    journey, so that the newest takes the place of those before; or one for each message."""
    if not (push.replaces and message.series):
        return f"m{message.message_id:x}"
    digest = blake2b(message.series.encode("utf-8", "replace"), digest_size=5).digest()
    return "s" + base64.b32encode(digest).decode().lower()
