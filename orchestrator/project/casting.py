"""An audience by chance: who they are, what happens to them, and what messages make them do.

Everything about one person is drawn from one die that was shaken with the seed and the person's
number, so that it does not matter who plays whom, nor in which order.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from math import log
from operator import itemgetter
from random import Random
from typing import Any, Protocol
from zlib import crc32

from msgspec import Struct

from orchestrator.core.effects import Effect, PostEntry
from orchestrator.core.events import Event, ReplyReceived, SubscriberEvent
from orchestrator.core.model import (
    DESK_CHANNELS,
    SHARDS,
    Consent,
    Conversation,
    Enrollment,
    Message,
    Sent,
    Subscriber,
)
from orchestrator.core.points import Account
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.hand_over import DESK_OUTCOME
from orchestrator.core.telephone import number_of
from orchestrator.core.usage import Ledger
from orchestrator.project.audience import AudienceForm, Habit, People

STOP, REDEEM, YES = "STOP", "redeem", "yes"
"""What people write to refuse all, to buy the reward of a number, and to confirm it."""

_SURE = 0.9
"""So many confirm what they asked for, so soon on average."""
_AT_ONCE_S = 60.0

UNCLEAR = "hm"
"""An answer that fits no question."""

_RANGE = re.compile(r"(-?\d{1,9})\s+to\s+(-?\d{1,9})")
_FIRST_NUMBER = 13_000_000_000

_CHANNELS = {"sms": 1.0}
_DESK = {"accepted": 1, "refused": 2, "unreached": 1}
"""Where the audience's file says nothing."""


class Dice(Protocol):
    """What chance is drawn from."""

    def random(self) -> float: ...


class Spark:
    """A die that costs nothing to shake: SplitMix64 (Steele, Lea and Flood, 2014)."""

    def __init__(self) -> None:
        self._state = 0

    def shake(self, number: int) -> None:
        self._state = number

    def random(self) -> float:
        """A number in [0, 1)."""
        self._state = mixed = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) / 2**64


_MASK = 2**64 - 1
_SECOND = timedelta(seconds=1)

Draw = Callable[[Dice], Any]
Expected = tuple[datetime, Event]


Counted = tuple[str, date, Decimal]
"""A measure, a day, and what was counted of it on that day."""


class Somebody(Struct, frozen=True, gc=False):
    """A person as a simulation begins with them; without a project, so that they can be sent to
    another process. See `Scene`."""

    subscriber: Subscriber
    enrollments: Mapping[str, Enrollment] = {}
    recent: tuple[Sent, ...] = ()
    account: Account = Account()
    conversation: Conversation | None = None
    claimed: Mapping[str, int] = {}
    listed: frozenset[str] = frozenset()
    counted: tuple[Counted, ...] = ()

    @classmethod
    def of(cls, scene: Scene, counted: tuple[Counted, ...]) -> Somebody:
        """A real person, as a turn would find them."""
        return cls(
            scene.subscriber,
            scene.enrollments,
            scene.recent,
            scene.account,
            scene.conversation,
            scene.claimed,
            scene.listed,
            counted,
        )

    def ledger(self) -> Ledger:
        """What was counted of them before."""
        ledger = Ledger()
        for measure, day, amount in self.counted:
            ledger.add(measure, day, amount)
        return ledger


class Drawn:
    """Numbers of which so many (`share`) are on a list, always the same ones for the same seed."""

    def __init__(self, name: str, share: float, seed: int) -> None:
        self._share, self._mark = share, crc32(name.encode()) << 32 ^ seed
        self._spark = Spark()

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        self._spark.shake(self._mark ^ number)
        return self._spark.random() < self._share


class Known:
    """A list of numbers that the one who is played is on, or not, as is known of them; of all
    others `others` tell."""

    def __init__(self, name: str, others: Container[int]) -> None:
        self._name, self._others = name, others
        self._number: int | None = None
        self._on = False

    def meet(self, somebody: Somebody) -> None:
        """That one is played now."""
        self._number = number_of(somebody.subscriber.addresses.get("sms", ""))
        self._on = self._name in somebody.listed

    def __contains__(self, number: object) -> bool:
        return self._on if number == self._number else number in self._others


