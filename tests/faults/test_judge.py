"""The judge can say no: it finds what was planted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg

from channels.carriers.smsc import Smsc
from channels.sms import pdu
from tests.faults.catalogue import held, recovered, resent, swept, understood
from tests.faults.judge import Hurt, Lateness, Verdict, heard, judge, lateness, recovery

WITNESS = "CREATE TABLE witness_queued (message_id bigint, at timestamptz)"
CLAIMED = "CREATE TABLE witness_claimed (attempt_id bigint, at timestamptz, life text)"
SOMEBODY = """
INSERT INTO subscribers (id, key, shard, locale, attributes, addresses, consents, created_at)
OVERRIDING SYSTEM VALUE VALUES ($1, $1::bigint::text, 0, 'en', '{}', '{}', '{}', now())
"""
MESSAGE = """
INSERT INTO messages (id, subscriber_id, template, journey, contact_class, attempt_id, state,
    channel, address, content, via, run, step, queued_at)
VALUES ($1, $2, '', 'blast', '', 1, $4, 'sms', '', '{}', '{}', 1, $3, now())
"""
START = datetime(2026, 3, 2, tzinfo=UTC)


async def judged(
    database_url: str, said: dict[tuple[int, str], str], arrived: list[tuple[int, str]]
) -> Verdict:
    """The verdict on two people, of whose messages the installation says this, while that
    arrived. Everything was queued ten seconds after what came before."""
    connection = await asyncpg.connect(database_url)
    smsc = Smsc()
    verdict = Verdict(name="planted", seed=0, messages=4)
    try:
        await connection.execute(WITNESS)
        await connection.execute(CLAIMED)
        await connection.execute("INSERT INTO witness_claimed VALUES (1, $1, '')", START)
        for person in (1, 2):
            await connection.execute(SOMEBODY, person)
        for number, ((person, step), state) in enumerate(said.items(), 1):
            await connection.execute(MESSAGE, number, person, step, state)
            at = START + timedelta(seconds=10 if step == "second" else 0)
            await connection.execute("INSERT INTO witness_queued VALUES ($1, $2)", number, at)
        for person, step in arrived:
            words = f"N{person} {step}. Bye".encode()
            to = f"8613{person:09}"
            smsc.handset(to).receive(pdu.SubmitSm(destination_addr=to, short_message=words))
        await judge(connection, verdict, smsc.handsets, 20, {"2": START - timedelta(seconds=1)})
    finally:
        await connection.close()
    return verdict


ALL = [(1, "first"), (1, "second"), (2, "first")]


async def test_what_never_arrived_is_lost_unless_it_is_said_to_be_unknown(
    database_url: str,
) -> None:
    said = {(1, "first"): "accepted", (1, "second"): "unknown", (2, "first"): "rejected"}
    verdict = await judged(database_url, said, [])
    assert (verdict.lost, verdict.unknown, verdict.refused) == (1, 1, 1)
    assert "a message lost" in held(verdict)


async def test_an_arrival_too_many_is_a_duplicate_and_one_too_soon_is_early(
    database_url: str,
) -> None:
    said = dict.fromkeys(ALL, "delivered")
    verdict = await judged(database_url, said, [*ALL, (1, "first")])
    assert (verdict.duplicates, verdict.unflagged, verdict.early) == (1, 1, 1)
    assert "a duplicate" in held(verdict)
    assert "a duplicate that is not flagged" in resent(verdict)


async def test_a_claim_after_the_opt_out_and_a_state_that_is_not_true_are_seen(
    database_url: str,
) -> None:
    said = {**dict.fromkeys(ALL, "delivered"), (1, "second"): "rejected"}
    verdict = await judged(database_url, said, ALL)
    assert (verdict.after_opt_out, verdict.untrue) == (1, 1)
    assert {"a message after the opt-out", "a state that is not true"} <= set(held(verdict))


async def test_how_late_things_are_is_told(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    seconds = iter((1, 25))
    smsc = Smsc(now=lambda: START + timedelta(seconds=next(seconds)))
    try:
        await connection.execute(WITNESS)
        await connection.execute(
            "CREATE TABLE witness_due (subscriber_id bigint, due_at timestamptz)"
        )
        await connection.execute(SOMEBODY, 1)
        await connection.execute("INSERT INTO witness_due VALUES (1, $1)", START)
        await connection.execute(MESSAGE, 1, 1, "first", "delivered")
        await connection.execute("INSERT INTO witness_queued VALUES (1, $1)", START)
        for words in (b"N1 first. Bye", b"N1 second. Bye"):
            submit = pdu.SubmitSm(destination_addr="8613000000001", short_message=words)
            smsc.handset("8613000000001").receive(submit)
        assert await lateness(connection, smsc.handsets, 20) == Lateness(5.0, 5.0, 0.0)
        away = Hurt(START + timedelta(seconds=19), START + timedelta(seconds=23))
        assert await lateness(connection, smsc.handsets, 20, [away]) == Lateness(5.0, 0.0, 2.0)
        before = Hurt(START, START + timedelta(seconds=18))
        assert await lateness(connection, smsc.handsets, 20, [before], 1) == Lateness(5.0, 5.0, 0.0)
        assert await lateness(connection, smsc.handsets, 20, [before], 3) == Lateness(5.0, 0.0, 5.0)
    finally:
        await connection.close()


async def test_what_was_said_is_counted_once_and_answered_or_the_judge_says_so(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    smsc, verdict = Smsc(), Verdict(name="planted", seed=0, messages=0)
    try:
        await connection.execute(SOMEBODY, 1)
        for words in ("never stored", "stored twice"):
            smsc.handset("8613000000001").say(words, "10086")
        for number in (1, 2):
            await connection.execute(
                "INSERT INTO events (id, subscriber_id, shard, kind, name, properties, at, source,"
                " source_id) VALUES ($1, 1, 0, 'reply', 'sms', $2, now(), 'sms', $1::bigint::text)",
                number,
                '{"text": "stored twice"}',
            )
        await heard(connection, verdict, smsc.handsets)
    finally:
        await connection.close()
    counts = (verdict.replies, verdict.replies_lost, verdict.replies_twice, verdict.unanswered)
    assert counts == (2, 1, 1, 2)
    assert len(understood(verdict)) == 3


async def test_an_answer_that_is_unknown_excuses_nobody_elses(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    smsc, verdict = Smsc(), Verdict(name="planted", seed=0, messages=0)
    try:
        for person, state in ((1, "unknown"), (2, "accepted")):
            await connection.execute(SOMEBODY, person)
            smsc.handset(f"8613{person:09}").say(f"{person} asks", "10086")
            await connection.execute(MESSAGE, person, person, "", state)
            await connection.execute(
                "UPDATE messages SET contact_class = 'answer', address = $1 WHERE id = $2",
                f"+8613{person:09}",
                person,
            )
        words = pdu.SubmitSm(destination_addr="8613000000001", short_message=b"Help")
        smsc.handset("8613000000001").receive(words)
        await heard(connection, verdict, smsc.handsets)
    finally:
        await connection.close()
    assert (verdict.unanswered, verdict.answers_unknown) == (1, 1)
    assert verdict.left.startswith("8613000000002: 1 said, 0 on the phone: accepted")


def test_what_is_more_than_a_sweep_later_than_without_the_fault_is_seen() -> None:
    late = Verdict(
        name="planted", seed=0, messages=4, late_calm_s=0.5, late_hurt_s=4.0, sweep_s=2.0
    )
    assert swept(late) == ["later than a sweep"]
    late.late_hurt_s = 3.0
    assert swept(late) == []


def test_a_rate_that_is_not_reached_again_is_seen() -> None:
    half = [number / 100 for number in range(1000)]
    assert recovery(half, 2.0, 200) == (50, None)
    mended = [*half, *(10 + number / 200 for number in range(400))]
    percent, soon = recovery(mended, 2.0, 200)
    assert percent == 100
    assert soon is not None
    assert 8.5 < soon < 9.0
    assert recovery([], 2.0, 200) == (None, None)
    verdict = Verdict(name="planted", seed=0, messages=4, recovered_s=61.0)
    assert recovered(held)(verdict) == ["the rate not reached again in time"]
