"""Messages through an MMS centre: what its answers mean, what it tells later, what it cannot do to
us."""

from __future__ import annotations

import base64
import logging
import tracemalloc
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from channels.carriers.mmsc import MmscSettings
from channels.mms import codes, mm7
from channels.mms.channel import MmsChannel
from channels.mms.letters import Answer, Fault, Letter, Report
from channels.mms.parcel import Part
from channels.mms.settings import MmsSettings
from orchestrator.core.delivery import Held
from orchestrator.core.errors import OutreachError
from tests.channels.contract.rig import until
from tests.channels.mms.conftest import MEANS, NUMBER, PICTURES, START, Bench, benched


async def test_the_phone_shows_subject_words_and_picture(bench: Bench) -> None:
    words = "50% off <today> & “tomorrow”: 您好 😀"
    [outcome] = await bench.channel.send([bench.message(1, words, subject="今日 <A&B>")])
    assert (outcome.result, outcome.carrier_id) == ("accepted", "mm00000001")
    await until(bench.shown)
    [shown] = bench.shown()
    assert (shown.subject, shown.text, shown.sender) == ("今日 <A&B>", words, "10086")
    assert shown.picture is not None
    assert shown.picture.octets == PICTURES["hello/small.png"].octets


@pytest.mark.parametrize("said", [{"image": ""}, {"text": ""}, {"transfer": "base64"}])
async def test_words_or_a_picture_alone_are_enough(said: dict[str, Any]) -> None:
    transfer = {"transfer": said.pop("transfer")} if "transfer" in said else {}
    async with benched(**transfer) as bench:
        [outcome] = await bench.channel.send([bench.message(1, **said)])
        assert outcome.result == "accepted"
        await until(bench.shown)
        [shown] = bench.shown()
        assert (shown.text == "") == (said.get("text") == "")
        assert (shown.picture is None) == (said.get("image") == "")


async def test_a_large_picture_is_made_to_fit() -> None:
    async with benched(max_octets=20_000) as bench:
        [outcome] = await bench.channel.send([bench.message(1, image="hello/photo.jpg")])
        assert outcome.result == "accepted"
        [taken] = bench.mmsc.taken.values()
        assert 2_000 < sum(len(part.octets) for part in taken.parts) <= 20_000


async def test_a_batch_of_pictures_does_not_fill_the_memory() -> None:
    async with benched(connections=4) as bench:
        bench.mmsc.faults.code = 2001  # The centre keeps nothing of them.
        await bench.channel.send([bench.message(0, image="hello/photo.jpg")])
        batch = [bench.message(number, image="hello/photo.jpg") for number in range(1, 201)]
        tracemalloc.start()
        outcomes = await bench.channel.send(batch)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(outcomes) == 200
        assert peak < 10_000_000  # A hundred kilobytes each, several times over, four at a time.


async def test_the_centre_is_told_all_that_was_agreed() -> None:
    async with benched(
        dialect="china",
        vasp_id="900001",
        vas_id="10658001",
        service_code="news",
        sender="10658001",
        charged_party="Recipient",
        charged_party_id="{to}",
        api_version="V1.5.7",
        message_class="Advertisement",
        priority="High",
        read_reply=True,
        distribution=False,
    ) as bench:
        expires = START + timedelta(hours=1)
        await bench.channel.send([bench.message(1, subject="Hi", valid_until=expires)])
        [taken] = bench.mmsc.taken.values()
        it = taken.submit
        assert (it.who.vasp_id, it.who.vas_id, it.who.sender) == ("900001", "10658001", "10658001")
        assert (it.to, it.charged_party_id) == ("8613800138000", "8613800138000")
        assert (it.service_code, it.charged_party, it.priority) == ("news", "Recipient", "High")
        assert (it.message_class, it.distribution) == ("Advertisement", False)
        assert (it.expires, it.delivery_report, it.read_reply) == (expires, True, True)
        [headers] = bench.mmsc.headers
        assert headers["MM7APIVersion"] == "V1.5.7"
        assert headers["SOAPAction"] == '""'
        assert 'start="</tnn-200102/mm7-vasp>"' in headers["Content-Type"]
        await until(lambda: len(bench.kept.receipts) == 2)


