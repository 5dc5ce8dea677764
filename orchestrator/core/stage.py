"""The working copy of a scene while one decision is made, and what a step may do to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from orchestrator.core import calendar, contact, points, verdict
from orchestrator.core.chance import draw
from orchestrator.core.effects import (
    Effect,
    EmitEvent,
    MoveTo,
    SendMessage,
    SetAttributes,
    SetConsent,
    SetConversation,
    SetLocale,
    Suppress,
)
from orchestrator.core.errors import RenderError
from orchestrator.core.expression import subscriber_scope
from orchestrator.core.expression.scope import used
from orchestrator.core.grammar import TagChange
from orchestrator.core.journey import Journey, Placed
from orchestrator.core.links import rendered
from orchestrator.core.model import (
    Consent,
    Conversation,
    Enrollment,
    Message,
    Sent,
    Waiting,
    word_of,
)
from orchestrator.core.scene import Decision, Passed, Scene
from orchestrator.core.steps.base import Go, Outcome, Step


class Stage:
    """A scene being changed. Every change is also an effect."""

    def __init__(self, scene: Scene, now: datetime) -> None:
        self.project = scene.project
        self.subscriber = scene.subscriber
        self.enrollments = dict(scene.enrollments)
        self.recent = [*scene.recent]
        self.account = scene.account
        self.conversation = scene.conversation
        self.stock = scene.stock
        self.claimed = scene.claimed
        self.now = now
        self.halted = scene.halted
        self.effects: list[Effect] = []
        self.path: list[Passed] = []
        self.answering = ""
        """The beginning of the ids of steps that a reply, which is being answered, leads to."""
        self._scene = scene
        self._scope: dict[str, Any] | None = None
        self._seen: tuple[dict[str, Any] | None, Mapping[str, Any], dict[str, Any]] = (None, {}, {})

    def decision(self) -> Decision:
        """What was decided, and the scene as it then is."""
        if not self.effects:
            return Decision((), self._scene, tuple(self.path))
        scene = replace(
            self._scene,
            subscriber=self.subscriber,
            enrollments=self.enrollments,
            recent=tuple(self.recent),
            account=self.account,
            conversation=self.conversation,
            stock=self.stock,
            claimed=self.claimed,
        )
        return Decision(tuple(self.effects), scene, tuple(self.path))

    def scope(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """What conditions and templates see. `properties` are those of the event at hand."""
        if self._scope is None:
            self._scope = subscriber_scope(
                self.subscriber,
                balance_points=self.account.balance_points,
                earned_points=self.account.earned_points,
                usage=self._scene.usage,
            )
            self._scope["lists"] = self._scene.members
            self._scope["areas"] = self.project.areas
        known, of, scope = self._seen
        if known is not self._scope or of is not properties:
            scope = {**self._scope, "event": properties}
            self._seen = (self._scope, properties, scope)
        return scope

    def use(self, properties: Mapping[str, Any]) -> Mapping[str, Any]:
        """What conditions see that ask about nothing but `usage` and `event`: it is soon told."""
        return {"usage": used(self.subscriber, self._scene.usage), "event": properties}

    def journey(self, enrollment: Enrollment) -> Journey:
        """The version this enrollment stands in."""
        return self.project.versions[enrollment.version]

    def stand(self, enrollment: Enrollment) -> None:
        """The enrollment now stands so."""
        self.enrollments[enrollment.journey] = enrollment
        self.effects.append(MoveTo(enrollment))

    def enter(self, journey: Journey) -> Enrollment | None:
        """The subscriber is in `journey`, or None if its `again` does not let them in, or it is
        cancelled."""
        if self.halted.get(journey.name) == "cancelled":
            return None
        before = self.enrollments.get(journey.name)
        if before is not None and (before.open or not self._may_return(journey, before)):
            return None
        held_out = draw("control", journey.name, self.subscriber.id) < journey.control
        goal = journey.goal
        until = self.now + goal.within if held_out and goal and goal.within else None
        entered = Enrollment(
            journey=journey.name,
            version=journey.version,
            run=before.run + 1 if before else 1,
            status="control" if held_out else "active",
            step=None if held_out else journey.first,
            due_at=until if held_out else self.now,
            entered_at=self.now,
        )
        self.stand(entered)
        return entered

    def _may_return(self, journey: Journey, before: Enrollment) -> bool:
        """Whether the journey's `again` lets somebody in who entered it `before`."""
        if journey.again.monthly:
            tz = calendar.zone(self.subscriber.timezone) or calendar.UTC_ZONE
            days = (calendar.local_day(it, tz) for it in (before.entered_at, self.now))
            return len({(day.year, day.month) for day in days}) == 2
        after = journey.again.after
        return after is not None and before.entered_at + after <= self.now

    def award(
        self, award_points: int, reason: str, key: str, expires: timedelta | None = None
    ) -> None:
        """The points are the member's; `key` makes it happen once."""
        span = expires or self.project.points.expires
        self.post(
            points.award(
                self.account, award_points, key, reason, self.now, self.now + span if span else None
            )
        )

    def settle(self) -> None:
        """Points and holds that were due to expire by now have expired."""
        if self.account.lots or self.account.holds:  # few have any
            self.post(points.settle(self.account, self.now))

    def post(self, change: points.Change) -> None:
        """The account, and the stock with it, stand as `change` says."""
        self.account, effects = change
        if effects:
            self.effects += effects
            self._scope = None
            for reward, items in points.claimed(effects).items():
                if reward in self.stock:
                    self.stock = {**self.stock, reward: self.stock[reward] - items}
                self.claimed = {**self.claimed, reward: self.claimed.get(reward, 0) + items}

    def consent(self, purpose: str, consent: Consent) -> None:
        """The subscriber has given or withdrawn this consent; of two the last word is on record as
        the later, even of one turn, or if a turn that waited goes by an earlier time."""
        before = self.subscriber.consents.get(purpose)
        if before is not None and before.at >= consent.at:
            consent = replace(consent, at=before.at + timedelta(microseconds=1))
        consents = {**self.subscriber.consents, purpose: consent}
        self.subscriber = replace(self.subscriber, consents=consents)
        self.effects.append(SetConsent(purpose, consent))
        self._scope = None

    def speak(self, locale: str) -> None:
        """The subscriber is written to in this language."""
        self.subscriber = replace(self.subscriber, locale=locale)
        self.effects.append(SetLocale(locale))
        self._scope = None

    def converse(self, conversation: Conversation | None) -> None:
        """The bot's dialogue with the subscriber is now this one, or none."""
        if conversation != self.conversation:
            self.conversation = conversation
            self.effects.append(SetConversation(conversation))

    def send(self, where: Here, template: str, via: Iterable[str]) -> datetime | None:
        """The message is queued (`where.sent`), or not and the reason recorded, or put off: then
        the instant at which to try again."""
        journey = where.definition
        said = self._verdict(where, template)
        where.sent = False
        if isinstance(said, verdict.Go):
            message = self.compose(where, template, tuple(via), self.now)
            if isinstance(message, Message):
                self.effects.append(SendMessage(message))
                self.recent.append(Sent(self.now, template, journey.name, journey.contact_class))
                where.sent = True
                return None
            self._suppress(where, template, message, None)
            return None
        until = self._behind(where, said.until) if isinstance(said, verdict.Later) else None
        self._suppress(where, template, said.reason, until)
        return until

    def _verdict(self, where: Here, template: str) -> verdict.Verdict:
        """What the contact policy says of this message now. What a reply leads to at once is an
        answer: consent and lists alone are asked, not the hour or what was sent before."""
        policy, journey = self.project.contact, where.definition
        rules, around = policy.classes[journey.contact_class], self.around(where)
        if self.answering and where.step_id.startswith(self.answering):
            return verdict.may_answer(rules, self.subscriber, around)
        counted = policy.counted(self.recent)
        return verdict.may_go(
            rules, self.subscriber, counted, template, journey.name, self.now, around
        )

    def _behind(self, where: Here, until: datetime) -> datetime:
        """`until`, or just after the subscriber's other messages that were put off to then before
        this one, so that they keep their order."""
        ahead = [
            it.due_at
            for it in self.enrollments.values()
            if it.journey != where.journey
            and it.waiting is None
            and it.due_at is not None
            and until <= it.due_at < until + timedelta(seconds=1)
        ]
        return max(ahead) + timedelta(milliseconds=1) if ahead else until

    def around(self, where: Here) -> contact.Around:
        """What the contact policy meets besides the person."""
        journey = where.definition
        return self.project.contact.around(
            journey.contact_class,
            self.subscriber,
            where.entered_at,
            journey.avoid,
            self._scene.lists,
            self._scene.listed,
        )

    def compose(
        self, where: Here, template: str, via: tuple[str, ...], at: datetime
    ) -> Message | str:
        """The message, to go at `at`, rendered for the first channel of `via` that reaches the
        subscriber and has wording, or the reason why there is none."""
        wordings = self.project.messages.get(template)
        if wordings is None:  # of an older version, its file since deleted
            return "no_message"
        channels = wordings.channels(self.subscriber.locale)
        for number, word in enumerate(via or channels):
            reached = self.subscriber.reach(word)
            if reached is None or word_of(word) not in channels:
                continue
            try:
                content = rendered(wordings, word, self.subscriber.locale, where.scope())
            except RenderError as failure:
                return f"render_failed: {failure.message}"
            return Message(
                template=template,
                contact_class=where.definition.contact_class,
                channel=reached[0],
                address=reached[1],
                content=content,
                via=(via or channels)[number + 1 :],
                journey=where.journey,
                run=where.run,
                step=where.step_id,
                valid_until=self._valid_until(where, at),
            )
        return "no_channel"

    def _valid_until(self, where: Here, at: datetime) -> datetime:
        """When a message that goes at `at` is stale, or its subscriber's hours end."""
        rules = self.project.contact.classes[where.definition.contact_class]
        stale = at + rules.valid
        tz = calendar.zone(self.subscriber.timezone)
        answers = self.answering and where.step_id.startswith(self.answering)
        avoid = where.definition.avoid
        if (rules.window is None and not avoid) or rules.consent == "answer" or answers or not tz:
            return stale
        return min(stale, verdict.closing(rules, avoid, at, tz))

    def _suppress(self, where: Here, template: str, reason: str, until: datetime | None) -> None:
        self.effects.append(Suppress(where.journey, where.step_id, template, reason, until))

    def set(self, attributes: Mapping[str, Any], tags: Iterable[TagChange]) -> None:
        """The subscriber has these attributes and tags besides their other ones."""
        merged = {**self.subscriber.attributes, **attributes}
        merged = {name: value for name, value in merged.items() if value is not None}
        held = set(self.subscriber.tags)
        for change in tags:
            (held.add if change.add else held.discard)(change.tag)
        self.subscriber = replace(self.subscriber, attributes=merged, tags=frozenset(held))
        self.effects.append(SetAttributes(merged, frozenset(held)))
        self._scope = None


