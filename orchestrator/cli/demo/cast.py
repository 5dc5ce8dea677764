"""Who takes part: subscribers with varied phones, plans, zones, languages and habits."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from orchestrator.core.model import Consent
from orchestrator.store.subscribers import NewSubscriber

Answers = Literal["right", "wrong", "unsure", "silent"]

_ZH_FAMILY = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_ZH_GIVEN = ("伟", "芳", "娜", "敏", "静", "丽", "强", "磊", "洋", "艳", "勇", "杰", "秀英", "子涵")
_EN_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jonas")
_PHONES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Huawei", "harmony", ("mms",)), ("Xiaomi", "android", ("mms", "wap_push")),
    ("OPPO", "android", ()), ("vivo", "android", ()), ("Apple", "ios", ("mms",)),
    ("Samsung", "android", ("mms", "wap_push")), ("Nokia", "s40", ("wap_push",)),
)  # fmt: skip
"""Each with its system, and what it takes besides SMS."""
_PLANS = ("basic", "student", "family", "unlimited")
_CITIES = ("Chengdu", "Hangzhou", "Xi'an", "Shenzhen", "Urumqi", "Harbin")
_ZONES = (
    *("Asia/Shanghai",) * 14, "Asia/Urumqi", "Asia/Tokyo", "Europe/Berlin", "America/New_York",
    "Asia/Kolkata", "Australia/Sydney",
)  # fmt: skip
_STOP_WORDS = {
    "zh": ("退订", "TD", "退订！", "ＴＤ"),
    "en": ("STOP", "Stop.", "unsubscribe", "QUIT"),
}


class Person(Struct, frozen=True):
    """One subscriber and how they behave. `stops_after` so many messages they opt out; `asks` what
    the bot is asked once; `uses_daily` megabytes a day from day 2; by `dead` channels nothing
    reaches them, though they have an address there."""

    number: int
    subscriber: NewSubscriber
    channel: Literal["sms", "webchat"]
    address: str
    answers: Answers
    stops_after: int | None
    stop_word: str
    redeems: bool
    asks: str
    uses_daily_mb: int
    dead: frozenset[str] = frozenset()

    @property
    def english(self) -> bool:
        return self.subscriber.locale == "en"

    def reached_by(self, word: str) -> bool:
        """Whether what is sent by the channel of this word arrives."""
        if word == "chat":
            return self.channel == "webchat"
        return word in self.subscriber.addresses and word not in self.dead

    def lost_by(self, via: Sequence[str], word: str) -> bool:
        """Whether one of the channels that come before this one does not reach them, though it
        should: what came by this one was refused before."""
        before = via[: via.index(word)] if word in via else ()
        return any(it in self.dead and it in self.subscriber.addresses for it in before)


def cast(count: int, now: datetime, seed: int) -> list[Person]:
    """`count` people, always the same ones for a seed."""
    chance = random.Random(seed)
    return [_person(number, now, chance) for number in range(1, count + 1)]


def _person(number: int, now: datetime, chance: random.Random) -> Person:
    english = chance.random() < 0.3
    brand, system, takes = chance.choice(_PHONES)
    chats = chance.random() < 0.12
    address = f"guest-{number:05d}" if chats else f"+86138{number:08d}"
    channel: Literal["sms", "webchat"] = "webchat" if chats else "sms"
    addresses = {channel: address} | ({} if chats else dict.fromkeys(takes, address))
    name = (
        chance.choice(_EN_NAMES)
        if english
        else chance.choice(_ZH_FAMILY) + chance.choice(_ZH_GIVEN)
    )
    attributes: dict[str, Any] = {
        "name": name,
        "phone_brand": brand,
        "phone_os": system,
        "plan": chance.choice(_PLANS),
        "network": chance.choice(("2g", *("4g",) * 8, *("5g",) * 8, *("3g",) * 3)),
        "city": chance.choice(_CITIES),
        "usage": {"mb_7d": 0, "mb_today": 0},
    }
    consents = {}
    if chance.random() < 0.93:
        consents["marketing"] = Consent(True, now, "contract", "I agree to tips and offers.")
    # One in fifty has a zone that nobody knows: for them everything fails closed.
    zone = "Mars/Olympus" if number % 50 == 25 else chance.choice(_ZONES)
    subscriber = NewSubscriber(
        key=f"demo-{number:05d}",
        locale="en" if english else "zh",
        timezone=zone,
        attributes=attributes,
        addresses=addresses,
        consents=consents,
    )
    roll = chance.random()
    answers: Answers = (
        "right" if roll < 0.5 else "wrong" if roll < 0.6 else "unsure" if roll < 0.72 else "silent"
    )
    return Person(
        number=number,
        subscriber=subscriber,
        channel=channel,
        address=address,
        answers=answers,
        stops_after=chance.randint(1, 6) if chance.random() < 0.09 else None,
        stop_word=chance.choice(_STOP_WORDS["en" if english else "zh"]),
        redeems=chance.random() < 0.6,
        asks=chance.choice(("", "", "", "help", "积分", "points", "你好，请问怎么用？", "🙂🙂🙂")),
        uses_daily_mb=chance.choice((0, 0, 5, 12, 35, 60, 250)),
        dead=_dead(number),
    )


def _dead(number: int) -> frozenset[str]:
    """Phones on which nobody ever set up MMS, whatever the maker says, and those that refuse pushes
    from whom they do not know."""
    mms = {"mms"} if number % 9 == 4 else set[str]()
    return frozenset(mms | {"wap_push"} if number % 7 == 3 else mms)


def using(people: Sequence[Person], day: int) -> list[NewSubscriber]:
    """What their usage has become by the evening of a day of the demo, for those who use data."""
    return [
        NewSubscriber(
            key=person.subscriber.key,
            attributes={
                "usage": {
                    "mb_today": person.uses_daily_mb,
                    "mb_7d": person.uses_daily_mb * min(day - 1, 7),
                }
            },
        )
        for person in people
        if person.uses_daily_mb
    ]