async def test_a_centre_that_asks_for_digest_gets_it() -> None:
    digest = MmscSettings(digest=True)
    async with benched(digest, auth="digest") as bench:
        for number in (1, 2):
            [outcome] = await bench.channel.send([bench.message(number)])
            assert outcome.result == "accepted"
    async with benched(digest, auth="digest", password="wrong") as bench:
        [outcome] = await bench.channel.send([bench.message(1)])
        assert (outcome.result, outcome.code) == ("unsent", "HTTP 401")


@pytest.mark.parametrize(
    ("code", "result", "retry"),
    [
        (1000, "accepted", "never"),
        (1100, "accepted", "never"),
        *((code, "rejected", "never") for code in (2000, 2001, 2002, 2004, 2007, 2999)),
        (3000, "rejected", "later"),
        (3001, "rejected", "never"),
        (3002, "rejected", "never"),
        (4000, "rejected", "later"),
        (4001, "unsent", "later"),
        (4002, "rejected", "never"),
        (4005, "rejected", "later"),
        (4006, "unsent", "later"),
        (4007, "rejected", "never"),
        (9999, "rejected", "never"),
    ],
)
def test_the_status_code_decides(code: int, result: str, retry: str) -> None:
    for said in (Answer("SubmitRsp", code, "words", "mm1"), Answer("RSErrorRsp", code)):
        outcome = codes.outcome(1, said)
        assert (outcome.result, outcome.retry) == (result, retry)
        assert outcome.result == "accepted" or (outcome.reason and outcome.code == f"MM7 {code}")
        assert "words" not in outcome.reason


@pytest.mark.parametrize(
    ("fault", "code", "retry"),
    [("Client", "SOAP Client", "never"), ("Server", "SOAP Server", "later")],
)
async def test_a_soap_fault_is_a_refusal(bench: Bench, fault: str, code: str, retry: str) -> None:
    bench.mmsc.faults.fault = fault
    [outcome] = await bench.channel.send([bench.message(1)])
    assert (outcome.result, outcome.code, outcome.retry) == ("rejected", code, retry)
    assert codes.outcome(1, Fault(2007, True)).code == "MM7 2007"


@pytest.mark.parametrize(
    ("status", "health"), [(401, "down"), (404, "down"), (503, "connecting"), (429, "connecting")]
)
async def test_an_http_status_without_an_answer_lets_messages_wait(
    bench: Bench, status: int, health: str
) -> None:
    bench.mmsc.faults.status = status
    [outcome] = await bench.channel.send([bench.message(1)])
    assert (outcome.result, outcome.retry) == ("unsent", "later")
    assert bench.channel.health() == health
    bench.mmsc.faults.status = 0
    [waiting] = await bench.channel.send([bench.message(2)])
    assert (waiting.result, waiting.reason) == ("unsent", outcome.reason)
    assert not bench.mmsc.taken


@pytest.mark.parametrize("code", [codes.IMPROPER_IDENTIFICATION, codes.SERVICE_UNAVAILABLE])
async def test_a_centre_that_does_not_take_us_for_now_is_left_alone(
    bench: Bench, code: int
) -> None:
    bench.mmsc.faults.code = code
    [outcome] = await bench.channel.send([bench.message(1)])
    assert (outcome.result, outcome.code) == ("unsent", f"MM7 {code}")
    assert bench.channel.health() != "up"


@pytest.mark.parametrize("status", [200, 500, 502])
async def test_an_answer_that_says_nothing_is_unknown(bench: Bench, status: int) -> None:
    bench.mmsc.faults.status = status
    [outcome] = await bench.channel.send([bench.message(1)])
    assert outcome.result == "unknown"


async def test_an_answer_that_comes_too_late_is_unknown_though_it_was_taken() -> None:
    async with benched(deadline_s=0.2) as bench:
        bench.mmsc.faults.slow_s = 0.4
        [outcome] = await bench.channel.send([bench.message(1)])
        assert outcome.result == "unknown"
        await until(bench.shown)


async def test_a_picture_that_cannot_be_read_for_now_lets_the_message_wait() -> None:
    async def away(name: str) -> Any:
        raise ConnectionError("the database is away")

    async with benched() as bench:
        channel = MmsChannel("mms", bench.channel.settings, replace(MEANS, media=away))
        await channel.start(bench.kept.inbox)
        [outcome] = await channel.send([bench.message(1)])
        assert (outcome.result, outcome.retry) == ("unsent", "later")
        [other] = await channel.send([bench.message(2, image="")])
        assert other.result == "accepted"
        await channel.stop()


