"""What Telegram tells is understood as python-telegram-bot understands it, or refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from telegram import Update as TheirUpdate

from channels.telegram.updates import MalformedError, heard, read, read_polled
from orchestrator.core.delivery import Reply
from tests.channels.mutations import mutations

ANN: dict[str, Any] = {
    "id": 1111111,
    "is_bot": False,
    "first_name": "Test",
    "last_name": "Lastname",
}
CHAT: dict[str, Any] = {"id": 1111111, "type": "private", "first_name": "Test", "username": "Testu"}
BOT = {"id": 700100, "is_bot": True, "first_name": "Bot"}


def message(**parts: Any) -> dict[str, Any]:
    return {"message_id": 1365, "date": 1441645532, "chat": CHAT, "from": ANN, **parts}


def pressed(data: str, below: dict[str, Any]) -> dict[str, Any]:
    return {"id": "4382bfd", "from": ANN, "data": data, "chat_instance": "1", "message": below}


GROUP = {"id": -5, "type": "group", "title": "g"}
HIDDEN = {"type": "hidden_user", "sender_user_name": "Ben", "date": 1441645550}
FILE = {"file_id": "a", "file_unique_id": "b"}
PHOTO = {**FILE, "width": 1, "height": 1}
STICKER = {**PHOTO, "is_animated": False, "is_video": False, "type": "regular", "emoji": "👍"}
KICKED = {
    "chat": CHAT,
    "from": ANN,
    "date": 1,
    "old_chat_member": {"user": BOT, "status": "member"},
    "new_chat_member": {"user": BOT, "status": "kicked", "until_date": 0},
}

# The examples of Telegram's "Marvin's Marvellous Guide to All Things Webhook", in the fields that
# concern a bot like ours: what happened, and what was said by it (None: nothing, to us).
WHATS: dict[str, tuple[dict[str, Any], str | None]] = {
    "text": ({"message": message(text="/start")}, "/start"),
    "deep link": ({"message": message(text="/start 7Q2M0RXA")}, "/start 7Q2M0RXA"),
    "forwarded": ({"message": message(text="hi", forward_origin=HIDDEN)}, "hi"),
    "reply": ({"message": message(text="yes", reply_to_message=message(text="well?"))}, "yes"),
    "picture": ({"message": message(caption="look 您好", photo=[PHOTO])}, "look 您好"),
    "voice": ({"message": message(voice={**FILE, "duration": 5})}, ""),
    "sticker": ({"message": message(sticker=STICKER)}, "👍"),
    "button": (
        {"callback_query": pressed("/points", {**message(text="menu"), "from": BOT})},
        "/points",
    ),
    "old button": (
        {"callback_query": pressed("1", {"chat": CHAT, "message_id": 3, "date": 0})},
        "1",
    ),
    "edited": ({"edited_message": message(text="oops", edit_date=1441646600)}, None),
    "group": ({"message": message(text="hi", chat=GROUP)}, None),
    "button in a group": (
        {"callback_query": pressed("1", message(text="menu", chat=GROUP))},
        None,
    ),
    "inline query": ({"inline_query": {"id": "1", "from": ANN, "query": "q", "offset": ""}}, None),
    "blocked": ({"my_chat_member": KICKED}, None),
}
EXAMPLES = {
    name: ({"update_id": 10_000 + number, **what}, words)
    for number, (name, (what, words)) in enumerate(WHATS.items())
}


def octets(name: str) -> bytes:
    return msgspec.json.encode(EXAMPLES[name][0])


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_update_is_what_its_sender_said(name: str) -> None:
    update, words = EXAMPLES[name]
    reply = heard(read(octets(name)), "telegram", "700100")
    if words is None:
        assert reply is None
    else:
        source_id = f"700100/{update['update_id']}"
        assert reply == Reply("telegram", "1111111", words, source_id, "700100")


@pytest.mark.parametrize("name", EXAMPLES)
def test_python_telegram_bot_reads_the_same_in_it(name: str) -> None:
    theirs = TheirUpdate.de_json(EXAMPLES[name][0])
    ours = read(octets(name))
    assert ours.update_id == theirs.update_id
    assert (ours.message is None) == (theirs.message is None)
    assert (ours.callback_query is None) == (theirs.callback_query is None)
    if ours.message is not None and theirs.message is not None:
        sticker = theirs.message.sticker
        words = theirs.message.text or theirs.message.caption or (sticker.emoji if sticker else "")
        assert (ours.message.words, ours.message.chat.id) == (words, theirs.message.chat.id)
        assert ours.message.chat.type == theirs.message.chat.type
    if ours.callback_query is not None and theirs.callback_query is not None:
        query = theirs.callback_query
        assert ours.callback_query.data == query.data
        assert ours.callback_query.id == query.id
        assert ours.callback_query.sender.id == query.from_user.id
    again = read(theirs.to_json().encode())
    assert heard(again, "t", "1") == heard(ours, "t", "1")


def test_five_thousand_spoilt_updates_are_read_or_refused() -> None:
    refused = 0
    for body in mutations([octets(name) for name in EXAMPLES], 5_000):
        try:
            reply = heard(read(body), "telegram", "700100")
        except MalformedError:
            refused += 1
        else:
            assert reply is None or (isinstance(reply.text, str) and reply.address.isdigit())
    assert 1_000 < refused < 5_000


def test_one_update_that_cannot_be_read_does_not_hold_up_the_others() -> None:
    odd = b'{"update_id": 8, "message": {"chat": "nowhere"}}'
    body = b'{"ok": true, "result": [%b, %b]}' % (odd, octets("text"))
    updates, strange, newest = read_polled(body)
    assert ([it.update_id for it in updates], strange, newest) == ([10000], 1, 10000)
    with pytest.raises(MalformedError):
        read_polled(b'{"ok": true, "result": [{"update_id": "x"}]}')
