"""What people do with what arrives: answer the quiz, ask the bot, redeem, opt out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from orchestrator.cli.demo.cast import Person

_QUIZ = re.compile(r"小测验|[Qq]uiz day")
_NOT_UNDERSTOOD = re.compile(r"没看懂您的回答|did not get that. Does")
_RIGHT = re.compile(r"答对了|right! 20 points|Right! 🎉")
_LIST = re.compile(r"可兑：|可以兑换：|Reply with a number")
_CONFIRM = re.compile(r"用\d+积分兑换|for \d+ points\?")
_STOPPED = re.compile(r"退订成功|已为您退订|you are unsubscribed|You are unsubscribed")
_BOUGHT = re.compile(r"兑换成功|is yours!")
_CODE = re.compile(r"[0-9A-HJKMNP-TV-Z]{4}(?:-[0-9A-HJKMNP-TV-Z]{4}){3}")


class Phone(Protocol):
    """A simulated telephone or web chat visitor."""

    @property
    def arrived(self) -> Any: ...
    @property
    def said(self) -> Any: ...

    def say(self, words: str, to: str) -> Any: ...


class Heard(Struct, frozen=True):
    """One message as it stood on the screen, and when it came there. `word` is what a journey calls
    the channel by which it came."""

    at: datetime
    text: str
    word: str = "sms"
    subject: str = ""
    href: str = ""
    picture: bool = False


class Said(Struct, frozen=True):
    """One message typed, and when."""

    at: datetime
    text: str


class Player:
    """One person at their phone. Keeps what was on the screen, which is what the demo is judged
    by, and acts on it."""

    def __init__(self, person: Person, phone: Phone, to: str, now: Callable[[], datetime]) -> None:
        self.person = person
        self.heard: list[Heard] = []
        self._phone = phone
        self._to = to
        self._now = now
        self._seen = 0
        self._helped = False
        self._redeeming = False
        self._asked = False
        self._stopping = False
        self._known: dict[int, Any] = {}
        self._own = 0

    @property
    def said(self) -> list[Said]:
        """All that was typed on this phone, by its person or by whoever stands at the wall."""
        return [Said(said.at, said.text) for said in self._phone.said]

    @property
    def improvised(self) -> bool:
        """Whether somebody typed on this phone what was not in the script."""
        return len(self._phone.said) > self._own

    @property
    def stopped_at(self) -> datetime | None:
        """When the person said that they want no more."""
        return next((said.at for said in self.said if said.text == self.person.stop_word), None)

    @property
    def confirmation(self) -> Heard | None:
        """What said on the screen that the opt-out holds."""
        return next((heard for heard in self.heard if _STOPPED.search(heard.text)), None)

    @property
    def codes(self) -> list[str]:
        """The codes that stood on the screen."""
        return [code for heard in self.heard for code in _CODE.findall(heard.text)]

    @property
    def bought(self) -> int:
        """How many purchases were confirmed on the screen."""
        return sum(bool(_BOUGHT.search(heard.text)) for heard in self.heard)

    def look(self) -> None:
        """What is new on the screen is read, and acted upon."""
        # Each by itself: two messages may be equal, and a phone may drop one.
        for message in [it for it in self._phone.arrived if id(it) not in self._known]:
            self._known[id(message)] = message
            self.heard.append(self._heard(message))
            self._react(message.text)

    def say(self, words: str) -> None:
        """The person types this."""
        self._own += 1
        self._phone.say(words, self._to)

    def _heard(self, message: Any) -> Heard:
        subject, href = getattr(message, "subject", ""), message.href
        picture = getattr(message, "picture", None) is not None
        if self.person.channel == "webchat":
            word = "chat"
        else:
            word = "mms" if subject or picture else "wap_push" if href else "sms"
        return Heard(self._now(), message.text, word, subject, href, picture)

    def _react(self, text: str) -> None:
        person = self.person
        if self._stopping:
            return
        if person.stops_after is not None and len(self.heard) >= person.stops_after:
            self._stopping = True
            self.say(person.stop_word)
        elif _QUIZ.search(text):
            self._answer()
        elif _NOT_UNDERSTOOD.search(text) and not self._helped:
            self._helped = True
            self.say("1")
        elif _LIST.search(text) and self._redeeming:
            self.say("1")
        elif _CONFIRM.search(text) and self._redeeming:
            self._redeeming = False
            self.say("YES" if person.english else "是")
        elif _RIGHT.search(text) and person.redeems:
            self._redeeming = True
            self.say("redeem" if person.english else "兑换")
        elif person.asks and not self._asked and len(self.heard) >= 2:
            self._asked = True
            self.say(person.asks)

    def _answer(self) -> None:
        match self.person.answers:
            case "right":
                self.say("yes" if self.person.english else "是")
            case "wrong":
                self.say("2")
            case "unsure":
                self.say("what do you mean??" if self.person.english else "什么意思呀")
            case "silent":
                pass
