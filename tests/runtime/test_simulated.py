"""A simulation of real people says what then really happens to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from orchestrator.core.effects import SendMessage
from orchestrator.core.grammar import Share
from orchestrator.core.model import Consent
from orchestrator.project import shipped, source
from orchestrator.project.asked import lists_of
from orchestrator.project.audience import AudienceForm, Habit, People, Replies
from orchestrator.project.casting import Cast, Somebody
from orchestrator.project.life import Life, Lived
from orchestrator.project.load import load
from orchestrator.project.simulate import Play, Stage, packed
from orchestrator.project.tally import Tally
from orchestrator.project.traffic import Letter, Replay
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import EventIn, Ingest
from orchestrator.runtime.projects import apply
from orchestrator.store import lists, sampling
from tests.runtime.installation import FILES, NOON, at, installed, number, people, turns

BEGIN = datetime(2026, 1, 7, 16, tzinfo=UTC)  # midnight in Shanghai
DAYS = 10
NOTHING = Share(0.0)

AUDIENCE = AudienceForm(
    people=(
        People(
            kind="all",
            events=(
                Habit(on="subscriber.activated", every=timedelta(days=3)),
                Habit(on="data.used", every=timedelta(days=1), with_={"mb": "1 to 60"}),
            ),
        ),
    ),
    replies=Replies(answers=NOTHING, unclear=NOTHING, writes=NOTHING, stop=NOTHING, redeem=NOTHING),
)

SENT = """
SELECT subscriber_id, queued_at, template, channel, step FROM messages
"""
DUE = "SELECT min(due_at) FROM enrollments WHERE due_at IS NOT NULL"

Message = tuple[int, datetime, str, str, str]


class Recording(Tally):
    """A tally that also remembers what was sent."""

    sent: set[Message]

    def note(self, lived: Lived, life: Life) -> None:
        super().note(lived, life)
        for effect in lived.effects:
            if isinstance(effect, SendMessage):
                it = effect.message
                self.sent.add(
                    (life.scene.subscriber.id, _ms(lived.at), it.template, it.channel, it.step)
                )


def _ms(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def real_people(office: Context) -> list[Somebody]:
    async with office.pool.acquire() as connection:
        chosen = await sampling.choose(connection)
        project = office.projects.project
        batches = [
            it
            async for it in sampling.people(
                connection, chosen, project, lists_of(project), office.clock.now()
            )
        ]
    return [Somebody.of(*it) for batch in batches for it in batch]


async def lived(office: Context, somebody: list[Somebody], stage: Stage) -> None:
    """What the audience does was reported when it happened, and every timer was heeded in time."""
    cast = Cast(stage.audience, stage.project(), stage.begin, stage.end, stage.seed)
    coming = []
    for it in somebody:
        cast.shake(it.subscriber.id)
        coming += [(moment, it.subscriber.key, event) for moment, event in cast.happens(new=False)]
    coming.sort(key=lambda it: it[:2])
    while True:
        due = await office.pool.fetchval(DUE) or stage.end
        now = min([due, *(it[0] for it in coming[:1])])
        if now >= stage.end:
            return
        then = at(office, now)
        while coming and coming[0][0] == now:
            _, key, event = coming.pop(0)
            report = EventIn(key, event.name, event.source_id, properties=event.properties)
            await Ingest(then).events([report], f"of {key}")
        await turns(then)


async def test_what_is_simulated_of_real_people_is_what_happens_to_them(
    database_url: str, redis_url: str
) -> None:
    files = shipped.programme()
    stage = Stage(files, AUDIENCE, BEGIN, DAYS, 1, "bot.router:answer")
    clock = Clock.starting(BEGIN, 0)
    async with installed(database_url, redis_url, clock=clock) as office:
        pictures = source.read_pictures(shipped.programme_folder(), files)
        async with office.pool.acquire() as connection:
            await apply(connection, files, BEGIN, pictures)
            await office.projects.follow(connection)
        await people(
            office,
            range(12),
            attributes={"name": "Ann", "network": "4g", "usage": {"mb_7d": 40}},
            consents={"marketing": Consent(True, BEGIN)},
        )
        somebody = await real_people(office)
        play = Play(stage)
        play.tally = recording = Recording(BEGIN, DAYS, {})
        recording.sent = set()
        play.play(packed(somebody))
        assert not recording.broken
        await lived(office, somebody, stage)
        real = {
            (who, _ms(queued), template, channel, step)
            for who, queued, template, channel, step in await office.pool.fetch(SENT)
        }
        assert len(real) > 60
        assert recording.sent == real

        # The same policy over the same messages changes nothing; another one does.
        async with office.pool.acquire() as connection:
            chosen = await sampling.choose(connection)
            written = [
                it
                async for batch in sampling.traffic(connection, chosen, frozenset(), BEGIN, BEGIN)
                for it in batch
            ]
        assert await _sampled_alike(office)
    tight = files["journeys/program/contact.yaml"].replace("per_day: 3", "per_day: 1")
    for contact, changes in ((files["journeys/program/contact.yaml"], False), (tight, True)):
        project = load({**files, "journeys/program/contact.yaml": contact})
        replay = Replay(project, BEGIN, stage.end)
        for it in written:
            letters = [Letter(past.sent, past.run, past.reason) for past in it.past]
            replay.judge(it.subscriber, it.listed, letters)
        assert replay.people == len({who for who, *_ in real})
        assert replay.sums.messages == len(real)
        assert (replay.sums.as_before < replay.sums.messages) is changes


COUNTING = {
    **FILES,
    "journeys/program/events.yaml": """
