"""What a webhook tells (Cloud API, "Webhooks"): messages and statuses, if they concern us."""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from orchestrator.core.delivery import Receipt, Reply

_SILENT = frozenset({"reaction", "system", "unsupported", "request_welcome", "ephemeral"})
"""Kinds of messages by which nobody says anything to us."""


class MalformedError(Exception):
    """These octets are no webhook's."""


class _Text(Struct, frozen=True):
    body: str = ""


class _Button(Struct, frozen=True):
    payload: str = ""
    text: str = ""


class _Chosen(Struct, frozen=True):
    id: str = ""
    title: str = ""


class _Interactive(Struct, frozen=True):
    button_reply: _Chosen | None = None
    list_reply: _Chosen | None = None


class _Captioned(Struct, frozen=True):
    caption: str = ""


class _Message(Struct, frozen=True, rename={"sender": "from"}):
    sender: str
    id: str
    type: str
    text: _Text | None = None
    button: _Button | None = None
    interactive: _Interactive | None = None
    image: _Captioned | None = None
    video: _Captioned | None = None
    document: _Captioned | None = None

    @property
    def words(self) -> str:
        """What a person said with it; '' for a voice message or a place."""
        chosen = self.interactive
        if chosen is not None:
            it = chosen.button_reply or chosen.list_reply
            return it.id or it.title if it is not None else ""
        if self.button is not None:
            return self.button.payload or self.button.text
        if self.text is not None:
            return self.text.body
        shown = self.image or self.video or self.document
        return shown.caption if shown is not None else ""


class _Error(Struct, frozen=True):
    code: int = 0


class _Status(Struct, frozen=True):
    id: str
    status: str
    errors: list[_Error] = []


class _Metadata(Struct, frozen=True):
    phone_number_id: str = ""


class _Value(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    messages: list[_Message] = []
    statuses: list[_Status] = []


class _Change(Struct, frozen=True):
    value: _Value = _Value()
    field: str = ""


class _Entry(Struct, frozen=True):
    changes: list[_Change] = []


class Hook(Struct, frozen=True):
    """One call: several accounts, each with several things that changed."""

    entry: list[_Entry]


_decode = msgspec.json.Decoder(Hook).decode


def signed(given: str, body: bytes, app_secret: str) -> bool:
    """Whether `X-Hub-Signature-256` is that of the body as it came."""
    wanted = "sha256=" + hmac.new(app_secret.encode(), body, "sha256").hexdigest()
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())


def read(octets: bytes) -> Hook:
    """What the body says. Raises MalformedError."""
    try:
        return _decode(octets)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(type(error).__name__) from None


def replies(hook: Hook, channel: str, phone_number_id: str) -> list[Reply]:
    """What people said to this number."""
    return [
        Reply(channel, f"+{it.sender}", it.words, it.id, phone_number_id)
        for value in _values(hook, phone_number_id)
        for it in value.messages
        if it.type not in _SILENT and it.sender.isascii() and it.sender.isdigit() and it.id
    ]


def receipts(hook: Hook, channel: str, phone_number_id: str) -> list[Receipt]:
    """What became of messages of this number. They come in any order: `read` says delivered too,
    and `sent` says nothing that we did not know."""
    found: list[Receipt] = []
    for value in _values(hook, phone_number_id):
        for it in value.statuses:
            if it.status in ("delivered", "read"):
                found.append(Receipt(channel, it.id, "delivered"))
            elif it.status == "failed":
                code = str(it.errors[0].code) if it.errors else ""
                found.append(Receipt(channel, it.id, "undelivered", code))
    return found


def _values(hook: Hook, phone_number_id: str) -> Iterator[_Value]:
    for entry in hook.entry:
        for change in entry.changes:
            ours = change.value.metadata.phone_number_id == phone_number_id
            if ours and change.field == "messages":
                yield change.value
