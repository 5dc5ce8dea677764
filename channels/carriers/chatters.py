"""People who have opened a bot on the simulated Bot API: what they see, say and press."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from channels.carriers.handset import Shot
from orchestrator.core.model import Button

BOT_ID = 700100
BOT_NAME = "outreach_bot"
BOT = {"id": BOT_ID, "is_bot": True, "first_name": "Outreach", "username": BOT_NAME}


class Shown(Struct, frozen=True):
    """One message as the chat shows it. `photo` is the address or the `file_id` of its picture,
    `picture` what it shows if that is no address."""

    text: str
    sender: str
    at: datetime
    message_id: int
    photo: str = ""
    buttons: tuple[Button, ...] = ()
    picture: Shot | None = None


class Uttered(Struct):
    """One thing a person said; `acknowledged_at` is set once the bot has it."""

    text: str
    to: str
    at: datetime
    update_id: int
    acknowledged_at: datetime | None = None


class Api(Protocol):
    """What a person needs of the Bot API."""

    def now(self) -> datetime: ...

    def number(self) -> int: ...

    def tell(self, chatter: Chatter, what: dict[str, Any]) -> int: ...


class Chatter:
    """One person who has opened the bot. `arrived` and `said` keep the latest, oldest first."""

    def __init__(self, number: str, api: Api) -> None:
        self.number = number
        self.arrived: deque[Shown] = deque(maxlen=200)
        self.said: deque[Uttered] = deque(maxlen=200)
        self.thanked = 0
        self.blocks = False
        self._api = api

    @property
    def on(self) -> bool:
        """Has not blocked the bot."""
        return not self.blocks

    def switch_off(self) -> None:
        """The bot is blocked, and told so."""
        self.blocks = True
        self._tell_membership("kicked")

    def switch_on(self) -> None:
        """The bot is no longer blocked, and told so."""
        self.blocks = False
        self._tell_membership("member")

    def say(self, words: str, to: str = "") -> Uttered:
        """The words are on their way to the bot."""
        return self._happens(words, {"message": self._message(text=words)})

    def press(self, label: str) -> Uttered:
        """The button of that label, under the latest message that has one, is pressed."""
        for shown in reversed(self.arrived):
            for button in shown.buttons:
                if button.label == label:
                    query = {
                        "id": f"{self.number}{self._api.number()}",
                        "from": self._person(),
                        "chat_instance": "1",
                        "data": button.reply,
                        "message": {**self._message(text=shown.text), "from": BOT},
                    }
                    return self._happens(button.reply, {"callback_query": query})
        raise LookupError(f"no button {label!r}")

    def send(self, **parts: Any) -> Uttered:
        """Something else than words is on its way, such as a picture."""
        return self._happens("", {"message": self._message(**parts)})

    def _happens(self, words: str, what: dict[str, Any]) -> Uttered:
        uttered = Uttered(words, BOT_NAME, self._api.now(), self._api.tell(self, what))
        self.said.append(uttered)
        return uttered

    def _tell_membership(self, status: str) -> None:
        user = {**BOT, "is_bot": True}
        changed = {
            "chat": {"id": int(self.number), "type": "private", "first_name": "Ann"},
            "from": self._person(),
            "date": int(self._api.now().timestamp()),
            "old_chat_member": {"user": user, "status": "member"},
            "new_chat_member": {"user": user, "status": status, "until_date": 0},
        }
        self._api.tell(self, {"my_chat_member": changed})

    def _person(self) -> dict[str, Any]:
        return {"id": int(self.number), "is_bot": False, "first_name": "Ann"}

    def _message(self, **parts: Any) -> dict[str, Any]:
        return {
            "message_id": self._api.number(),
            "date": int(self._api.now().timestamp()),
            "chat": {"id": int(self.number), "type": "private", "first_name": "Ann"},
            "from": self._person(),
            **parts,
        }
