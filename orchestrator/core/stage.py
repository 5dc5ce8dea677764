"""The working copy of a scene while one decision is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from orchestrator.core import calendar, contact, points, verdict
from orchestrator.core.chance import draw
from orchestrator.core.effects import (
    Effect,
    MoveTo,
    SendMessage,
    SetAttributes,
    SetConsent,
    SetConversation,
    SetLocale,
    Suppress,
)
from orchestrator.core.errors import RenderError
from orchestrator.core.expression import About, Condition, subscriber_scope
from orchestrator.core.expression.scope import person, used_by_name
from orchestrator.core.grammar import TagChange
from orchestrator.core.journey import Journey
from orchestrator.core.links import rendered
from orchestrator.core.model import (
    Consent,
    Conversation,
    Enrollment,
    Message,
    Sent,
    word_of,
)
from orchestrator.core.scene import Decision, Passed, Scene

if TYPE_CHECKING:
    from orchestrator.core.here import Here


_A_SECOND = timedelta(seconds=1)


class Stage:
    """A scene being changed. Every change is also an effect."""

    def __init__(self, scene: Scene, now: datetime) -> None:
        self.project = scene.project
        self.subscriber = scene.subscriber
        self.enrollments = scene.enrollments
        self.recent = scene.recent
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
        self.changes = 0
        """How often something that conditions see has changed."""
        self._scene = scene
        self._seen: dict[About, dict[str, Any]] = {}

    def decision(self) -> Decision:
        """What was decided, and the scene as it then is."""
        if not self.effects:
            return Decision((), self._scene, tuple(self.path))
        scene = replace(
            self._scene,
            subscriber=self.subscriber,
            enrollments=self.enrollments,
            recent=self.recent,
            account=self.account,
            conversation=self.conversation,
            stock=self.stock,
            claimed=self.claimed,
        )
        return Decision(tuple(self.effects), scene, tuple(self.path))

    def scope(self, properties: Mapping[str, Any], of_use: bool = True) -> Mapping[str, Any]:
        """What conditions and templates see. `properties` are those of the event at hand. What was
        counted need not be added up for those that ask nothing `of_use`."""
        return self._view("all" if of_use else "all but use", properties)

    def holds(self, condition: Condition, properties: Mapping[str, Any]) -> bool | None:
        """Whether the condition is true now. `properties` are those of the event at hand."""
        seen = self._seen.get(condition.about)
        if seen is None or seen["event"] is not properties:
            seen = self._view(condition.about, properties)
        return condition.holds(seen)

    def _view(self, about: About, properties: Mapping[str, Any]) -> dict[str, Any]:
        """All that is seen by who asks about that and nothing else."""
        seen = self._seen.get(about)
        if seen is not None:
            if seen["event"] is properties:
                return seen
            seen = {**seen, "event": properties}
        elif about == "use":
            used = used_by_name(self.subscriber, self._scene.usage)
            seen = {"usage": used, "event": properties}
        elif about == "person":
            seen = {"subscriber": person(self.subscriber), "event": properties}
        elif about == "event":
            seen = {"event": properties}
        else:
            seen = subscriber_scope(
                self.subscriber,
                balance_points=self.account.balance_points,
                earned_points=self.account.earned_points,
                usage=self._scene.usage if about == "all" else {},
            )
            seen["lists"] = self._scene.members
            seen["areas"] = self.project.areas
            seen["event"] = properties
        self._seen[about] = seen
        return seen

    def journey(self, enrollment: Enrollment) -> Journey:
        """The version this enrollment stands in."""
        return self.project.versions[enrollment.version]

    def stand(self, enrollment: Enrollment) -> None:
        """The enrollment now stands so."""
        self.enrollments = {**self.enrollments, enrollment.journey: enrollment}
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
        expires_at = self.now + span if span else None
        self._own(points.award(self.account, award_points, key, reason, self.now, expires_at))

    def _changed(self) -> None:
        """What conditions see is to be looked at anew."""
        self.changes += 1
        self._seen.clear()

    def settle(self) -> None:
        """Points and holds that were due to expire by now have expired."""
        due = self.account.due_at
        if due is not None and due <= self.now:
            self.post(points.settle(self.account, self.now))

    def post(self, change: points.Change) -> None:
        """The account, and the stock with it, stand as `change` says."""
        self._own(change)
        for reward, items in points.claimed(change[1]).items():
            if reward in self.stock:
                self.stock = {**self.stock, reward: self.stock[reward] - items}
            self.claimed = {**self.claimed, reward: self.claimed.get(reward, 0) + items}

    def _own(self, change: points.Change) -> None:
        self.account, effects = change
        if effects:
            self.effects += effects
            self._changed()

    def consent(self, purpose: str, consent: Consent) -> None:
        """The subscriber has given or withdrawn this consent; of two the last word is on record as
        the later, even of one turn, or if a turn that waited goes by an earlier time."""
        before = self.subscriber.consents.get(purpose)
        if before is not None and before.at >= consent.at:
            consent = replace(consent, at=before.at + timedelta(microseconds=1))
        consents = {**self.subscriber.consents, purpose: consent}
        self.subscriber = replace(self.subscriber, consents=consents)
        self.effects.append(SetConsent(purpose, consent))
        self._changed()

    def speak(self, locale: str) -> None:
        """The subscriber is written to in this language."""
        self.subscriber = replace(self.subscriber, locale=locale)
        self.effects.append(SetLocale(locale))
        self._changed()

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
                sent = Sent(self.now, template, journey.name, journey.contact_class)
                self.recent = (*self.recent, sent)
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
        rules, around = policy.rules(journey.contact_class), self.around(where)
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
            and until <= it.due_at < until + _A_SECOND
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
                content = rendered(
                    wordings, word, self.subscriber.locale, where.scope(wordings.of_use)
                )
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
        rules = self.project.contact.rules(where.definition.contact_class)
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
        self._changed()
