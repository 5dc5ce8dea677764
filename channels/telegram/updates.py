"""What Telegram tells us: an Update of the Bot API, as far as it concerns us."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from orchestrator.core.delivery import Presence, Reply

ALLOWED = ("message", "callback_query", "my_chat_member")
"""The kinds of updates that we ask for. An edited message was answered as it was."""


class MalformedError(Exception):
    """These octets are no Update."""


class Chat(Struct, frozen=True):
    """Where something was said. People have chats of type `private`, whose id is theirs."""

    id: int
    type: str = ""


class Sticker(Struct, frozen=True):
    emoji: str = ""


class Message(Struct, frozen=True):
    """Something in a chat. A picture's words are its caption."""

    chat: Chat
    message_id: int = 0
    text: str = ""
    caption: str = ""
    sticker: Sticker | None = None

    @property
    def words(self) -> str:
        """What a person said with it; '' for a voice message or a place."""
        return self.text or self.caption or (self.sticker.emoji if self.sticker else "")


class User(Struct, frozen=True):
    id: int


class CallbackQuery(Struct, frozen=True, rename={"sender": "from"}):
    """Somebody pressed a button; `data` is what it says. `message` is missing if it is too old."""

    id: str
    sender: User
    data: str = ""
    message: Message | None = None


class Member(Struct, frozen=True):
    """What the bot is in a chat: `kicked` where it is blocked, else `member`."""

    status: str


class Membership(Struct, frozen=True):
    """What the bot is in a chat has changed."""

    chat: Chat
    new_chat_member: Member


class Update(Struct, frozen=True):
    """One thing that happened; `update_id` is the same when it is told again."""

    update_id: int
    message: Message | None = None
    callback_query: CallbackQuery | None = None
    my_chat_member: Membership | None = None


class _Polled(Struct, frozen=True):
    result: list[Raw]


class _Numbered(Struct, frozen=True):
    update_id: int


_decode = msgspec.json.Decoder(Update).decode
_decode_polled = msgspec.json.Decoder(_Polled).decode
_decode_number = msgspec.json.Decoder(_Numbered).decode


def read(octets: bytes) -> Update:
    """The update that a webhook's body holds. Raises MalformedError."""
    try:
        return _decode(octets)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(type(error).__name__) from None


def read_polled(octets: bytes) -> tuple[list[Update], int, int | None]:
    """What getUpdates answered: the updates, how many could not be read, and the highest number
    of all (None: there were none). Raises MalformedError if it is no such answer."""
    updates: list[Update] = []
    last: int | None = None
    try:
        raws = _decode_polled(octets).result
        for raw in raws:
            number = _decode_number(raw).update_id
            last = number if last is None else max(last, number)
            try:
                updates.append(read(bytes(raw)))
            except MalformedError:
                continue
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise MalformedError(type(error).__name__) from None
    return updates, len(raws) - len(updates), last


def heard(update: Update, channel: str, bot_id: str) -> Reply | None:
    """What a person said by it, to the bot alone; None for groups and for all else."""
    source_id = f"{bot_id}/{update.update_id}"
    if update.callback_query is not None:
        pressed = update.callback_query
        if pressed.message is not None and pressed.message.chat.id != pressed.sender.id:
            return None
        return Reply(channel, str(pressed.sender.id), pressed.data, source_id, bot_id)
    if update.message is not None and update.message.chat.type == "private":
        said = update.message
        return Reply(channel, str(said.chat.id), said.words, source_id, bot_id)
    return None


def presence(update: Update, channel: str) -> Presence | None:
    """Whether a person has blocked the bot by it, or taken it back; None for all else."""
    changed = update.my_chat_member
    if changed is None or changed.chat.type != "private":
        return None
    return Presence(channel, str(changed.chat.id), changed.new_chat_member.status != "kicked")