@pytest.mark.parametrize("image", ["nobody.png", "../../etc/passwd", "http://x/a.png"])
async def test_a_name_without_a_picture_goes_on_to_the_next_channel(
    bench: Bench, image: str
) -> None:
    [outcome] = await bench.channel.send([bench.message(1, image=image)])
    assert (outcome.result, outcome.retry) == ("rejected", "never")
    assert not bench.mmsc.taken


async def test_what_becomes_of_a_message_is_a_receipt(bench: Bench) -> None:
    bench.mmsc.faults.undeliverable = lambda number: number.endswith("1")
    outcomes = await bench.channel.send(
        [bench.message(1), bench.message(2, address="+8613800138001")]
    )
    await until(lambda: len(bench.kept.receipts) == 2)
    states = {receipt.carrier_id: receipt.state for receipt in bench.kept.receipts}
    assert states == dict(
        zip([it.carrier_id for it in outcomes], ["delivered", "rejected"], strict=True)
    )


async def test_a_message_that_nobody_fetched_in_time_has_expired(bench: Bench) -> None:
    bench.network.handset(NUMBER).switch_off()
    await bench.channel.send([bench.message(1, valid_until=START)])
    await until(lambda: bench.kept.receipts)
    assert bench.kept.receipts[0].state == "expired"
    assert not bench.shown()


async def test_a_message_that_is_not_fetched_yet_can_be_cancelled(bench: Bench) -> None:
    bench.network.handset(NUMBER).switch_off()
    [sent] = await bench.channel.send([bench.message(1)])
    cancelled = await bench.channel.cancel(1, sent.carrier_id)
    assert cancelled.result == "accepted"
    late = await bench.channel.cancel(1, sent.carrier_id)
    assert (late.result, late.code) == ("rejected", "MM7 2005")
    bench.network.handset(NUMBER).switch_on()
    await bench.channel.send([bench.message(2, "after")])
    await until(bench.shown)
    assert [it.text for it in bench.shown()] == ["after"]


async def test_a_message_that_is_not_fetched_yet_is_recalled(bench: Bench) -> None:
    bench.network.handset(NUMBER).switch_off()
    [sent] = await bench.channel.send([bench.message(1)])
    held = Held(bench.message(1), sent.carrier_id)
    assert [it.word for it in await bench.channel.recall([held])] == ["recalled"]
    [late] = await bench.channel.recall([held])
    assert (late.word, late.code) == ("refused", "MM7 2005")
    [nameless] = await bench.channel.recall([Held(bench.message(2))])
    assert nameless.word == "cannot"
    await bench.mmsc.stop()
    [silent] = await bench.channel.recall([held])
    assert silent.word == "silent"


async def test_a_report_is_noted_only_once_it_is_stored() -> None:
    async with benched(MmscSettings(again_after_s=0.05)) as bench:
        bench.kept.broken = True
        await bench.channel.send([bench.message(1)])
        await until(lambda: bench.mmsc.noted)
        assert bench.mmsc.noted[0] == Fault(codes.SERVER_ERROR, False, "later")
        bench.kept.broken = False
        await until(lambda: bench.kept.receipts)
        await until(lambda: len(bench.mmsc.noted) > 1)
        assert bench.mmsc.noted[-1] == Answer("DeliveryReportRsp", codes.SUCCESS, "Success")


async def test_an_mms_from_a_phone_is_a_reply_with_its_words(bench: Bench) -> None:
    photo = Part("image/jpeg", PICTURES["hello/photo.jpg"].octets, "p", "p.jpg")
    await bench.mmsc.say(NUMBER, "1", photo, subject="Re: Today")
    await bench.mmsc.say(NUMBER, "", photo, subject="Re: Today")
    await bench.mmsc.say(NUMBER, "", photo)
    assert [reply.text for reply in bench.kept.replies] == ["1", "Re: Today", "[image/jpeg]"]
    assert {reply.address for reply in bench.kept.replies} == {NUMBER}
    assert {reply.to for reply in bench.kept.replies} == {"10086"}
    assert bench.mmsc.noted == [Answer("DeliverRsp", codes.SUCCESS, "Success")] * 3


