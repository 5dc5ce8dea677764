"""One subscriber's life on a skipped clock: it goes from one due thing to the next, and months pass
in milliseconds. Decisions, contact policy, points and rendering are production's own.

What answers replies comes in as a parameter (production's is `bot.router.answer`), so does what
carriers do: whoever plays them says `expect_failure`. What happens goes through the matcher too,
where the project has triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import calendar, engine, points, usage
from orchestrator.core.effects import (
    Effect,
    EmitEvent,
    MoveTo,
    PostEntry,
    RerouteMessage,
    SendMessage,
)
from orchestrator.core.events import (
    Entered,
    Event,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    TimerDue,
)
from orchestrator.core.expression import Condition, reading, subscriber_scope
from orchestrator.core.expression.predicate import Reading
from orchestrator.core.model import Enrollment, Message, Sent, Subscriber
from orchestrator.core.project import Project
from orchestrator.core.scene import Decision, Passed, Scene
from orchestrator.core.stage import Stage
from orchestrator.core.triggers import Triggers
from orchestrator.core.usage import Ledger
from orchestrator.project.network import Network

Answer = Callable[[Scene, ReplyReceived, datetime], Decision]
"""What is said to a reply."""

NEVER = datetime.max.replace(tzinfo=UTC)
_TIMER = TimerDue()
_LINES = 5
"""Of the points' history, that a reply may show."""


class Lived(Struct, frozen=True, gc=False):
    """One thing that happened, and all that was done about it. `sent` are the messages that were
    queued or moved on, each with its id; `path` says which steps that went through."""

    at: datetime
    event: Event
    effects: tuple[Effect, ...]
    sent: tuple[tuple[int, Message], ...] = ()
    path: tuple[Passed, ...] = ()


