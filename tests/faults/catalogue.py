"""The faults, the most feared first."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from channels.carriers.handset import Handset
from tests.faults.judge import RECOVERED_WITHIN_S, SLACK_S, Verdict
from tests.faults.world import DATABASE, Fault, World, now

EXPOSED = 600
"""What one gateway may be sending to these carriers when it is killed: see
`orchestrator.runtime.deliver`."""

# What must hold


def held(verdict: Verdict) -> list[str]:
    """At most once: nothing lost without a word, nothing twice."""
    return _always(verdict) + (["a duplicate"] if verdict.duplicates else [])


def exactly(verdict: Verdict) -> list[str]:
    """Nobody can have missed anything: nothing is unknown or refused either."""
    return held(verdict) + (["not all sent"] if verdict.unknown + verdict.refused else [])


def swept(verdict: Verdict) -> list[str]:
    """The same, and what the fault touched is no more than a sweep later than everything else."""
    assert verdict.late_hurt_s is not None
    assert verdict.late_calm_s is not None
    assert verdict.sweep_s is not None
    later_s = verdict.late_hurt_s - verdict.late_calm_s
    return exactly(verdict) + (
        ["later than a sweep"] if later_s > verdict.sweep_s + SLACK_S else []
    )


def resent(verdict: Verdict) -> list[str]:
    """At least once: duplicates within the exposure, each of them flagged."""
    broken = _always(verdict)
    if verdict.unknown + verdict.refused:
        broken.append("not all sent")
    if verdict.unflagged:
        broken.append("a duplicate that is not flagged")
    if verdict.duplicates > verdict.exposure:
        broken.append("more duplicates than the exposure")
    return broken


def recovered(promise: Callable[[Verdict], list[str]]) -> Callable[[Verdict], list[str]]:
    """The same, and the carrier's rate is reached again soon."""

    def judged(verdict: Verdict) -> list[str]:
        in_time = verdict.recovered_s is not None and verdict.recovered_s <= RECOVERED_WITHIN_S
        return promise(verdict) + ([] if in_time else ["the rate not reached again in time"])

    return judged


def _always(verdict: Verdict) -> list[str]:
    counts = {
        "a message lost": verdict.lost,
        "a message early": verdict.early,
        "a message after the opt-out": verdict.after_opt_out,
        "a state that is not true": verdict.untrue,
    }
    return [what for what, count in counts.items() if count]


RATE = 200
"""Messages per second that a carrier allows whose recovery is judged."""

# Processes and servers