async def test_without_a_public_address_nothing_is_promised() -> None:
    async with benched(public_url="") as bench:
        assert not bench.channel.capabilities.receipts
        assert not bench.channel.capabilities.two_way
        assert bench.channel.callbacks() == {}


async def _post(bench: Bench, body: bytes, query: str = "", **headers: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{bench.port}/callbacks/mms{query}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers={"Content-Type": "text/xml", **headers}) as answer,
    ):
        return answer.status, await answer.read()


REPORT = mm7.write(Letter(Report("mm1", "Retrieved", NUMBER, "10086"), "t1", "urn:any", "5.3.0"))


async def test_a_call_without_the_key_is_refused(bench: Bench) -> None:
    for query in ("", "?key=", "?key=guessed", "?key=%ff%00"):
        status, _ = await _post(bench, REPORT, query)
        assert status == 403
    assert not bench.kept.receipts


async def test_a_centre_may_prove_itself_by_basic() -> None:
    async with benched(proof="basic", callback_username="mmsc", callback_password="knock") as bench:
        assert "key" not in bench.channel.callbacks()["reports and replies"]
        wrong = {"Authorization": f"Basic {base64.b64encode(b'mmsc:guess').decode()}"}
        right = {"Authorization": f"Basic {base64.b64encode(b'mmsc:knock').decode()}"}
        assert (await _post(bench, REPORT))[0] == 403
        assert (await _post(bench, REPORT, **wrong))[0] == 403
        assert (await _post(bench, REPORT, **right))[0] == 200


@pytest.mark.parametrize(("source", "status"), [("127.0.0.0/8", 200), ("192.0.2.0/24", 403)])
async def test_a_centre_may_prove_itself_by_where_it_is(source: str, status: int) -> None:
    async with benched(proof="source", sources=(source,)) as bench:
        assert (await _post(bench, REPORT))[0] == status


async def test_the_answer_is_in_the_words_of_the_question(bench: Bench) -> None:
    query = f"?{bench.channel.callbacks()['reports and replies'].partition('?')[2]}"
    status, body = await _post(bench, REPORT, query)
    answer = mm7.read(body)
    assert status == 200
    assert (answer.namespace, answer.version, answer.transaction) == ("urn:any", "5.3.0", "t1")
    assert answer.said == Answer("DeliveryReportRsp", codes.SUCCESS, "Success")


async def test_nothing_of_a_person_is_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    subject, words = "canary-subject", "canary-words"
    await bench.channel.send([bench.message(1, words, subject=subject)])
    bench.mmsc.faults.code = 2001
    await bench.channel.send([bench.message(2, words, subject=subject)])
    bench.mmsc.faults.code = 4001
    await bench.channel.send([bench.message(3, words, subject=subject)])
    await bench.mmsc.say(NUMBER, words, subject=subject)
    bench.kept.broken = True
    await bench.mmsc.say(NUMBER, words, subject=subject)
    assert bench.kept.replies
    ours = [it for it in caplog.records if it.name.startswith("outreach")]
    assert ours
    for record in ours:
        line = f"{record.getMessage()} {vars(record)}"
        for canary in ("canary", NUMBER.removeprefix("+"), "secret"):
            assert canary not in line


def test_the_settings_never_show_the_password() -> None:
    settings = MmsSettings(url="https://mmsc.example/mm7", password="canary")
    assert "canary" not in repr(settings)
    assert "canary" not in repr(MmsChannel("mms", settings, MEANS))
    assert settings.namespace.endswith("REL-6-MM7-1-4")
    own = MmsSettings(url="https://mmsc.example/mm7", release="http://carrier.example/MM7")
    assert own.namespace == "http://carrier.example/MM7"


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https:///mm7"},
        {"dialect": "china"},
        {"proof": "basic"},
        {"proof": "source"},
        {"proof": "source", "sources": ("nowhere",)},
    ],
)
def test_settings_that_cannot_work_say_so(wrong: dict[str, Any]) -> None:
    with pytest.raises(OutreachError) as raised:
        MmsSettings(**{"url": "https://mmsc.example/mm7", **wrong})
    assert raised.value.hint