class Cast:
    """The audience of one simulation that lasts from `begin` to `end`."""

    def __init__(
        self, form: AudienceForm, project: Project, begin: datetime, end: datetime, seed: int
    ) -> None:
        self._form, self._project, self._begin, self._seed = form, project, begin, seed
        self._span_s = (end - begin).total_seconds()
        self._dice = Random()
        self._spark = Spark()
        self._locale = weighted(form.locales or {project.locale: 1})
        self._timezone = weighted(form.timezones or {project.timezone: 1})
        self.members: dict[str, Container[int]] = {
            name: Drawn(name, it.share, seed) for name, it in form.lists.items()
        }
        """The numbers on each list."""
        self._says = weighted(form.replies.says)
        self._desk = weighted(form.desk or _DESK)
        self._channels = {name: it.share for name, it in form.channels.items()} or _CHANNELS
        self._kind = weighted({number: it.weight for number, it in enumerate(form.people)})
        self._kinds = [_Kind(it) for it in form.people]
        self._arrives = drawing(form.arrive.with_ if form.arrive else {})
        self._prompts: dict[str, list[tuple[float, str, float, Draw]]] = {}
        for it in form.prompted:
            prompt = (it.share.share, it.on, it.within.total_seconds(), drawing(it.with_))
            self._prompts.setdefault(it.by, []).append(prompt)
        self._after_s = max(1.0, form.replies.after.total_seconds())
        self._failures = {name: it.share for name, it in form.failures.items() if it.share}
        self._answers = _answers(project)
        self._costs = [(it.cost_points, no) for no, it in enumerate(project.rewards.values(), 1)]
        self._cheapest = min(self._costs, default=(0, 0))[0]
        self._count = self._mark = 0
        self._kind_now = self._kinds[0]

    def shake(self, number: int) -> None:
        """From now on chance is that of the person of this number."""
        self._dice.seed(self._seed << 64 | number)
        self._mark = int(self._dice.random() * 2**53)
        self._kind_now = self._kinds[self._kind(self._dice)]
        self._count = 0

    def somebody(self, number: int) -> Somebody:
        """The person of this number, from 1, for whom the die was shaken."""
        form, dice = self._form, self._dice
        phone = f"+86{_FIRST_NUMBER + number}"
        listed = {name for name, numbers in self.members.items() if int(phone) in numbers}
        return Somebody(
            Subscriber(
                id=number,
                key=f"p{number}",
                shard=number % SHARDS,
                locale=self._locale(dice),
                timezone=self._timezone(dice),
                attributes=self._kind_now.attributes(dice),
                tags=self._kind_now.tags,
                addresses={
                    name: phone if name in ("sms", "mms", "wap_push") else f"{name}-{number}"
                    for name, share in self._channels.items()
                    if dice.random() < share
                },
                consents={
                    purpose: Consent(True, self._begin)
                    for purpose, it in form.consents.items()
                    if dice.random() < it.share
                },
                created_at=self._begin,
            ),
            listed=frozenset(listed),
        )

    def happens(self, new: bool) -> list[Expected]:
        """What happens to them of itself, in order of time; they may be `new` only if nobody knows
        them yet."""
        random, begin, span_s = self._dice.random, self._begin, self._span_s
        coming: list[Expected] = []
        since_s = 0.0
        arrive = self._form.arrive
        if new and arrive is not None and random() < arrive.share.share:
            since_s = random() * min(arrive.within.total_seconds(), span_s)
            at = begin + int(since_s) * _SECOND
            coming.append((at, self._event(arrive.on, at, self._arrives(self._dice))))
        for on, mean_s, properties in self._kind_now.habits:
            at_s = since_s - log(1.0 - random()) * mean_s
            while at_s < span_s:
                at = begin + int(at_s) * _SECOND
                self._count += 1
                event = SubscriberEvent(on, at, properties(self._dice), f"e{self._count}")
                coming.append((at, event))
                at_s -= log(1.0 - random()) * mean_s
        coming.sort(key=itemgetter(0))
        return coming

    def loses(self, message: Message) -> bool:
        """Whether the carrier gives up on it. What comes of one message is drawn for itself, so
        that it is the same however many others there are."""
        self._shake_for(f"{message.journey}:{message.step}:{message.run}:{message.channel}")
        share = self._failures.get(message.channel)
        return share is not None and self._spark.random() < share

    def reads(self, message: Message, scene: Scene, now: datetime) -> Iterator[Expected]:
        """What somebody does who got this message, of which was asked before whether it is lost."""
        if not message.journey:
            if scene.account.holds and self._spark.random() < _SURE:
                yield self._writes(YES, message, now, _AT_ONCE_S)
            return
        random, replies = self._spark.random, self._form.replies
        if message.channel in DESK_CHANNELS:
            at = self._later(now, self._after_s)
            what = {"outcome": self._desk(self._spark), "channel": message.channel, "by": "desk"}
            said = {"journey": message.journey, "run": message.run, "step": message.step}
            yield at, self._event(DESK_OUTCOME, at, what | said)
            return
        for share, on, within_s, properties in self._prompted(message.template):
            if random() < share:
                at = now + (1 + int(random() * within_s)) * _SECOND
                yield at, self._event(on, at, properties(self._spark))
        if random() < replies.stop.share:
            yield self._writes(STOP, message, now, self._after_s)
            return
        answers = self._answers.get((message.journey, message.step))
        if answers is not None:
            if random() < replies.answers.share:
                unclear = not answers or random() < replies.unclear.share
                text = UNCLEAR if unclear else answers[int(random() * len(answers))]
                yield self._writes(text, message, now, self._after_s)
        elif replies.says and random() < replies.writes.share:
            yield self._writes(self._says(self._spark), message, now, self._after_s)

    def buys(self, effects: Iterable[Effect], scene: Scene, now: datetime) -> Iterator[Expected]:
        """Whoever has just come to have enough for a reward may ask for one that they can pay."""
        share, cheapest = self._form.replies.redeem.share, self._cheapest
        balance = scene.account.balance_points
        for effect in effects if share and 0 < cheapest <= balance else ():
            if not isinstance(effect, PostEntry) or effect.debit != "issued":
                continue
            if balance - effect.points >= cheapest:
                continue
            self._shake_for(effect.key)
            reached = scene.subscriber.reach("sms")
            if reached is not None and self._spark.random() < share:
                enough = [number for cost, number in self._costs if cost <= balance]
                number = enough[int(self._spark.random() * len(enough))]
                yield self._said(f"{REDEEM} {number}", *reached, self._later(now, self._after_s))

    def _shake_for(self, what: str) -> None:
        self._spark.shake(crc32(what.encode()) << 32 ^ self._mark)

    def _prompted(self, template: str) -> Sequence[tuple[float, str, float, Draw]]:
        if not self._prompts:
            return ()
        return [*self._prompts.get(template, ()), *self._prompts.get("", ())]

    def _writes(self, text: str, to: Message, now: datetime, mean_s: float) -> Expected:
        """They answer where they were written to, or by SMS to what takes no answers."""
        channel = "sms" if to.channel in ("mms", "wap_push") else to.channel
        return self._said(text, channel, to.address, self._later(now, mean_s))

    def _said(self, text: str, channel: str, address: str, at: datetime) -> Expected:
        self._count += 1
        return at, ReplyReceived(text, channel, address, at, f"r{self._count}")

    def _event(self, on: str, at: datetime, properties: Mapping[str, Any]) -> SubscriberEvent:
        self._count += 1
        return SubscriberEvent(on, at, properties, f"e{self._count}")

    def _later(self, now: datetime, mean_s: float) -> datetime:
        return now + (1 + int(-log(1.0 - self._spark.random()) * mean_s)) * _SECOND


