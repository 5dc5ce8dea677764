"""Pushes through a gateway: what its codes mean, what it tells later, what it cannot do to us."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest
from msgspec.structs import replace

from channels.carriers.ppg import PpgSettings
from channels.pap import codes, control
from channels.pap.control import Answer
from channels.pap.settings import PapSettings
from orchestrator.core.delivery import Held
from orchestrator.core.errors import OutreachError
from tests.channels.contract.rig import until
from tests.channels.pap.conftest import NUMBER, START, Bench, benched


async def test_a_notice_stands_on_the_phone_with_its_link(bench: Bench) -> None:
    words = "50% off <today> & “tomorrow”: 您好 😀"
    [outcome] = await bench.channel.send([bench.message(1, words)])
    assert (outcome.result, outcome.carrier_id) == ("accepted", bench.channel.push_id(1))
    await until(bench.shown)
    assert bench.shown() == [(words, "http://wap.example/start?a=1&b=2")]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
async def test_links_to_load_and_bookmarks_arrive_too(version: str) -> None:
    async with benched(version=version) as bench:
        await bench.channel.send([bench.message(1, "x", action="execute-high")])
        await bench.channel.send([bench.message(2, "Shop", action="homepage")])
        await until(lambda: len(bench.shown()) == 2)
        link = "http://wap.example/start?a=1&b=2"
        assert sorted(bench.shown()) == [("", link), ("Shop", link)]


async def test_the_gateway_is_told_all_that_was_agreed() -> None:
    async with benched(
        source="outreach", delivery="confirmed", priority="high", ppg="ppg.carrier.example"
    ) as bench:
        await bench.channel.send([bench.message(1, valid_until=START + timedelta(hours=1))])
        [taken] = bench.ppg.taken.values()
        order = taken.order
        assert order.address == f"WAPPUSH={NUMBER}/TYPE=PLMN@ppg.carrier.example"
        assert order.before == START + timedelta(hours=1)
        assert (order.source, order.delivery, order.priority) == ("outreach", "confirmed", "high")
        assert order.notify.startswith(f"http://127.0.0.1:{bench.port}/callbacks/wap_push/results")


@pytest.mark.parametrize(
    ("code", "result", "retry"),
    [
        (1000, "accepted", "never"),
        (1001, "accepted", "never"),
        (2000, "rejected", "never"),
        (2002, "rejected", "never"),
        (2007, "accepted", "never"),
        (3000, "rejected", "later"),
        (3002, "rejected", "never"),
        (3010, "rejected", "later"),
        (4000, "unsent", "later"),
        (4001, "unsent", "later"),
        (5000, "rejected", "never"),
    ],
)
def test_the_code_in_the_body_counts(code: int, result: str, retry: str) -> None:
    outcome = codes.outcome(1, "id", Answer(code, "whatever"))
    assert (outcome.result, outcome.retry) == (result, retry)
    assert outcome.result == "accepted" or (outcome.reason and outcome.code == f"PAP {code}")


async def test_a_message_that_is_sent_twice_is_brought_once(bench: Bench) -> None:
    for _ in range(2):
        [outcome] = await bench.channel.send([bench.message(1)])
        assert outcome.result == "accepted"
    await until(bench.shown)
    assert len(bench.shown()) == 1


async def test_a_push_whose_answer_was_lost_is_asked_for_and_found() -> None:
    async with benched(deadline_s=1.0) as bench:
        bench.ppg.faults.deaf_to = lambda order: True
        [outcome] = await bench.channel.send([bench.message(1)])
    assert (outcome.result, outcome.carrier_id) == ("accepted", bench.channel.push_id(1))


@pytest.mark.parametrize(
    ("status", "result", "health"),
    [
        (302, "unsent", "down"),
        (401, "unsent", "down"),
        (404, "unsent", "down"),
        (503, "unsent", "connecting"),
    ],
)
async def test_an_http_status_without_an_answer_lets_messages_wait(
    bench: Bench, status: int, result: str, health: str
) -> None:
    bench.ppg.faults.status = status
    [outcome] = await bench.channel.send([bench.message(1)])
    assert (outcome.result, outcome.retry) == (result, "later")
    assert bench.channel.health() == health
    bench.ppg.faults.status = 0
    [waiting] = await bench.channel.send([bench.message(2)])
    assert (waiting.result, waiting.reason) == ("unsent", outcome.reason)
    assert not bench.ppg.taken


async def test_a_wrong_password_is_told_and_nothing_is_lost() -> None:
    async with benched(password="wrong") as bench:
        [outcome] = await bench.channel.send([bench.message(1)])
        assert (outcome.result, outcome.code) == ("unsent", "HTTP 401")
        assert "account" in bench.channel.trouble


@pytest.mark.parametrize("status", [200, 500, 502])
async def test_an_answer_that_says_nothing_is_unknown(bench: Bench, status: int) -> None:
    bench.ppg.faults.status = status
    [outcome] = await bench.channel.send([bench.message(1)])
    assert outcome.result == "unknown"


async def test_what_becomes_of_a_push_is_a_receipt_by_its_id(bench: Bench) -> None:
    bench.ppg.faults.undeliverable = lambda number: number.endswith("1")
    await bench.channel.send([bench.message(1), bench.message(2, address="+8613800138001")])
    await until(lambda: len(bench.kept.receipts) == 2)
    states = {receipt.carrier_id: receipt.state for receipt in bench.kept.receipts}
    ids = [bench.channel.push_id(1), bench.channel.push_id(2)]
    assert states == dict(zip(ids, ["delivered", "undelivered"], strict=True))


async def test_a_notification_is_noted_only_once_it_is_stored(bench: Bench) -> None:
    bench.ppg.settings = PpgSettings(again_after_s=0.05)
    bench.kept.broken = True
    await bench.channel.send([bench.message(1)])
    await until(lambda: bench.ppg.noted)
    assert bench.ppg.noted[0].code == codes.SERVICE_UNAVAILABLE
    bench.kept.broken = False
    await until(lambda: bench.kept.receipts)


async def test_without_a_public_address_no_receipts_are_promised() -> None:
    async with benched(public_url="") as bench:
        assert not bench.channel.capabilities.receipts
        await bench.channel.send([bench.message(1)])
        [taken] = bench.ppg.taken.values()
        assert taken.order.notify == ""


async def test_a_push_that_is_not_brought_yet_can_be_cancelled(bench: Bench) -> None:
    bench.network.handset(NUMBER).switch_off()
    message = bench.message(1)
    await bench.channel.send([message])
    found = await bench.channel.state(1)
    assert found is not None
    assert found.state == "pending"
    [outcome] = await bench.channel.cancel([message])
    assert outcome.result == "accepted"
    await until(lambda: bench.kept.receipts)
    assert bench.kept.receipts[0].state == "undelivered"
    assert bench.shown() == []
    [late] = await bench.channel.cancel([message])
    assert (late.result, late.code) == ("rejected", "PAP 2008")
    assert await bench.channel.state(2) is None


async def test_the_gateway_says_what_became_of_each_push(bench: Bench) -> None:
    await bench.channel.send([bench.message(1)])
    await until(bench.shown)
    bench.network.handset(NUMBER).switch_off()
    await bench.channel.send([bench.message(2)])
    held = [Held(bench.message(number)) for number in (1, 2, 3)]
    fates = {it.message_id: it for it in await bench.channel.query(held)}
    assert [fates[n].word for n in (1, 2, 3)] == ["delivered", "held", "missing"]
    assert fates[1].carrier_id == bench.channel.push_id(1)
    assert fates[3].code == "PAP 2004"
    bench.ppg.faults.status = 500
    assert [it.word for it in await bench.channel.query(held)] == ["silent"] * 3


async def test_a_push_is_recalled_or_the_gateway_says_why_not(bench: Bench) -> None:
    await bench.channel.send([bench.message(1)])
    await until(bench.shown)
    bench.network.handset(NUMBER).switch_off()
    await bench.channel.send([bench.message(2)])
    held = [Held(bench.message(number)) for number in (1, 2, 3)]
    held.append(Held(bench.message(4, address="nobody")))
    fates = {it.message_id: it for it in await bench.channel.recall(held)}
    words = ["withdrawn", "recalled", "withdrawn", "cannot"]
    assert [fates[n].word for n in (1, 2, 3, 4)] == words
    [again] = await bench.channel.recall(held[1:2])
    assert again.word == "recalled"
    bench.network.handset(NUMBER).switch_on()
    await until(lambda: len(bench.kept.receipts) == 2)
    await until(lambda: not bench.shown())
    bench.ppg.faults.status = 503
    [silent] = await bench.channel.recall(held[:1])
    assert (silent.word, silent.code) == ("silent", "HTTP 503")


async def test_a_push_that_was_delivered_is_deleted_on_the_phone_once(bench: Bench) -> None:
    """By another one, of which nobody sends a notification; nobody knows whether phones obey."""
    one, two = bench.message(1, "first"), bench.message(2, "second")
    await bench.channel.send([one, two])
    await until(lambda: len(bench.shown()) == 2 and len(bench.kept.receipts) == 2)
    for _ in range(2):
        [fate] = await bench.channel.recall([Held(one)])
        assert (fate.word, fate.carrier_id) == ("withdrawn", "")
        await until(lambda: len(bench.shown()) == 1)
    assert [words for words, _ in bench.shown()] == ["second"]
    names = [*bench.ppg.taken]
    assert len(names) == 3, "the gateway took the deletion once"
    assert bench.ppg.taken[names[2]].order.notify == ""
    bench.ppg.faults.code = 4001
    [fate] = await bench.channel.recall([Held(two)])
    assert (fate.word, fate.code) == ("silent", "PAP 4001")


async def test_what_a_phone_keeps_under_no_name_cannot_be_deleted(bench: Bench) -> None:
    loaded = bench.message(1, "x", action="execute-high")
    await bench.channel.send([loaded])
    await until(bench.shown)
    [fate] = await bench.channel.recall([Held(loaded)])
    assert fate.word == "delivered"
    assert len(bench.ppg.taken) == 1


HOSTILE = [
    b"",
    b"nonsense",
    b"<pap><push-message",
    b"<pap/>",
    b"<other/>",
    b"<pap><resultnotification-message push-id='x' message-state='gone' code='1'/></pap>",
    b"<pap><resultnotification-message message-state='delivered' code='1000'/></pap>",
    b"<pap><resultnotification-message push-id='x' message-state='delivered' code='x'/></pap>",
    b'<!DOCTYPE pap [<!ENTITY x "y">]><pap>&x;</pap>',
    b'<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP 2.0//EN" "x" [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<pap><resultnotification-message push-id='&x;' message-state='delivered' code='1'/></pap>",
    b'<!DOCTYPE pap SYSTEM "http://127.0.0.1:1/x.dtd"><pap/>',
    b"<pap>" * 100_000,
    b"<pap><push-response>" + b"<a>" * 1000 + b"</a>" * 1000 + b"</push-response></pap>",
    b'<?xml version="1.0" encoding="UTF-7"?><pap/>',
    b'<?xml version="1.0" encoding="nonsense"?><pap/>',
    b"<pap>" + b"x" * 300_000 + b"</pap>",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_what_is_no_notification_is_answered_as_bad_and_changes_nothing(
    bench: Bench, body: bytes
) -> None:
    key = bench.channel._notify().partition("key=")[2]
    url = f"http://127.0.0.1:{bench.port}/callbacks/wap_push/results?key={key}"
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        said = control.read(await answer.read())
    assert isinstance(said, Answer)
    assert said.code == codes.BAD_REQUEST
    assert not bench.kept.receipts


async def test_a_notification_without_our_key_is_refused(bench: Bench) -> None:
    url = f"http://127.0.0.1:{bench.port}/callbacks/wap_push/results?key=guessed"
    async with aiohttp.ClientSession() as session, session.post(url, data=b"<pap/>") as answer:
        assert answer.status == 403


@pytest.mark.parametrize(
    "said", [{"href": "ftp://x"}, {"text": "\x1b"}, {"text": "x" * 2000}, {"address": "+86 138"}]
)
async def test_what_cannot_be_pushed_is_refused_here(bench: Bench, said: dict[str, str]) -> None:
    [outcome] = await bench.channel.send([bench.message(1, **said)])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert outcome.reason
    assert not bench.ppg.taken


def test_the_entities_are_read_as_they_were_written() -> None:
    order = control.Order("1@a", "WAPPUSH=+86/TYPE=PLMN@p", START, "http://n/?a=1&b=2", "me", True)
    for version in ("1.0", "2.0"):
        assert control.read(control.order(order, version)) == order
        asked = control.Query("1@a", "x")
        assert control.read(control.query(asked, version)) == asked
    later = replace(order, before=None, delivery="confirmed")
    assert control.read(control.order(later, "1.0")) == later


def test_the_settings_name_their_gateway_and_never_show_the_password() -> None:
    settings = PapSettings(url="https://ppg.example/pap", password="canary")
    assert settings.gateway == "ppg.example"
    assert "canary" not in repr(settings)
    with pytest.raises(OutreachError):
        PapSettings(url="https:///pap")
