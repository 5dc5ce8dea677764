"""A test's person lives on the skipped clock, and what comes of it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core import calendar, points
from orchestrator.core.chance import draw
from orchestrator.core.effects import Effect, MoveTo, PostEntry, Suppress
from orchestrator.core.errors import OutreachError
from orchestrator.core.events import ReplyReceived, SubscriberEvent
from orchestrator.core.grammar import At
from orchestrator.core.model import CHAT_CHANNELS, Consent, Enrollment, Message, Subscriber
from orchestrator.core.points import Account, Lot
from orchestrator.core.project import Project
from orchestrator.core.scene import Passed, Scene
from orchestrator.core.steps.base import JourneyName
from orchestrator.core.steps.split import Split
from orchestrator.core.telephone import number_of
from orchestrator.project.life import Answer, Life, Lived, runs
from orchestrator.project.trials.forms import Change, Ends, Happening, Person, Trial

_MOST_DRAWS = 200_000
_YEARS = range(1970, 2200)


class TrialError(OutreachError):
    """A test cannot be lived as it is written."""


class Came(Struct, frozen=True):
    """Something that came of it: what kind of thing (a key of `Expected`), its name, and the facts
    beside it."""

    at: At
    kind: str
    what: str | int
    facts: Mapping[str, Any] = {}


class Story(Struct, frozen=True):
    """All that came of it, in order, how things stood in the end, and every step and way that was
    taken."""

    came: tuple[Came, ...]
    ends: Ends
    passed: frozenset[Passed]


def lived(
    trial: Trial,
    people: Mapping[str, Person],
    project: Project,
    answer: Answer,
    lists: Mapping[str, frozenset[int]] = {},
) -> Story:
    """What comes of what happens, while these numbers are on lists. Raises TrialError."""
    return _Teller(trial, people, project, answer, lists).story()


class _Teller:
    def __init__(
        self,
        trial: Trial,
        people: Mapping[str, Person],
        project: Project,
        answer: Answer,
        lists: Mapping[str, frozenset[int]],
    ) -> None:
        if trial.begin.year not in _YEARS:
            raise TrialError("nobody lives then", "choose another `begin`")
        person = _person(trial, people)
        self._trial = trial
        zone = person.timezone or project.timezone
        self._tz = calendar.zone(zone) or calendar.UTC_ZONE
        self._begin = self._instant(At(1, time()))
        self._end = self._instant(trial.until)
        scene = _scene(trial, person, project, zone, self._begin)
        scene = replace(scene, members=_members(scene.subscriber, person, lists))
        self._life = Life(scene, answer, self._begin)
        self._messages: list[tuple[int, Message]] = []
        self._came: list[Came] = []
        self._passed: set[Passed] = set()
        self._stands: dict[str, Enrollment] = {}

    def story(self) -> Story:
        for number, (at, happens) in enumerate(self._happenings(), 1):
            if not self._begin <= at < self._end:
                raise TrialError("this is after the test's `until`", "let the test last longer")
            self._live(at)
            for it in self._life.arrivals(at):  # what is written first comes first
                self._tell(it)
            happens(at, f"test:{number:06}")  # the matcher goes by the order of texts
        self._live(self._end)
        return Story(tuple(self._came), self._ends(), frozenset(self._passed))

    def _happenings(self) -> list[tuple[datetime, Callable[[datetime, str], object]]]:
        """What happens and which segments bring people in, in order."""
        project = self._life.scene.project

        def written(it: Happening) -> Callable[[datetime, str], object]:
            return lambda at, source: self._happen(it, at, source)

        def run(journey: str, segment: str) -> Callable[[datetime, str], object]:
            return lambda at, source: self._life.bring_in(journey, segment)

        coming = [(self._instant(it.at), written(it)) for it in self._trial.happens]
        coming += [(at, run(j, s)) for at, j, s in runs(project, self._begin, self._end)]
        return sorted(coming, key=lambda it: it[0])

    def _live(self, end: datetime) -> None:
        for it in self._life.until(end):
            self._tell(it)

    def _happen(self, it: Happening, at: datetime, source: str) -> None:
        life = self._life
        if it.event is not None:
            life.expect(at, SubscriberEvent(it.event, at, it.with_, source))
        if it.reply is not None:
            channel = it.by or self._channel()
            address = life.scene.subscriber.addresses.get(channel, "")
            life.expect(at, ReplyReceived(it.reply, channel, address, at, source))
        if it.fails is not None:
            number, message = self._last(it.fails)
            life.expect_failure(at, number, message, it.as_)
        if it.set is not None:
            life.scene = replace(life.scene, subscriber=_changed(life.scene.subscriber, it.set, at))

    def _channel(self) -> str:
        """Where the person answers: to the last message, and with a text to a picture or a push."""
        for _, message in reversed(self._messages):
            if message.channel == "sms" or message.channel in CHAT_CHANNELS:
                return message.channel
            if "sms" in self._life.scene.subscriber.addresses:
                return "sms"
        return next(iter(self._life.scene.subscriber.addresses), "sms")

    def _last(self, template: str) -> tuple[int, Message]:
        for number, message in reversed(self._messages):
            if message.template == template:
                return number, message
        raise TrialError(f"{template!r} cannot fail: it was not sent by then")

    def _tell(self, it: Lived) -> None:
        at = self._shown(it.at)
        self._passed.update(it.path)
        for passed in it.path:
            if not passed.way:
                self._came.append(Came(at, "step", f"{passed.journey}/{passed.step}"))
        for number, message in it.sent:
            self._messages.append((number, message))
            said = "\n".join(filter(None, (message.content.subject, message.content.text)))
            facts = {"by": message.channel, "text": said or message.content.href}
            self._came.append(Came(at, "message", message.template, facts))
        for effect in it.effects:
            self._came.extend(self._told(effect, at))

    def _told(self, effect: Effect, at: At) -> Iterator[Came]:
        match effect:
            case Suppress(_, _, template, reason, None):
                yield Came(at, "withheld", template, {"because": reason})
            case Suppress(_, _, template, reason, until) if until is not None:
                facts = {"because": reason, "until": self._shown(until)}
                yield Came(at, "put_off", template, facts)
            case PostEntry():
                for amount, reason, _ in points.lines((effect,)):
                    yield Came(at, "points", amount, {"for": reason})
            case MoveTo(enrollment):
                yield from self._moved(enrollment, at)

    def _moved(self, now: Enrollment, at: At) -> Iterator[Came]:
        before, self._stands[now.journey] = self._stands.get(now.journey), now
        if before is None or before.run != now.run:
            yield Came(at, "held_out" if now.status == "control" else "enters", now.journey)
            before = None
        if now.goal_at is not None and (before is None or before.goal_at is None):
            yield Came(at, "reaches_goal", now.journey)
        if now.ended_at is not None and (before is None or before.ended_at is None):
            if now.status == "finished":
                yield Came(at, "finishes", now.journey)
            elif now.status == "left":
                yield Came(at, "leaves", now.journey, {"because": now.reason or ""})

    def _ends(self) -> Ends:
        scene = self._life.scene
        account, _ = points.settle(scene.account, self._end)
        stands = {name: it.step or it.status for name, it in scene.enrollments.items()}
        person = scene.subscriber
        return Ends(
            points=account.balance_points,
            tags=tuple(sorted(person.tags)),
            attributes=person.attributes,
            stands={
                JourneyName(name): "held_out" if it == "control" else it
                for name, it in stands.items()
            },
        )

    def _instant(self, at: At) -> datetime:
        day = self._trial.begin + timedelta(days=at.day - 1)
        return calendar.instant(day, at.time, self._tz)

    def _shown(self, moment: datetime) -> At:
        wall = moment.astimezone(self._tz)
        return At((wall.date() - self._trial.begin).days + 1, time(wall.hour, wall.minute))


def _person(trial: Trial, people: Mapping[str, Person]) -> Person:
    person, other = people[trial.who], trial.but
    if other is None:
        return person
    usual = Person()
    changed = {
        name: value
        for name in Person.__struct_fields__
        if (value := getattr(other, name)) != getattr(usual, name)
    }
    if "attributes" in changed:
        changed["attributes"] = {**person.attributes, **other.attributes}
    return replace(person, **changed)


def _scene(trial: Trial, person: Person, project: Project, zone: str, begin: datetime) -> Scene:
    before = begin - timedelta(days=30)
    consents = {name: Consent(True, before) for name in person.consents}
    consents |= {name: Consent(False, before) for name in person.refused}
    subscriber = Subscriber(
        id=_drawn(trial, project),
        key=trial.who,
        shard=0,
        locale=person.locale or project.locale,
        timezone=zone,
        attributes=person.attributes,
        tags=frozenset(person.tags),
        addresses=person.addresses,
        consents=consents,
        created_at=before,
    )
    lots = (Lot("given", person.points, None),) if person.points else ()
    fresh = datetime.combine(date.max, time(), UTC)
    return Scene(
        project,
        subscriber,
        {},
        account=Account(lots=lots, earned_points=person.points),
        lists=dict.fromkeys(project.contact.lists, fresh),
        listed=frozenset(person.lists),
    )


def _members(
    subscriber: Subscriber, person: Person, lists: Mapping[str, frozenset[int]]
) -> dict[str, frozenset[int]]:
    """The lists with the person on theirs."""
    number = number_of(subscriber.addresses.get("sms"))
    own = frozenset([number] if number is not None else [])
    return {
        name: numbers | own if name in person.lists else numbers for name, numbers in lists.items()
    }


def _drawn(trial: Trial, project: Project) -> int:
    """A number of a subscriber for whom chance decides as the test says."""
    wanted: list[Callable[[int], bool]] = []
    for name, journey in project.journeys.items():
        if journey.control:
            wanted.append(_side(name, journey.control, out=trial.chance.get(name) == "out"))
    for place, way in trial.chance.items():
        journey_name, slash, step = place.partition("/")
        if slash:
            wanted.append(_way(project, journey_name, step, way))
        elif journey_name not in project.journeys or way not in ("in", "out"):
            raise TrialError(f"{place}: {way} settles nothing", "write `JOURNEY: in` or `: out`")
    for number in range(1, _MOST_DRAWS):
        if all(fits(number) for fits in wanted):
            return number
    raise TrialError("chance never decides like this", "ask less of it at once")


def _side(journey: str, control: float, *, out: bool) -> Callable[[int], bool]:
    return lambda number: (draw("control", journey, number) < control) is out


def _way(project: Project, name: str, step: str, way: str) -> Callable[[int], bool]:
    journey = project.journeys.get(name)
    placed = journey.steps.get(step) if journey is not None else None
    if placed is None or not isinstance(placed.step, Split):
        raise TrialError(f"there is no split {name}/{step}", "name the journey and the step's id")
    split = placed.step
    if all(it.name != way for it in split.split.ways):
        raise TrialError(f"{name}/{step} has no way {way!r}")
    return lambda number: split.way(name, step, number) == way


def _changed(subscriber: Subscriber, change: Change, at: datetime) -> Subscriber:
    def merged(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
        return {name: it for name, it in {**before, **after}.items() if it is not None}

    tags = set(subscriber.tags)
    for it in change.tags:
        (tags.add if it.add else tags.discard)(it.tag)
    consents = {
        **subscriber.consents,
        **{name: Consent(True, at) for name in change.consents},
        **{name: Consent(False, at) for name in change.refused},
    }
    return replace(
        subscriber,
        locale=change.locale or subscriber.locale,
        timezone=change.timezone or subscriber.timezone,
        attributes=merged(subscriber.attributes, change.attributes),
        addresses=merged(subscriber.addresses, change.addresses),
        tags=frozenset(tags),
        consents=consents,
    )
