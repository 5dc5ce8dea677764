"""One subscriber's life told anew: the decisions that turns made are made again, from what they
were made of, by the project that ran then, and compared with what is on record. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import engine, points, usage
from orchestrator.core.effects import Effect, MoveTo, RerouteMessage, SendMessage, Suppress
from orchestrator.core.errors import OutreachError
from orchestrator.core.events import (
    Entered,
    Event,
    MessageFailed,
    ReplyReceived,
    SubscriberEvent,
    TimerDue,
    Triggered,
)
from orchestrator.core.model import Conversation, Enrollment, Sent, Subscriber
from orchestrator.core.narration import Line, changed, lines_of
from orchestrator.core.points import Account
from orchestrator.core.project import Project
from orchestrator.core.scene import Decision, Halt, Scene
from orchestrator.core.usage import Ledger

Answer = Callable[[Scene, ReplyReceived, datetime], Decision]

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_PLENTY = 10**9
"""What was free of a reward at some time is not kept: it is taken that there was enough."""


class Turn(Struct, frozen=True):
    """A turn that did something: when, and by which applied project."""

    at: datetime
    project: int


class Became(Struct, frozen=True):
    """Somebody other than a turn changed what we know of the person (None: so that it cannot be
    read); `new`: they came in."""

    at: datetime
    person: Subscriber | None
    new: bool


class Joined(Struct, frozen=True):
    """The person became one with somebody, whose past is theirs now: this is how they stand."""

    at: datetime
    person: Subscriber
    account: Account
    claimed: Mapping[str, int] = {}
    conversation: Conversation | None = None


class Placed(Struct, frozen=True):
    """Somebody other than a turn changed where the person stands in a journey."""

    at: datetime
    enrollment: Enrollment


class Looked(Struct, frozen=True):
    """Something that happened, and the turn that looked at it, or gave it up after too many that
    failed; `stored` is when it was told to us."""

    at: datetime
    event: Event
    given_up: bool = False
    stored: datetime = _LONG_AGO


class Found(Struct, frozen=True):
    """A message on record, with its id, or one that was kept back (`reason`)."""

    at: datetime
    journey: str
    step: str
    template: str
    id: int = 0
    channel: str = ""
    state: str = ""
    reason: str = ""
    contact_class: str = ""


class Past(Struct, frozen=True):
    """All that is kept of one subscriber's life, each in order. `halts` says how every journey was
    held up from when on."""

    turns: Sequence[Turn | Became | Placed | Joined]
    events: Sequence[Looked] = ()
    messages: Sequence[Found] = ()
    kept_back: Sequence[Found] = ()
    halts: Sequence[tuple[datetime, Mapping[str, Halt]]] = ()


class Told(Struct, frozen=True, omit_defaults=True):
    """One decision, or one change from outside: when, what led to it, by which applied project,
    which journeys it concerns, and what came of it. `differs` says where the record has something
    else."""

    at: datetime
    event: str
    project: int = 0
    journeys: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    differs: tuple[str, ...] = ()


def retold(
    past: Past,
    project: Callable[[int], Project],
    answer: Answer,
    at: Callable[[datetime], int],
    members: Mapping[str, Container[int]] = {},
) -> Iterator[Told]:
    """Every decision again, in order. `project` gives an applied project, with the journeys'
    versions that anybody stood in, by its number, and `at` the number of the one that ran at an
    instant; `members` are the lists of numbers as they are now: what they were is not kept. Raises
    OutreachError if the beginning is not kept any more."""
    first = past.turns[0] if past.turns else None
    person = first.person if isinstance(first, Became | Joined) else None
    if person is None or (isinstance(first, Became) and not first.new):
        raise OutreachError(
            "the beginning of their story is not kept, so it cannot be told anew",
            "they came before turns were kept, or longer ago than `timeline` in retention.yaml; "
            "without --replay, explain goes by what is on record",
        )
    teller = _Teller(past, project, answer, person, members)
    given_up = deque(it for it in past.events if it.given_up)
    since = first.at if isinstance(first, Joined) else None
    waiting = deque(it for it in past.events if not it.given_up and not (since and it.at < since))
    for row in past.turns:
        while waiting and waiting[0].at < row.at and isinstance(row, Turn):
            yield from _given_up(given_up, waiting[0].at)
            yield teller.turn(waiting[0].at, at(waiting[0].at), _of_one_turn(waiting))
        match row:
            case Turn():
                yield from _given_up(given_up, row.at)
                events = _of_one_turn(waiting) if waiting and waiting[0].at == row.at else []
                yield teller.turn(row.at, row.project, events)
            case Became():
                yield teller.became(row)
            case Placed():
                yield teller.placed(row)
            case Joined():
                yield teller.joined(row)
    while waiting:
        yield from _given_up(given_up, waiting[0].at)
        yield teller.turn(waiting[0].at, at(waiting[0].at), _of_one_turn(waiting))
    yield from _given_up(given_up)


def _given_up(waiting: deque[Looked], until: datetime | None = None) -> Iterator[Told]:
    """What nothing came of, since every turn about it failed, up to an instant."""
    while waiting and (until is None or waiting[0].at <= until):
        it = waiting.popleft()
        yield Told(it.at, _name(it.event), lines=(Line("was given up: every turn failed"),))


def _of_one_turn(waiting: deque[Looked]) -> list[Event]:
    """The events that the turn of the first one looked at, taken out."""
    moment = waiting[0].at
    events = []
    while waiting and waiting[0].at == moment:
        events.append(waiting.popleft().event)
    return events


class _Teller:
    """The person as they were at each moment, and what happened then."""

    def __init__(
        self,
        past: Past,
        project: Callable[[int], Project],
        answer: Answer,
        person: Subscriber,
        members: Mapping[str, Container[int]],
    ) -> None:
        self._project = project
        self._answer = answer
        self._scene: Scene | None = None
        self._person = person
        self._halts = past.halts
        self._start: dict[str, Any] = {"enrollments": {}, "members": members}
        self._messages = _by_time(past.messages)
        self._kept_back = _by_time(past.kept_back)
        self._uncounted = deque(sorted(past.events, key=lambda it: it.stored))
        self._ledger = Ledger()

    def became(self, row: Became) -> Told:
        if row.person is None:
            return Told(row.at, "changed from outside", lines=(Line("so that it cannot be read"),))
        before, self._person = self._person, row.person
        if self._scene is not None:
            self._scene = replace(self._scene, subscriber=row.person)
        if row.new:
            return Told(row.at, "came in", lines=(Line(f"known as {row.person.key}"),))
        return Told(row.at, "changed from outside", lines=tuple(changed(before, row.person)))

    def joined(self, row: Joined) -> Told:
        """Of what was before, the contact policy counts what either of them was sent."""
        before = [it for found in self._messages.values() for it in found if it.at < row.at]
        recent = sorted((it for it in before if it.journey), key=lambda it: it.id)
        self._start |= {
            "recent": tuple(
                Sent(it.at, it.template, it.journey, it.contact_class, it.id) for it in recent
            ),
            "account": row.account,
            "claimed": row.claimed,
            "conversation": row.conversation,
        }
        lines = (Line(f"known as {row.person.key}; what came before is not told"),)
        return Told(row.at, "became one with somebody", lines=lines)

    def placed(self, row: Placed) -> Told:
        it = row.enrollment
        if self._scene is None:
            self._start["enrollments"][it.journey] = it
        else:
            enrollments = {**self._scene.enrollments, it.journey: it}
            self._scene = replace(self._scene, enrollments=enrollments)
        where = it.step or it.status
        line = Line(f"stands in {it.journey} at {where}, version {it.version}")
        return Told(row.at, "moved by an operator", 0, (it.journey,), (line,))

    def turn(self, now: datetime, number: int, events: Sequence[Event]) -> Told:
        scene = self._at(now, self._project(number))
        lines: list[Line] = []
        effects: list[Effect] = []
        try:
            for event in (*events, TimerDue()):
                decision = self._decided(scene, event, now)
                lines += lines_of(scene, event, decision)
                effects += decision.effects
                scene = decision.scene
        except Exception as error:  # whatever it was that failed then or fails now
            problem = f"it fails: {type(error).__name__}: {error}"
            return Told(now, _named(events), number, (), tuple(lines), (problem,))
        self._scene = self._remembering(scene, effects, now)
        self._person = scene.subscriber
        journeys = tuple(sorted({name for it in effects if (name := _journey_of(it))}))
        differs = tuple(self._differs(effects, now))
        lines += _unkept(scene.project, lines, bool(differs))
        return Told(now, _named(events), number, journeys, tuple(lines), differs)

    def _at(self, now: datetime, project: Project) -> Scene:
        """The scene as the turn found it. On which lists they stood is known by what was kept from
        them."""
        scene = self._scene or Scene(project, self._person, **self._start)
        because = [it.reason.partition(":") for it in self._kept_back.get(now, ())]
        listed = frozenset(it[2].strip() for it in because if it[0] == "on_list")
        stale = {it[2].strip() for it in because if it[0] == "list_stale"}
        since = now - project.contact.memory
        return replace(
            scene,
            project=project,
            recent=tuple(it for it in scene.recent if it.at >= since),
            lists={name: now for name in project.contact.lists if name not in stale},
            listed=listed,
            halted=self._halted(now),
            stock=dict.fromkeys(project.rewards, _PLENTY),
            secret=b"retold",
            chance=bytes(16),
            usage=self._counted(now, project),
        )

    def _counted(self, now: datetime, project: Project) -> Mapping[str, Any]:
        """What had been counted by then; how others stood is not kept."""
        tz = usage.home(self._person.timezone, project.timezone)
        while self._uncounted and self._uncounted[0].stored <= now:
            it = self._uncounted.popleft()
            if isinstance(it.event, SubscriberEvent):
                amounts = project.feed.counting.get(it.event.name, {})
                self._ledger.take(amounts, it.event.properties, it.event.at, it.stored, tz)
        return self._ledger.figures(project.feed.measures, self._person.attributes, now, tz)

    def _halted(self, now: datetime) -> Mapping[str, Halt]:
        held: Mapping[str, Halt] = {}
        for since, halts in self._halts:
            if since <= now:
                held = halts
        return held

    def _decided(self, scene: Scene, event: Event, now: datetime) -> Decision:
        if isinstance(event, ReplyReceived):
            return self._answer(scene, event, now)
        return engine.decide(scene, event, now)

    def _remembering(self, scene: Scene, effects: Iterable[Effect], now: datetime) -> Scene:
        """The scene with the ids that its messages have on record."""
        ids = iter([it.id for it in self._messages.get(now, ()) if it.journey])
        recent = tuple(it if it.id else replace(it, id=next(ids, -1)) for it in scene.recent)
        history = (*points.lines(effects), *scene.history)[:5]
        return replace(scene, recent=recent, history=history)

    def _differs(self, effects: Iterable[Effect], now: datetime) -> Iterator[str]:
        """What was sent or kept back then and not now, or the other way round."""
        sent = Counter(
            (it.message.journey, it.message.step, it.message.template)
            for it in effects
            if isinstance(it, SendMessage)
        )
        kept = Counter(
            (it.journey, it.step, it.template, it.reason)
            for it in effects
            if isinstance(it, Suppress)
        )
        recorded = Counter((it.journey, it.step, it.template) for it in self._messages.pop(now, ()))
        refused = Counter(
            (it.journey, it.step, it.template, it.reason) for it in self._kept_back.pop(now, ())
        )
        for it in (recorded - sent).elements():
            yield f"then {it[2]} was sent, and is not now"
        for it in (sent - recorded).elements():
            yield f"then {it[2]} was not sent, and is now"
        for more in (refused - kept).elements():
            yield f"then {more[2]} was kept back ({more[3]}), and is not now"
        for more in (kept - refused).elements():
            yield f"then {more[2]} was not kept back, and is now ({more[3]})"


def _journey_of(effect: Effect) -> str:
    match effect:
        case MoveTo(enrollment):
            return enrollment.journey
        case SendMessage(message) | RerouteMessage(_, message, _):
            return message.journey
        case Suppress(journey):
            return journey
    return ""


def _by_time(found: Iterable[Found]) -> dict[datetime, list[Found]]:
    times: dict[datetime, list[Found]] = {}
    for it in found:
        times.setdefault(it.at, []).append(it)
    return times


def _unkept(project: Project, lines: Sequence[Line], differs: bool) -> Iterator[Line]:
    """That how others stood is not kept, where it was asked about, or may be why it differs."""
    measures = project.feed.measures
    names = [f"usage.{it}" for name in measures for it in measures[name].placing(name)]
    asked = [it for it in names if differs or any(it in line.saw for line in lines)]
    if asked:
        yield Line(f"how others stood then is not kept: {', '.join(asked)} is unknown here")


def _named(events: Sequence[Event]) -> str:
    """What led to a turn, for people."""
    return ", ".join(map(_name, events)) or "time"


def _name(event: Event) -> str:
    match event:
        case SubscriberEvent():
            return f"event {event.name}"
        case Triggered():
            return f"trigger of {event.journey}"
        case ReplyReceived():
            return f"reply by {event.channel}"
        case Entered():
            return f"brought into {event.journey}"
        case MessageFailed():
            return f"{event.template} {event.state}"
    return "time"
