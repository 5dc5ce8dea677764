"""A small world for tests of the engine: one subscriber, one project, a clock that is skipped.

The project is read by the real loader from real texts; the engine is the real engine. What the
world adds is a transcript: one line for each effect, in an author's words and local time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from orchestrator.core import calendar
from orchestrator.core.effects import (
    Effect,
    EmitEvent,
    MoveTo,
    PostEntry,
    RerouteMessage,
    SendMessage,
    SetAttributes,
    Suppress,
)
from orchestrator.core.engine import decide
from orchestrator.core.events import (
    Entered,
    Event,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    TimerDue,
)
from orchestrator.core.model import Consent, Enrollment, Message, Subscriber
from orchestrator.core.project import Project
from orchestrator.core.scene import Decision, Scene
from orchestrator.project import yaml
from orchestrator.project.load import load

DAY_ONE = "2026-03-02"
"""A Monday."""

CONTACT = """
classes:
  service: {purpose: service, consent: opt_out}
  promotion:
    purpose: marketing
    consent: opt_in
    hours: 09:00-20:00
    per_day: 1
    same_message: 30d
    other_journey: 7d
  answers: {purpose: answers, consent: answer}
"""

PROGRAM = {
    "journeys/program/contact.yaml": CONTACT,
    "journeys/program/project.yaml": "{name: demo, locale: en, timezone: Asia/Shanghai}",
}

WORDING = (
    "{%% block sms %%}%(name)s{%% endblock %%}"
    "{%% block chat %%}%(name)s{%% endblock %%}"
    "{%% block mms_subject %%}%(name)s{%% endblock %%}"
    "{%% block mms_text %%}%(name)s{%% endblock %%}"
    "{%% block wap_push_text %%}%(name)s{%% endblock %%}"
    "{%% block wap_push_href %%}http://wap.example/%(name)s{%% endblock %%}"
    "{%% block script %%}%(name)s{%% endblock %%}"
)
"""A message that says its own name on every channel."""


def plain_yaml(path: str, text: str) -> Any:
    """A YAML text as the loader understands it: `on`, `no` and `12:30` are texts."""
    node = yaml.parse(path, text)
    assert node is not None, f"{path} is empty"
    return yaml.plain_value(node)


def journey_text(name: str, steps: Any, **more: Any) -> str:
    """The YAML of a journey that is entered on the event `start`, unless `more` says otherwise."""
    written = {"journey": name, "class": "service", "enter": [{"on": "start"}], **more}
    return json.dumps({**written, "steps": steps}, ensure_ascii=False)  # which is YAML, too


def message_names(written: Any) -> Iterator[str]:
    """Every message that these steps name."""
    if isinstance(written, dict):
        for key, value in written.items():
            if key in ("send", "ask", "hand_over"):
                yield value
            yield from message_names(value)
    elif isinstance(written, list):
        for item in written:
            yield from message_names(item)


@lru_cache(maxsize=64)
def _loaded(files: frozenset[tuple[str, str]]) -> Project:
    return load(dict(files))


def project_of(
    journeys: Mapping[str, str],
    templates: Mapping[str, str] | None = None,
    program: Mapping[str, str] | None = None,
) -> Project:
    """The project of these journeys (name to YAML). Messages that `templates` does not word say
    their own name."""
    names = {
        name for path, text in journeys.items() for name in message_names(plain_yaml(path, text))
    }
    wordings = {name: WORDING % {"name": name} for name in names} | dict(templates or {})
    files = {
        **PROGRAM,
        **{f"journeys/program/{name}.yaml": text for name, text in (program or {}).items()},
        **{f"journeys/{name}.yaml": text for name, text in journeys.items()},
        **{f"templates/{name}.en.j2": text for name, text in wordings.items()},
    }
    return _loaded(frozenset(files.items()))


def ann(**changes: Any) -> Subscriber:
    """A subscriber in Shanghai whom SMS reaches, and who likes offers."""
    born = datetime(2026, 1, 1, tzinfo=UTC)
    usual = Subscriber(
        id=7,
        key="ann",
        shard=7,
        locale="en",
        timezone="Asia/Shanghai",
        attributes={"name": "Ann"},
        tags=frozenset(),
        addresses={"sms": "+8613800138000"},
        consents={"marketing": Consent(True, born)},
        created_at=born,
    )
    return replace(usual, **changes)


class World:
    """One subscriber's life: what happens to them, and the transcript of what is done about it."""

    def __init__(
        self, project: Project, subscriber: Subscriber | None = None, day_one: str = DAY_ONE
    ) -> None:
        self.scene = Scene(project, subscriber or ann(), {})
        self.tz = calendar.zone(self.scene.subscriber.timezone) or calendar.UTC_ZONE
        self._midnight = datetime.fromisoformat(day_one)
        self.now = self.moment("day 1 00:00")
        self.working = True
        self.transcript: list[str] = []
        self.effects: list[tuple[datetime, Effect]] = []
        self._happened = 0
        self.messages: list[Message] = []
        self._ids: list[int] = []

    def moment(self, text: str) -> datetime:
        """`day 2 10:00`, local, as an instant."""
        _, day, at = text.split()
        hours, minutes = map(int, at.split(":"))
        wall = self._midnight + timedelta(days=int(day) - 1, hours=hours, minutes=minutes)
        return wall.replace(tzinfo=self.tz).astimezone(UTC)

    def shown(self, moment: datetime) -> str:
        """The instant as `day 2 10:00`, local."""
        wall = moment.astimezone(self.tz)
        days = (wall.replace(tzinfo=None) - self._midnight) // timedelta(days=1)
        return f"day {days + 1} {wall:%H:%M}"

    def take(self, event: Event) -> Decision:
        """The decision about `event`, made now and carried out."""
        decision = decide(self.scene, event, self.now)
        self.scene = decision.scene
        fresh: list[int] = []
        for effect in decision.effects:
            self.effects.append((self.now, effect))
            self.transcript.append(f"{self.shown(self.now)}  {self._told(effect)}")
            if isinstance(effect, SendMessage | RerouteMessage):
                self.messages.append(effect.message)
            if isinstance(effect, SendMessage):
                fresh.append(len(self._ids) + 1)
                self._ids.append(fresh[-1])
            elif isinstance(effect, RerouteMessage):
                self._ids.append(effect.message_id)
        recent = [sent if sent.id else replace(sent, id=fresh.pop(0)) for sent in self.scene.recent]
        self.scene = replace(self.scene, recent=tuple(recent))
        for effect in decision.effects:
            if isinstance(effect, EmitEvent):
                self.take(
                    SubscriberEvent(effect.name, self.now, effect.properties, effect.source_id)
                )
        return decision

    def next_due(self) -> datetime | None:
        """When a timer is due next."""
        return min(
            (e.due_at for e in self.scene.enrollments.values() if e.open and e.due_at),
            default=None,
        )

    def go_to(self, moment: datetime) -> None:
        """The clock goes there; whatever is due on the way is done when it is due."""
        while self.working and (due := self.next_due()) is not None and due <= moment:
            self.now = max(due, self.now)
            self.take(TimerDue())
        self.now = max(self.now, moment)

    def go_on(self, days: int = 400) -> None:
        """The clock runs until nothing is left to do."""
        end = self.now + timedelta(days=days)
        while (due := self.next_due()) is not None and due <= end:
            self.go_to(due)

    def happen(self, moment: str, what: str) -> None:
        """Something happens at a local time: `event start {"a": 1}`, `reply yes`, `enter demo`,
        `message fails`, `refuses marketing`, `allows marketing`, `moves to Europe/Berlin`,
        `worker stops`, `worker starts`."""
        self.go_to(self.moment(moment))
        self._happened += 1
        verb, _, rest = what.partition(" ")
        source = f"test:{self._happened}"
        match verb:
            case "event":
                name, _, properties = rest.partition(" ")
                given = json.loads(properties or "{}")
                self.take(SubscriberEvent(name, self.now, given, source))
            case "reply":
                self.take(ReplyReceived(rest, "sms", "+8613800138000", self.now, source))
            case "enter":
                self.take(Entered(rest, self.now))
            case "message":
                self.fail()
            case "refuses" | "allows":
                consent = Consent(verb == "allows", self.now)
                person = self.scene.subscriber
                consents = {**person.consents, rest: consent}
                self.scene = replace(self.scene, subscriber=replace(person, consents=consents))
            case "moves":
                zone = rest.removeprefix("to ")
                person = self.scene.subscriber
                self.scene = replace(self.scene, subscriber=replace(person, timezone=zone))
            case "worker":
                self.working = rest == "starts"
                if self.working:
                    self.take(TimerDue())
            case _:
                raise ValueError(f"nothing called {what!r} happens in this world")

    def fail(self, number: int = -1) -> None:
        """The carrier gives up on the message of that number, the last one unless told."""
        message = self.messages[number]
        self.take(
            MessageFailed(
                message_id=self._ids[number],
                template=message.template,
                contact_class=message.contact_class,
                journey=message.journey,
                run=message.run,
                step=message.step,
                via=message.via,
                state="undelivered",
                at=self.now,
            )
        )

    def _told(self, effect: Effect) -> str:
        match effect:
            case SendMessage(message):
                return f"sends {self._worded(message)}"
            case RerouteMessage(_, message, not_before):
                when = f" at {self.shown(not_before)}" if not_before > self.now else ""
                return f"moves on to {self._worded(message)}{when}"
            case Suppress(_, _, template, reason, None):
                return f"withholds {template}: {reason}"
            case Suppress(_, _, template, reason, until) if until is not None:
                return f"puts off {template} until {self.shown(until)}: {reason}"
            case PostEntry():
                return f"earns {effect.points} points for {effect.reason}"
            case SetAttributes(attributes, tags):
                return " ".join(["sets", _compact(dict(attributes)), *sorted(tags)])
            case EmitEvent(name, properties, _):
                return f"emits {name} {_compact(dict(properties))}"
            case MoveTo(enrollment):
                name = "" if enrollment.journey == "demo" else f"{enrollment.journey}: "
                return f"{name}{self._moved(enrollment)}"
        raise ValueError(f"no words for {effect!r}")

    def _moved(self, now: Enrollment) -> str:
        if now.goal_at == self.now:
            return "reaches the goal"
        if now.ended_at is not None:
            return f"leaves: {now.reason}" if now.reason else "finishes"
        until = self.shown(now.due_at) if now.due_at else "for ever"
        if now.status == "control":
            return f"is held out until {until}"
        if now.waiting is None:
            if now.due_at == now.entered_at == self.now:
                return "enters"
            return f"comes to {now.step} at {until}"
        what = {"reply": "a reply", "event": "an event", "time": "time"}[now.waiting.kind]
        return f"waits in {now.step} for {what} until {until}"

    def _worded(self, message: Message) -> str:
        said = message.content.text or message.content.href
        what = f": {said}" if said != message.template else ""
        return f"{message.template} by {message.channel}{what}"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def lived(world: World, happenings: Iterable[tuple[str, str]]) -> list[str]:
    """The transcript once all of this has happened and nothing is left to do."""
    for moment, what in happenings:
        world.happen(moment, what)
    world.go_on()
    return world.transcript