class _Kind:
    """One kind of people, ready to be drawn."""

    def __init__(self, form: People) -> None:
        self.attributes = drawing(form.attributes)
        self.tags = frozenset(form.tags)
        self.habits = [_habit(it) for it in form.events]


def _habit(form: Habit) -> tuple[str, float, Draw]:
    return form.on, max(1.0, form.every.total_seconds()), drawing(form.with_)


def _answers(project: Project) -> dict[tuple[str, str], list[str]]:
    """The answers that each question knows, by journey and step: the first word of each branch."""
    return {
        (journey.name, placed.id): [it.is_[0] for it in placed.step.reply if it.is_]
        for journey in project.journeys.values()
        for placed in journey.steps.values()
        if isinstance(placed.step, Ask)
    }


def weighted(weights: Mapping[Any, int]) -> Draw:
    """One of the names, each as often as its weight says."""
    names, sums = [*weights], [*accumulate(max(0, it) for it in weights.values())]
    if not names or not sums[-1]:
        return lambda dice: names[0] if names else ""
    if len(names) == 1:
        return lambda dice: names[0]
    return lambda dice: names[bisect(sums, dice.random() * sums[-1])]


def drawing(value: Any) -> Draw:
    """What a value of the audience's file means, to be drawn again and again."""
    if isinstance(value, Mapping):
        parts = [(name, drawing(inner)) for name, inner in value.items()]
        if len(parts) == 1:
            ((name, draw),) = parts
            return lambda dice: {name: draw(dice)}
        return lambda dice: {name: draw(dice) for name, draw in parts}
    if isinstance(value, list | tuple) and value:
        if all(type(item) in (int, float) for item in value):
            return lambda dice: value[int(dice.random() * len(value))]
        items = [drawing(item) for item in value]
        return lambda dice: items[int(dice.random() * len(items))](dice)
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        first, last = sorted((int(found[1]), int(found[2])))
        return lambda dice: first + int(dice.random() * (last - first + 1))
    return lambda dice: value
