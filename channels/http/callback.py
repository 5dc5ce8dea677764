"""What an aggregator tells us, read from its request: the fields, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from channels.http.joining import Part
from channels.http.settings import Receipts, Replies
from channels.http.words import looked_up
from channels.sms import addresses
from orchestrator.core.delivery import Receipt, Reply

_MOST_FIELDS = 200
_MOST_PARTS = 255


class CallbackError(ValueError):
    """The request does not say what the configuration expects; the text says what is missing."""


class Fields(msgspec.Struct, frozen=True):
    """One callback. `form` are the fields of its body, `all` those of its query as well; a body in
    JSON is `document`."""

    form: Mapping[str, str]
    all: Mapping[str, str]
    document: Any = None

    def get(self, path: str) -> str:
        """The field of this name, or what stands there in the document."""
        return self.all.get(path) or (looked_up(self.document, path) if path else "")

    def must(self, path: str) -> str:
        if value := self.get(path):
            return value
        raise CallbackError(f"the field {path} is missing")


def read(content_type: str, body: bytes, query: Mapping[str, str]) -> Sequence[Fields]:
    """The callbacks in a request: one, or each in a JSON list. CallbackError for anything else."""
    if content_type == "application/json":
        try:
            document = msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            raise CallbackError("the body is not JSON") from None
        documents = document if isinstance(document, list) else [document]
        return [Fields({}, query, it) for it in documents]
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict"
        )
    except ValueError:
        raise CallbackError("the body is not a form") from None
    form = dict(pairs)
    return [Fields(form, {**query, **form})]


def receipt_of(channel: str, fields: Fields, form: Receipts) -> Receipt | None:
    """What became of a message, if that is final."""
    carrier_id, word = fields.must(form.id), fields.must(form.state)
    state = form.states.get(word, "passing")
    if state == "passing":
        return None
    code = fields.get(form.code)[:60] if form.code and state != "delivered" else ""
    return Receipt(channel, carrier_id, state, code)


def reply_of(channel: str, fields: Fields, form: Replies, country: str = "") -> Reply:
    """The text that came in; `country` completes numbers where the form has none of its own."""
    written = fields.must(form.sender).strip()
    sender = addresses.subscriber(0, written, form.country or country)
    to = fields.get(form.to) if form.to else ""
    return Reply(channel, sender, fields.get(form.text), fields.must(form.id), to)


def part_of(reply: Reply, fields: Fields, form: Replies) -> Part | None:
    """Which part of a long text the reply is, or None."""
    if form.join is None or not fields.get(form.join[0]):
        return None
    reference = fields.get(form.join[0])
    total, number = (fields.get(path) for path in form.join[1:])
    if not (total.isdecimal() and number.isdecimal()):
        raise CallbackError(f"{form.join[1]} and {form.join[2]} must be numbers")
    if not 1 <= int(number) <= int(total) <= _MOST_PARTS:
        raise CallbackError(f"there is no part {number} of {total}")
    if int(total) == 1:
        return None
    key = (reply.address, reference, int(total))
    return Part(key, int(number), reply.text, reply.source_id, reply.to)
