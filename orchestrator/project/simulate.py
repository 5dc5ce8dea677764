"""A whole audience through all journeys together, for so many days, on a skipped clock.

Each person lives alone (`Life`: production's decisions, contact policy, points and rendering), so
that several processes share the audience; what they counted is the same whoever counted it. What
people would share is looked at afterwards: carriers, paces, and the stock of rewards.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any

from msgspec import Struct, msgpack
from msgspec.structs import replace

from orchestrator.core.effects import Suppress
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.core.scene import Halt, Scene
from orchestrator.core.triggers import Triggers
from orchestrator.core.verdict import LACKING
from orchestrator.project.asked import lists_of
from orchestrator.project.audience import AudienceForm
from orchestrator.project.casting import Cast, Known, Somebody
from orchestrator.project.life import Answer, Life, Lived, runs
from orchestrator.project.load import load, load_journey
from orchestrator.project.memo import remembering
from orchestrator.project.tally import Tally

GIVEN_UP_AFTER = timedelta(minutes=5)
"""So long after a message was sent, a carrier that lost it says so."""

BATCH = 200
"""People that a process plays before it says so and asks for more: so few that at the end none
waits long for the others."""


class Stage(Struct, frozen=True):
    """What is played, by whom and when: all that a process needs to know. `begin` is when the first
    day begins. `older` are the journeys' texts that real people still stand in, by path. `answer`
    says where the function is that answers replies: `bot.router:answer`."""

    files: Mapping[str, str]
    audience: AudienceForm
    begin: datetime
    days: int
    seed: int
    answer: str
    older: tuple[tuple[str, str], ...] = ()
    halted: Mapping[str, Halt] = {}
    languages: tuple[str, ...] = ()
    """In whose national tables SMS may be written."""
    now: datetime | None = None
    """When the lives of real people go on, on the first day."""

    @property
    def since(self) -> datetime:
        """From when on somebody lives."""
        return self.now or self.begin

    @property
    def end(self) -> datetime:
        return self.begin + timedelta(days=self.days)

    def project(self) -> Project:
        """The project, knowing the older versions as well."""
        project = load(self.files)
        versions = dict(project.versions)
        for text in self.older:
            with suppress(OutreachError):  # whoever stands in it fails alone
                journey = load_journey(*text)
                versions.setdefault(journey.version, journey)
        return replace(project, versions=versions)


Part = range | bytes
"""Some of the audience: the numbers of people to be made up, or real people, packed."""

_pack = msgpack.Encoder().encode
_unpack = msgpack.Decoder(tuple[Somebody, ...]).decode


def packed(people: Iterable[Somebody]) -> bytes:
    """These people, so that thousands can wait for their turn, and go to another process."""
    return _pack(tuple(people))


class Play:
    """A simulation in one process."""

    def __init__(self, stage: Stage, project: Project | None = None) -> None:
        project = project or stage.project()
        module, _, name = stage.answer.partition(":")
        self._answer: Answer = getattr(import_module(module), name)
        self._since, self._end = stage.since, stage.end
        self._project = remembering(project)
        self._cast = Cast(stage.audience, project, stage.since, stage.end, stage.seed)
        self._runs = [*runs(project, stage.since - timedelta(microseconds=1), stage.end)]
        # Nobody brings a fresh list or pack of holidays: lists are taken to be kept fresh.
        self._lists = dict.fromkeys(project.contact.lists, stage.end)
        self._halted = stage.halted
        nobody: Container[int] = frozenset[int]()
        names = lists_of(project) | self._cast.members.keys()
        self._members = {it: Known(it, self._cast.members.get(it, nobody)) for it in names}
        self._triggers = Triggers(project, self._members) if project.triggers else None
        self.tally = Tally(stage.begin, stage.days, project.paces, stage.languages)

    def play(self, part: Part) -> int:
        """These people have lived; how many they were."""
        people: Sequence[int | Somebody] = _unpack(part) if isinstance(part, bytes) else part
        for one in people:
            number = one if isinstance(one, int) else one.subscriber.id
            self._cast.shake(number)
            somebody = one if isinstance(one, Somebody) else self._cast.somebody(number)
            try:
                self._live(somebody, new=isinstance(one, int))
            except Exception as error:  # fails alone, as in production
                self.tally.broken[f"{type(error).__name__}: {error}"[:120]] += 1
        return len(people)

    def _live(self, somebody: Somebody, new: bool) -> None:
        if not new:
            for known in self._members.values():
                known.meet(somebody)
        life = Life(
            self._scene(somebody), self._answer, self._since, self._triggers, somebody.ledger()
        )
        self.tally.begin(life)
        life.expect_all(self._cast.happens(new))
        due = life.due_at()
        for at, journey, segment in self._runs:
            if due < at:
                self._until(life, at)
                due = life.due_at()
            life.now = at
            if life.bring_in(journey, segment):
                due = at
        self._until(life, self._end)
        self.tally.end(life)

    def _scene(self, it: Somebody) -> Scene:
        return Scene(
            project=self._project,
            subscriber=it.subscriber,
            enrollments=it.enrollments,
            recent=it.recent,
            account=it.account,
            conversation=it.conversation,
            claimed=it.claimed,
            lists=self._lists,
            listed=it.listed,
            halted=self._halted,
            members=self._members,
        )

    def _until(self, life: Life, end: datetime) -> None:
        tally = self.tally
        for lived in life.until(end):
            tally.note(lived, life)
            if lived.sent:
                self._carry(lived, life)
            if tally.earned:
                for at, event in self._cast.buys(lived.effects, life.scene, lived.at):
                    life.expect(at, event)
            if tally.stuck:
                self._still(lived, life)

    def _carry(self, lived: Lived, life: Life) -> None:
        """Carriers lose some of what was sent; the rest is read."""
        for message_id, message in lived.sent:
            if self._cast.loses(message):
                self.tally.failed[message.channel] += 1
                at = lived.at + GIVEN_UP_AFTER
                life.expect_failure(at, message_id, message, "undelivered")
            else:
                for at, event in self._cast.reads(message, life.scene, lived.at):
                    life.expect(at, event)

    def _still(self, lived: Lived, life: Life) -> None:
        """Whoever waits for what nobody will bring, a new pack of holidays, waits till the end
        rather than look every hour."""
        for effect in lived.effects:
            if isinstance(effect, Suppress) and _lacks(effect):
                stays = replace(life.scene.enrollments[effect.journey], due_at=self._end)
                enrollments = {**life.scene.enrollments, effect.journey: stays}
                life.scene = replace(life.scene, enrollments=enrollments)


def _lacks(effect: Suppress) -> bool:
    return effect.until is not None and effect.reason.partition(":")[0] in LACKING


def parts(people: int) -> Iterator[Part]:
    """Everybody from 1 to `people`, to be made up, part by part."""
    for first in range(1, people + 1, BATCH):
        yield range(first, min(first + BATCH, people + 1))


def simulate(
    stage: Stage,
    audience: Iterable[Part],
    jobs: int = 1,
    progress: Callable[[int], None] = lambda people: None,
) -> Tally:
    """What came of it all, played by so many processes; `progress` hears of so many more people
    each time. Raises OutreachError, also for what goes wrong in one of the processes."""
    if jobs <= 1:
        play = Play(stage)
        for part in audience:
            progress(play.play(part))
        return play.tally
    return _together(stage, iter(audience), jobs, progress)


def _together(
    stage: Stage, audience: Iterator[Part], jobs: int, progress: Callable[[int], None]
) -> Tally:
    context = multiprocessing.get_context("spawn")
    ends = [context.Pipe() for _ in range(jobs)]
    players = [
        context.Process(target=_player, args=(stage, theirs), daemon=True) for _, theirs in ends
    ]
    try:
        for player in players:
            player.start()
        for _, theirs in ends:
            theirs.close()
        return _lead(stage, {ours for ours, _ in ends}, audience, progress)
    finally:
        for ours, _ in ends:
            ours.close()
        for player in players:
            if player.pid is not None:
                player.join(timeout=5)
                player.kill()


def _lead(
    stage: Stage, ends: set[Connection], audience: Iterator[Part], progress: Callable[[int], None]
) -> Tally:
    """Whoever has played a part gets the next one, until there is none."""
    whole: Tally | None = None
    while ends:
        for end in wait(list(ends)):
            assert isinstance(end, Connection)
            try:
                said: Any = end.recv()
            except EOFError:
                raise OutreachError(
                    "a process of the simulation died", "is there enough memory? try --jobs 1"
                ) from None
            if isinstance(said, Tally):
                ends.discard(end)
                if whole is None:
                    whole = said
                else:
                    whole.merge(said)
            elif isinstance(said, int):
                progress(said)
                end.send(next(audience, None))
            else:
                raise OutreachError(*said)
    assert whole is not None
    return whole


def _player(stage: Stage, end: Connection) -> None:
    """The other process: plays parts until there are no more, then tells what it counted."""
    try:
        play = Play(stage)
        gc.freeze()
        gc.disable()  # nothing of a life goes in circles
        played = 0
        while True:
            end.send(played)
            part: Part | None = end.recv()
            if part is None:
                return end.send(play.tally)
            played = play.play(part)
    except OutreachError as error:
        end.send((error.message, error.hint))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return None  # whoever leads has gone
    except Exception as error:
        end.send((f"a bug: {type(error).__name__}: {error}", "please report it"))
    return None