class Life:
    """A subscriber, as `scene` has them; what is still to happen to them; and the clock `now`.

    `scene` may be changed between steps, for what happens to people outside of turns. `triggers`
    are those of its project, with the lists of `scene.members`, if somebody compiled them already.
    `ledger` is what was counted of them already.
    """

    def __init__(
        self,
        scene: Scene,
        answer: Answer,
        now: datetime,
        triggers: Triggers | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        rewards = scene.project.rewards
        stock = scene.stock or {name: reward.stock for name, reward in rewards.items()}
        self.scene = replace(scene, stock=stock, secret=scene.secret or b"skipped clock")
        self.now = now
        self._answer = answer
        self._coming: list[tuple[datetime, int, Event]] = []
        self._expected = 0
        self._messages = 0
        self._timed: tuple[Mapping[str, Enrollment], datetime] = ({}, NEVER)
        if triggers is None and scene.project.triggers:
            triggers = Triggers(scene.project, scene.members)
        self._triggers = triggers
        self._counting = scene.project.feed.counting
        self._measures = scene.project.feed.measures
        self._heard = triggers.names if triggers is not None else frozenset[str]()
        self._unkept = scene.project.feed.matching
        self._judged = self._heard | self._unkept
        self._network: Network | None = None
        self._emitted: set[int] = set()
        self._ledger = ledger or Ledger()
        self._counted: Subscriber | None = None
        self._counted_at, self._home = now, calendar.UTC_ZONE
        self._outside: dict[str, Subscriber] = {}
        self._history = scene.history
        self._posted: list[PostEntry] = []

    def expect(self, at: datetime, event: Event) -> None:
        """It happens at that instant; of two at the same, the one said first comes first."""
        self._expected += 1
        heappush(self._coming, (at, self._expected, event))

    def expect_all(self, coming: Iterable[tuple[datetime, Event]]) -> None:
        """All of it happens, each at its instant, and each as if it were said alone."""
        for at, event in coming:
            self._expected += 1
            self._coming.append((at, self._expected, event))
        heapify(self._coming)

    def expect_failure(
        self,
        at: datetime,
        message_id: int,
        message: Message,
        state: Literal["rejected", "undelivered", "expired"],
    ) -> None:
        """Then the carrier gives up on a message of `Lived.sent`."""
        failed = MessageFailed(
            message_id,
            message.template,
            message.contact_class,
            message.journey,
            message.run,
            message.step,
            message.via,
            state,
            at,
        )
        self.expect(at, failed)

    def due_at(self) -> datetime:
        """When the next thing happens or is due, or NEVER."""
        scene, (enrollments, due) = self.scene, self._timed
        if enrollments is not scene.enrollments:
            due = self._timer_at()  # they change less often than it is asked
        if (expires_at := scene.account.due_at) is not None and expires_at < due:
            due = expires_at
        if self._network is not None:
            due = min(due, self._network.due_at or NEVER)
        if self._coming and (at := self._coming[0][0]) < due:
            return at
        return due

    def _timer_at(self) -> datetime:
        enrollments, due = self.scene.enrollments, NEVER
        for enrollment in enrollments.values():
            at = enrollment.due_at
            if at is not None and at < due and enrollment.ended_at is None:
                due = at
        self._timed = (enrollments, due)
        return due

    def until(self, end: datetime) -> Iterator[Lived]:
        """Everything that happens before `end`, in order, which is then the time. More may be
        expected and the scene changed between one and the next."""
        while (due := self.due_at()) < end:
            if (lived := self._step(due)) is not None:
                yield lived
        self.now = max(self.now, end)

    def arrivals(self, at: datetime) -> Iterator[Lived]:
        """Everything that was expected to happen by `at`, while the matcher and timers of that
        instant wait. To be called once `until(at)` is through."""
        while self._coming and self._coming[0][0] <= at:
            if (lived := self._step(self._coming[0][0])) is not None:
                yield lived

    def bring_in(self, journey: str, segment: str) -> bool:
        """What a segment's run does to this subscriber now: they are about to enter, if they are in
        the segment; whether they are."""
        person = self.scene.subscriber
        if self._outside.get(segment) is person:
            return False
        condition = self.scene.project.segments[segment]
        if lasting(condition)(subscriber_scope(person)) is not True:
            self._outside[segment] = person  # whatever they use, as long as they are the same
            return False
        self._count(None)
        if not Stage(self.scene, self.now).holds(condition, {}):
            return False
        self.expect(self.now, Entered(journey, self.now))
        return True

    def _step(self, due: datetime) -> Lived | None:
        """What is due first: what comes, before the matcher, before timers. None if the matcher
        alone had something to look at."""
        if due > self.now:
            self.now = due
        coming, network = self._coming, self._network
        if coming and coming[0][0] == due:
            _, number, event = heappop(coming)
            if (
                type(event) is SubscriberEvent
                and event.name in self._judged
                and self._report(number, event)
            ):
                return None
            return self._take(event)
        if network is not None and network.due_at == due:
            for fired in network.judge():
                self.expect(due, fired)
            return None
        return self._take(_TIMER)

    def _report(self, number: int, event: SubscriberEvent) -> bool:
        """The matcher knows of it, unless a journey emitted it; whether that is all that comes of
        it, as it is not kept."""
        emitted = number in self._emitted
        if event.name in self._heard and not emitted and self._triggers is not None:
            if self._network is None:
                self._network = Network(self._triggers)
            for fired in self._network.report(self.scene.subscriber, event):
                self.expect(self.now, fired)
        return event.name in self._unkept and not emitted

    def _count(self, event: Event | None) -> None:
        """What an event counts is counted, and conditions see how it stands today."""
        if not self._counting:
            return
        scene, now, ledger = self.scene, self.now, self._ledger
        person, news = scene.subscriber, False
        if person is not self._counted:
            self._counted, news = person, True
            self._home = usage.home(person.timezone, scene.project.timezone)
        if type(event) is SubscriberEvent and event.name in self._counting:
            amounts, news = self._counting[event.name], True
            ledger.take(amounts, event.properties, event.at, now, self._home)
        if news or not (self._counted_at == now or ledger.empty):
            self._counted_at = now
            figures = ledger.figures(self._measures, person.attributes, now, self._home)
            self.scene = replace(scene, usage=figures)

    def _take(self, event: Event) -> Lived:
        now = self.now
        self._count(event)
        if type(event) is ReplyReceived:
            chance = blake2b(f"{self._expected}:{now}".encode(), digest_size=16).digest()
            self._history = (*points.lines(self._posted), *self._history)[:_LINES]
            self._posted.clear()
            scene = replace(self.scene, chance=chance, history=self._history)
            decision = self._answer(scene, event, now)
        else:
            decision = engine.decide(self.scene, event, now)
        self.scene, effects = decision.scene, decision.effects
        if not effects:
            return Lived(now, event, (), (), decision.path)
        sent: list[tuple[int, Message]] = []
        fresh: list[int] = []
        for effect in effects:
            if type(effect) is MoveTo:
                continue
            if type(effect) is PostEntry:
                self._posted.append(effect)
            elif type(effect) is SendMessage:
                message = effect.message
                self._messages += 1
                if message.journey:  # the contact history is of journeys only
                    fresh.append(self._messages)
                sent.append((self._messages, message))
            elif type(effect) is RerouteMessage:
                sent.append((effect.message_id, effect.message))
            elif type(effect) is EmitEvent:
                emitted = SubscriberEvent(effect.name, now, effect.properties, effect.source_id)
                self.expect(now, emitted)
                self._emitted.add(self._expected)
        if fresh:
            self.scene = replace(self.scene, recent=self._numbered(fresh))
        return Lived(now, event, effects, tuple(sent), decision.path)

    def _numbered(self, fresh: list[int]) -> tuple[Sent, ...]:
        """The contact history, as far back as the policy looks; the messages at its end have these
        numbers."""
        recent = self.scene.recent
        since = self.now - self.scene.project.contact.memory
        newest = zip(recent[-len(fresh) :], fresh, strict=True)
        return (
            *[it for it in recent[: -len(fresh)] if it.at >= since],
            *[replace(it, id=number) for it, number in newest],
        )


def runs(project: Project, after: datetime, until: datetime) -> Iterator[tuple[datetime, str, str]]:
    """When segments bring people in: the instant, the journey and the segment, by instant."""
    tz = calendar.zone(project.timezone) or calendar.UTC_ZONE
    coming = [
        (calendar.next_run(after, entry.every, tz), journey.name, entry.segment, entry.every)
        for journey in project.journeys.values()
        for entry in journey.enter
        if entry.every is not None and entry.segment is not None
    ]
    while coming:
        soonest = min(coming, key=lambda it: it[:3])
        at, journey, segment, every = soonest
        if at >= until:
            return
        yield at, journey, segment
        coming[coming.index(soonest)] = (calendar.next_run(at, every, tz), journey, segment, every)


@lru_cache(maxsize=1024)
def lasting(condition: Condition) -> Reading:
    """Of what a condition asks, all that changes only with the subscriber: no use, points, lists
    or areas. Unless that is true, the condition does not hold."""
    return reading(
        it
        for it in condition.parts()
        if not it.lists() and not it.areas() and all(map(_lasts, it.names()))
    )


def _lasts(name: str) -> bool:
    root, _, attribute = name.partition(".")
    return root == "subscriber" and attribute.partition(".")[0] not in ("", "usage")