def kills(messages_each: int, *roles: str) -> Callable[[World], Awaitable[None]]:
    """kill -9 at random points, one for so many messages; who, is drawn."""

    async def disturb(world: World) -> None:
        world.smsc.shuffled_s = 0.2  # there is always something in flight
        for share in world.moments(max(2, world.messages // messages_each)):
            await world.reached(share)
            await asyncio.sleep(world.random.random() * 0.1)
            role = world.random.choice(roles)
            if role == "gateway":
                world.verdict.exposure += EXPOSED
            await world.kill(role)

    return disturb


async def forget(world: World) -> None:
    """FLUSHALL, and a crash of Valkey, in turn."""
    for number, share in enumerate(world.moments(20 if world.messages >= 10_000 else 4)):
        await world.reached(share)
        async with world.hurting():
            if number % 2:
                await world.servers.away(world.servers.valkey, signal.SIGKILL, 0.2)
            await world.servers.flush()


async def restart_postgres(world: World) -> None:
    """A restart, or a crash, and away for up to two seconds."""
    for number, share in enumerate(world.moments(20 if world.messages >= 10_000 else 3)):
        await world.reached(share)
        how = signal.SIGQUIT if number % 2 else signal.SIGINT
        await world.servers.away(world.servers.postgres, how, world.random.random() * 2)


async def leave_postgres(world: World) -> None:
    """PostgreSQL is away for long."""
    await world.reached(0.3)
    away_s = 180 if world.messages >= 10_000 else 10
    await world.servers.away(world.servers.postgres, signal.SIGINT, away_s)


async def two_gateways(world: World) -> None:
    """The one that holds the channel is killed, frozen, or cut from the database; one stands by."""
    for number, share in enumerate(world.moments(6)):
        await world.reached(share)
        role = await _holder(world)
        if number % 3 == 0:
            await world.kill(role)
        elif number % 3 == 1:
            world.staff[role].signal(signal.SIGSTOP)
            await asyncio.sleep(2)
            world.staff[role].signal(signal.SIGCONT)
        else:
            await world.ask(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE application_name = $1",
                world.staff[role].life,
            )


async def _holder(world: World) -> str:
    """The gateway that claimed last."""
    life = await world.ask("SELECT life FROM witness_claimed ORDER BY at DESC LIMIT 1")
    return str(life or "gateway-1").rpartition("-")[0]


# The carrier


def carrier(
    settings: dict[str, float | bool], share: float = 0.5
) -> Callable[[World], Awaitable[None]]:
    """The carrier is like this from the beginning until so much has arrived, then well again."""

    async def disturb(world: World) -> None:
        target = {
            name: world.smsc if hasattr(world.smsc, name) else world.smsc.faults
            for name in settings
        }
        before = {name: getattr(target[name], name) for name in settings}
        for name, value in settings.items():
            setattr(target[name], name, value)
        await world.reached(share, patience_s=40)
        for name, value in before.items():
            setattr(target[name], name, value)
        world.well()

    return disturb


async def throttle(world: World) -> None:
    """The carrier takes 100 a second and says so, then all."""
    world.smsc.faults.throttle_per_s = 100
    await world.reached(0.3)
    world.smsc.faults.throttle_per_s = None
    world.well()


async def cut(world: World) -> None:
    """Connections are cut, some in the middle of a PDU."""
    for number, share in enumerate(world.moments(10, until=0.5)):
        await world.reached(share)
        if number % 2:
            world.smsc.cut()
        else:
            world.smsc.cut_in_a_pdu()
        world.verdict.exposure += 100  # the window
    world.well()


async def silence(world: World) -> None:
    """Twice a connection is there, and nobody at its other end."""
    for share in world.moments(2, until=0.5):
        await world.reached(share)
        world.smsc.fall_silent()
        await asyncio.sleep(6)  # the deadline, twice
        world.smsc.forget_silent()
        world.verdict.exposure += EXPOSED
    world.well()


async def refuse_binds(world: World) -> None:
    """The first binds are refused, and so are those after a cut."""
    world.smsc.refused_binds = 3
    await world.reached(0.4)
    world.smsc.refused_binds = 2
    world.smsc.cut()
    async with asyncio.timeout(60):
        while world.smsc.refused_binds:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    world.well()


def understood(verdict: Verdict) -> list[str]:
    """Everything that was said counts once, and is answered."""
    counts = {
        "a reply lost": verdict.replies_lost,
        "a reply counted twice": verdict.replies_twice,
        "a reply without an answer": verdict.unanswered,
    }
    return held(verdict) + [what for what, count in counts.items() if count]


def losing(share: float, name: str, uncertain: str) -> Fault:
    """A carrier that took messages, and whose responses are lost."""

    async def disturb(world: World) -> None:
        world.verdict.exposure = world.messages  # each may have been taken, and may be again
        await carrier({"drop_responses": share})(world)

    return Fault(
        name=name,
        disturb=disturb,
        promise=recovered(held if uncertain == "hold" else resent),
        uncertain=uncertain,
        smpp="&window=1000",
        rate=RATE,
    )


# People and time


async def stop_in_a_blast(world: World) -> None:
    """A third of the people say STOP, at random points of a slow blast."""
    connection = await asyncpg.connect(world.servers.database_url(DATABASE))

    def hear(*notice: object) -> None:
        world.opted_out.setdefault(str(notice[-1]), now())

    await connection.add_listener("consent", hear)
    people = range(1, world.messages // 2 + 1)
    leaving = world.random.sample(people, len(people) // 3)
    moments = world.moments(len(leaving), until=0.5)
    for key, share in zip(leaving, moments, strict=True):
        await world.reached(share, patience_s=20)
        world.smsc.handset(f"8613{key:09}").say("STOP", "10086")
    async with asyncio.timeout(60):
        while len(world.opted_out) < len(leaving):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    while await world.ask("SELECT count(*) FROM attempts"):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await connection.close()


async def talk_meanwhile(world: World) -> None:
    """PostgreSQL goes away while people talk, who go on while it is away, and receipts come; it is
    killed first, and the second time asked to stop."""
    away_s = 60 if world.messages >= 1_000 else 10
    for number, how in enumerate((signal.SIGQUIT, signal.SIGINT)):
        await world.reached(0.2 + 0.3 * number)
        talk = asyncio.create_task(_talk(world, f"about {number}", away_s / 2 + 4))
        await asyncio.sleep(2)
        await world.servers.away(world.servers.postgres, how, away_s / 2)
        await talk
    async with asyncio.timeout(90):
        while any(not said.acknowledged_at for it in _phones(world) for said in it.said):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def _talk(world: World, about: str, for_s: float) -> None:
    """Two hundred people say something, each words of their own."""
    people = world.random.sample(range(1, world.messages // 2 + 1), min(200, world.messages // 2))
    for key in people:
        world.smsc.handset(f"8613{key:09}").say(f"{key} asks {about}", "10086")
        await asyncio.sleep(for_s / len(people))


async def kill_web(world: World) -> None:
    """Forty visitors of the web chat talk, and the process they talk to is killed eight times, each
    time once some more was acknowledged."""
    visitors = [world.visitors.handset(f"visitor-{n}") for n in range(40)]
    texts = [(visitor, n) for n in range(4) for visitor in visitors]

    async def talk() -> None:
        for visitor, n in texts:
            visitor.say(f"{visitor.number} asks about {n}")
            await asyncio.sleep(0.2)

    def stored() -> int:
        return sum(said.acknowledged_at is not None for it in visitors for said in it.said)

    talking = asyncio.create_task(talk())
    for share in world.moments(8):
        async with asyncio.timeout(60):
            while stored() < share * len(texts):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        await asyncio.sleep(world.random.random() * 0.05)
        await world.kill("web")
    await talking
    async with asyncio.timeout(60):
        while stored() < len(texts):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def _phones(world: World) -> list[Handset]:
    return list(world.smsc.handsets.values())


async def jump(world: World) -> None:
    """The clocks that are off jump an hour to and fro."""
    for share in world.moments(8):
        await world.reached(share)
        world.set_clocks_off(world.random.choice((-3600, -300, 300, 3600)))


async def calm(world: World) -> None:
    """Nothing goes wrong: what the judge says then must be spotless."""
    await world.reached(0.5)


def receipts_before_responses(world: World) -> Awaitable[None]:
    return carrier({"slow_s": 0.5})(world)


def ill(
    name: str,
    disturb: Callable[[World], Awaitable[None]],
    promise: Callable[[Verdict], list[str]] = exactly,
    **more: Any,
) -> Fault:
    """A fault of the carrier, after which its rate must be reached again."""
    return Fault(name=name, disturb=disturb, promise=recovered(promise), rate=RATE, **more)


CATALOGUE = (
    Fault(name="nothing", disturb=calm, promise=exactly, late=True),
    Fault(
        name="kill-hold", disturb=kills(500, "worker", "gateway"), promise=held,
        messages=10_000, short=600,
    ),
    Fault(
        name="kill-resend", disturb=kills(500, "worker", "gateway"), promise=resent,
        uncertain="resend", messages=10_000, short=600,
    ),
    Fault(
        name="kill-worker", disturb=kills(500, "worker"), promise=exactly, messages=5_000,
        late=True,
    ),
    Fault(
        name="kill-web", disturb=kill_web, promise=understood, replies=True, messages=200, pace=10,
        staff=("worker", "gateway", "web"), patience_s=200,
    ),
    Fault(
        name="valkey", disturb=forget, promise=swept, messages=10_000, short=600, late=True,
        pace=100, sweep_s=2.0,
    ),
    Fault(
        name="postgres-restarts", disturb=restart_postgres, promise=held, messages=10_000,
        late=True,
    ),
    Fault(
        name="postgres-away", disturb=leave_postgres, promise=held, patience_s=150, late=True,
    ),
    Fault(
        name="two-gateways", disturb=two_gateways, promise=held, messages=5_000,
        staff=("worker", "gateway-a", "gateway-b"), patience_s=150,
    ),
    ill("throttle", throttle, messages=4_000),
    ill("queue-full", carrier({"full": 0.2}), messages=4_000),
    losing(0.01, "responses-lost-1", "hold"),
    losing(0.10, "responses-lost-10", "hold"),
    losing(1.00, "responses-lost-100", "hold"),
    losing(0.10, "responses-lost-10-resend", "resend"),
    ill("cut", cut, held),
    ill("cut-resend", cut, resent, uncertain="resend"),
    ill("half-open", silence, held, smpp="&enquire_link=1", messages=4_000),
    ill(
        "half-open-resend", silence, resent, uncertain="resend", smpp="&enquire_link=1",
        messages=4_000,
    ),
    ill("slow", carrier({"delay_s": 1.0})),
    ill("nacks", carrier({"nacks": 0.1})),
    ill("receipts-first", receipts_before_responses),
    ill("receipts-twice", carrier({"receipts_twice": True})),
    ill("receipts-lost", carrier({"drop_receipts": 0.5})),
    ill("out-of-order", carrier({"shuffled_s": 0.5})),
    ill("binds-refused", refuse_binds, held),
    Fault(
        name="hex-ids", disturb=calm, promise=exactly,
        carrier={"message_ids": "hex", "receipt_tlvs": False},
    ),
    Fault(
        name="replies-postgres-away", disturb=talk_meanwhile, promise=understood, replies=True,
        messages=1_000, pace=25, late=True,
        carrier={"replies_named": False, "redeliver_after_s": 10.0}, patience_s=120,
    ),
    Fault(
        name="stop", disturb=stop_in_a_blast, promise=held, rate=RATE, short=300,
    ),
    Fault(
        name="clock-ahead", disturb=calm, promise=exactly, late=True, wait_s=8, clocks_off_s=300,
        staff=("worker", "worker-off", "gateway"), short=100,
    ),
    Fault(
        name="clock-behind", disturb=calm, promise=exactly, late=True, wait_s=8, clocks_off_s=-300,
        staff=("worker", "worker-off", "gateway"),
    ),
    Fault(
        name="clock-jumps", disturb=jump, promise=exactly, late=True, wait_s=8,
        staff=("worker", "worker-off", "gateway-off"),
    ),
)  # fmt: skip