events: {data.used: {properties: {mb: number}, counts: {mb: event.mb}}}
usage: {mb: {}}
""",
    "journeys/heavy.yaml": """
journey: heavy
class: urgent
enter: [{on: data.used, if: usage.mb_month >= 100 and in_list('guests')}]
again: each month
steps: [{id: say, send: hello, via: [sms]}]
""",
}


async def test_what_was_counted_before_and_which_lists_they_are_on_is_known(
    database_url: str, redis_url: str
) -> None:
    stage = Stage(COUNTING, AUDIENCE, NOON, 3, 1, "bot.router:answer")
    async with installed(database_url, redis_url, COUNTING) as office:
        await people(office, range(12))
        for mb, some in ((90, range(4)), (1, range(4, 12))):
            reports = [EventIn(str(n), "data.used", f"{n}", None, {"mb": mb}) for n in some]
            await Ingest(office).events(reports, "network")
        await turns(office)
        async with office.pool.acquire() as connection:
            async with lists.loading(connection, "guests") as version:
                version.add(int(number(n)) for n in range(2, 9))
                await version.put_in_force("guests.txt", NOON, None)
            await office.lists.follow(connection, NOON)
        somebody = await real_people(office)
        play = Play(stage)
        play.tally = recording = Recording(NOON, 3, {})
        recording.sent = set()
        play.play(packed(somebody))
        assert not recording.broken
        await lived(office, somebody, stage)
        real = {
            (who, _ms(queued), template, channel, step)
            for who, queued, template, channel, step in await office.pool.fetch(SENT)
        }
    assert {template for _, _, template, *_ in real} == {"hello"}
    heavy = {who for who, *_, step in recording.sent if step == "say"}
    keys = {it.subscriber.key for it in somebody if it.subscriber.id in heavy}
    assert keys >= {"2", "3"}, "near the mark from the beginning"
    assert keys <= {str(n) for n in range(2, 9)}
    assert recording.sent == real


async def _sampled_alike(office: Context) -> bool:
    """Whether a sample is always the same for the same number, and another for another."""
    async with office.pool.acquire() as connection:
        first = await sampling.choose(connection, 5, 1)
        again = await sampling.choose(connection, 5, 1)
        others = [await sampling.choose(connection, 5, seed) for seed in range(2, 8)]
    return first == again and len(first) == 5 and any(it != first for it in others)