class Here:
    """Where a step works: one enrollment, at one step. A step may do what this offers."""

    def __init__(
        self,
        stage: Stage,
        enrollment: Enrollment,
        placed: Placed,
        properties: Mapping[str, Any],
    ) -> None:
        self._stage = stage
        self._enrollment = enrollment
        self._placed = placed
        self._properties = properties
        self.definition = stage.journey(enrollment)
        self.now = stage.now
        self.sent = False
        """Whether the last `send` queued a message."""

    @property
    def journey(self) -> str:
        return self._enrollment.journey

    @property
    def run(self) -> int:
        return self._enrollment.run

    @property
    def entered_at(self) -> datetime:
        """When this run of the journey began."""
        return self._enrollment.entered_at

    @property
    def placed_step(self) -> Step:
        return self._placed.step

    @property
    def step_id(self) -> str:
        return self._placed.id

    @property
    def subscriber_id(self) -> int:
        return self._stage.subscriber.id

    @property
    def timezone(self) -> str | None:
        return self._stage.subscriber.timezone

    @property
    def waiting(self) -> Waiting:
        """What this step waits for; only a started step asks."""
        waiting = self._enrollment.waiting
        assert waiting is not None
        return waiting

    @property
    def until(self) -> datetime:
        """When this step's wait ends; only a started step asks."""
        until = self._enrollment.due_at
        assert until is not None
        return until

    def begin(self) -> Outcome:
        """The step's work is done, or begun."""
        self._pass("")
        return self._placed.step.start(self)

    def next(self) -> Go:
        self._pass("next")
        return Go(self._placed.next)

    def into(self, label: str) -> Go:
        """Into the branch of that label; an empty one leads to what follows this step."""
        self._pass(label)
        return Go(self._placed.blocks[label])

    def _pass(self, way: str) -> None:
        self._stage.path.append(Passed(self.journey, self._placed.id, way))

    def scope(self, properties: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        return self._stage.scope(self._properties if properties is None else properties)

    def send(self, template: str, via: Iterable[str]) -> datetime | None:
        """See `Stage.send`."""
        return self._stage.send(self, template, via)

    def award(self, award_points: int, reason: str, expires: timedelta | None) -> None:
        key = f"journey:{self.journey}:{self.run}:{self.step_id}"
        self._stage.award(award_points, reason, key, expires)

    def set(self, attributes: Mapping[str, Any], tags: Iterable[TagChange]) -> None:
        self._stage.set(attributes, tags)

    def emit(self, name: str, properties: Mapping[str, Any]) -> None:
        source = f"journey:{self.journey}:{self.run}:{self.step_id}"
        self._stage.effects.append(EmitEvent(name, properties, source))

    def enroll(self, name: str) -> None:
        """The subscriber is in that journey too, if it lets them in and still exists: an older
        version of this one may name one that is gone."""
        journey = self._stage.project.journeys.get(name)
        if journey is not None:
            self._stage.enter(journey)

    def run_aside(self, label: str) -> None:
        """The branch's steps are done at once, while the enrollment stays where it is. The loader
        allows only steps that do not wait there."""
        self._pass(label)
        step = self._placed.blocks[label]
        while step is not None and step != self._placed.next:
            placed = self.definition.steps[step]
            Here(self._stage, self._enrollment, placed, self._properties).begin()
            step = placed.next
