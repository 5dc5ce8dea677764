"""What centres tell us, in their dialects; and what comes that is none of theirs."""

from __future__ import annotations

import tracemalloc
import zlib
from datetime import UTC, datetime
from io import BytesIO
from time import process_time

import aiohttp
import pytest

from channels.mms import mm7, parcel
from channels.mms.incoming import MOST_OCTETS, Heard, heard, receipt_of, reply_of
from channels.mms.letters import Delivery, Fault, Letter, Mm7Error, Report, Submit
from channels.mms.making import ENVELOPE
from channels.mms.parcel import MOST_PARTS, Part, pack, related, unpack
from orchestrator.core.delivery import Receipt
from tests.channels.mms.conftest import NUMBER, PICTURES, Bench
from tests.channels.mms.test_submit import GOLDEN
from tests.channels.mutations import mutations

NS = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def envelope(body: str, release: str = "REL-6-MM7-1-0", transaction: str = "t1") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="{SOAP}"><env:Header>'
        f'<mm7:TransactionID xmlns:mm7="{NS}{release}" env:mustUnderstand="1">{transaction}'
        f"</mm7:TransactionID></env:Header><env:Body>{body}</env:Body></env:Envelope>"
    ).encode()


def report(status: str, inside: str = "", kind: str = "DeliveryReportReq") -> bytes:
    return envelope(
        f'<{kind} xmlns="{NS}REL-6-MM7-1-0"><MM7Version>6.3.0</MM7Version>{inside}'
        f"<MessageID>mm1</MessageID><MMStatus>{status}</MMStatus></{kind}>"
    )


def told(octets: bytes) -> Receipt | None:
    said = heard("text/xml", octets).letter.said
    assert isinstance(said, Report)
    return receipt_of("mms", said)


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [
        ("Retrieved", "delivered", ""),
        ("Third:User Retrieved", "delivered", ""),
        ("retrieved", "delivered", ""),
        ("Expired", "expired", "MM7 Expired"),
        ("Rejected", "rejected", "MM7 Rejected"),
        ("Unreachable", "undelivered", "MM7 Unreachable"),
    ],
)
def test_what_is_final_is_a_receipt(status: str, state: str, code: str) -> None:
    receipt = told(report(status))
    assert receipt is not None
    assert (receipt.carrier_id, receipt.state, receipt.code) == ("mm1", state, code)


@pytest.mark.parametrize(
    "status", ["Indeterminate", "Forwarded", "Deferred", "Unrecognised", "1000", "已接收"]
)
def test_what_is_not_final_is_only_noted(status: str) -> None:
    assert told(report(status)) is None


@pytest.mark.parametrize(
    ("status", "code"), [("Read", "read"), ("Deleted without being read", "deleted")]
)
def test_whoever_read_or_deleted_a_message_has_it(status: str, code: str) -> None:
    receipt = told(report(status, kind="ReadReplyReq"))
    assert receipt == Receipt("mms", "mm1", "delivered", code)


DIALECTS = {
    "as the tables say": envelope(
        f'<DeliveryReportReq xmlns="{NS}REL-6-MM7-1-4"><MM7Version>6.8.0</MM7Version>'
        "<MMSRelayServerID>r</MMSRelayServerID><MessageID>mm1</MessageID><Recipient><Number>"
        "+8613800138000</Number></Recipient><Sender><ShortCode>10086</ShortCode></Sender>"
        "<Date>2026-03-02T09:00:00Z</Date><MMStatus>Retrieved</MMStatus></DeliveryReportReq>"
    ),
    "children in no namespace": envelope(
        f'<mm7:DeliveryReportReq xmlns:mm7="{NS}REL-5-MM7-1-2"><MM7Version>5.3.0</MM7Version>'
        "<Sender><Number>10086</Number></Sender><MessageID>mm1</MessageID><Recipients><Number>"
        "+8613800138000</Number></Recipients><MMStatus>Retrieved</MMStatus></mm7:DeliveryReportReq>"
    ),
    "in another order, with mail-like addresses": envelope(
        f'<DeliveryReportReq xmlns="{NS}REL-6-MM7-1-0"><MM7Version>6.3.0</MM7Version><Sender>'
        "<Number>10086</Number></Sender><Recipient><RFC2822Address>+8613800138000/TYPE=PLMN@m"
        "</RFC2822Address></Recipient><TimeStamp>2026-03-02T09:00:00+08:00</TimeStamp>"
        "<MessageID> mm1 </MessageID><MMStatus>Retrieved</MMStatus></DeliveryReportReq>"
    ),
    "in GB2312": envelope(
        "<DeliveryReportReq><MessageID>mm1</MessageID><Recipient>+8613800138000</Recipient>"
        "<Sender>10086</Sender><MMStatus>Retrieved</MMStatus><StatusText>成功</StatusText>"
        "</DeliveryReportReq>"
    )
    .decode()
    .replace("UTF-8", "GB2312")
    .encode("gb2312"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_understood(dialect: str) -> None:
    said = heard("text/xml; charset=utf-8", DIALECTS[dialect]).letter.said
    assert isinstance(said, Report)
    assert (said.message_id, said.recipient, said.sender) == ("mm1", NUMBER, "10086")
    assert told(DIALECTS[dialect]) == Receipt("mms", "mm1", "delivered", "")


def delivered(*parts: Part, subject: str = "", sender: str = "13800138000") -> Heard:
    octets = envelope(
        f"<DeliverReq><Sender><Number>{sender}</Number></Sender><Recipients><To><ShortCode>10086"
        f"</ShortCode></To></Recipients><Subject>{subject}</Subject></DeliverReq>"
    )
    inner = Part('multipart/mixed; boundary="b"', pack(parts, "b"), "c")
    return heard(related("a", "text/xml", "e"), pack([Part(ENVELOPE, octets, "e"), inner], "a"))


def said(heard: Heard) -> str:
    delivery = heard.letter.said
    assert isinstance(delivery, Delivery)
    reply = reply_of("mms", heard, delivery, "86")
    assert (reply.address, reply.to) == (NUMBER, "10086")
    assert reply.source_id.startswith("t1:")
    return reply.text


def test_a_message_is_read_by_the_charset_of_its_parts() -> None:
    assert said(delivered(Part("text/plain; charset=gb2312", "退订".encode("gbk")))) == "退订"
    assert said(delivered(Part('text/plain; charset="UTF-16"', "退订".encode("utf-16")))) == "退订"
    assert said(delivered(Part("text/plain", "退订".encode()))) == "退订"
    assert said(delivered(Part("text/plain; charset=nonsense", "退订".encode()))) == "退订"


def test_the_words_of_all_parts_are_one_reply() -> None:
    smil = Part("application/smil", b"<smil/>")
    one, two = Part("text/plain", b" one "), Part("text/plain", b"two\r\n")
    assert said(delivered(smil, one, two, subject="Re")) == "one\ntwo"
    assert said(delivered(smil, subject="Re")) == "Re"
    assert said(delivered(smil, Part("image/png", b"x"), Part("audio/amr", b"y"))) == (
        "[image/png] [audio/amr]"
    )


def test_a_message_that_comes_again_is_the_same_reply_and_another_is_not() -> None:
    ids = set()
    for words in ("1", "1", "2"):
        it = delivered(Part("text/plain", words.encode()))
        assert isinstance(it.letter.said, Delivery)
        ids.add(reply_of("mms", it, it.letter.said, "86").source_id)
    assert len(ids) == 2


def test_the_part_to_begin_with_may_stand_anywhere() -> None:
    octets = report("Retrieved")
    parts = [Part("image/png", b"x", "p"), Part(ENVELOPE, octets, "e")]
    assert heard(related("a", "text/xml", "e"), pack(parts, "a")).letter.transaction == "t1"


def test_binary_parts_come_out_as_they_went_in() -> None:
    odd = [b"", b"\r", b"\n", b"\r\n\r\n", bytes(range(256)) * 9, b"--a", b"\x00\x1a\x85\x0b\x1c"]
    ways: list[parcel.Transfer] = ["binary", "base64"]
    for transfer in ways:
        body = pack([Part("image/png", it, f"{n}") for n, it in enumerate(odd)], "edge", transfer)
        assert [it.octets for it in unpack(related("edge", "image/png", "0"), body)] == odd


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><a>&j;</a>"
)
HOSTILE = {
    "nothing": b"",
    "nonsense": b"nonsense",
    "cut": report("Retrieved")[:-30],
    "another document": b"<html/>",
    "an empty envelope": envelope(""),
    "a question that nobody asks us": envelope("<SubmitReq/>"),
    "an answer": envelope("<SubmitRsp><StatusCode>1000</StatusCode></SubmitRsp>"),
    "a report without an id": envelope(
        "<DeliveryReportReq><MMStatus>x</MMStatus></DeliveryReportReq>"
    ),
    "a report without a status": envelope(
        "<DeliveryReportReq><MessageID>1</MessageID></DeliveryReportReq>"
    ),
    "a message from nobody": envelope("<DeliverReq/>"),
    "a message without an id": envelope("<DeliverReq><Sender>1</Sender></DeliverReq>", "x", ""),
    "an id as long as a book": envelope(
        f"<ReadReplyReq><MessageID>{'1' * 9999}</MessageID><MMStatus>x</MMStatus></ReadReplyReq>"
    ),
    "a billion laughs": BOMB,
    "an entity from outside": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a type from outside": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd"><a/>',
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/">%x;]><a/>',
    "deep": b"<a>" * 100_000,
    "deep and whole": b"<a>" * 20_000 + b"</a>" * 20_000,
    "long": b"<a>" + b"x" * 300_000 + b"</a>",
    "another alphabet": b'<?xml version="1.0" encoding="UTF-7"?><a/>',
    "an alphabet that is none": b'<?xml version="1.0" encoding="nonsense"?><a/>',
    "packed": zlib.compress(report("Retrieved")),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_what_is_no_callback_gets_a_fault_and_changes_nothing(
    bench: Bench, body: bytes
) -> None:
    url = bench.channel.callbacks()["reports and replies"]
    headers = {"Content-Type": "text/xml"}
    started = process_time()
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        assert answer.status == 400
        fault = mm7.read(await answer.read()).said
    assert isinstance(fault, Fault)
    assert (fault.code, fault.ours) == (2007, True)
    assert process_time() - started < 2
    assert not bench.kept.receipts
    assert not bench.kept.replies


NESTED = b"".join(
    b'--%d\r\nContent-Type: multipart/mixed; boundary="%d"\r\n\r\n' % (n, n + 1)
    for n in range(2000)
)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/related", b""),
        ("multipart/related; boundary=", b"--\r\n\r\n--"),
        ('multipart/related; boundary="a"', b"no boundary"),
        ('multipart/related; boundary="a"', b"--a\r\n\r\nonly a beginning"),
        ('multipart/related; boundary="a"', b"--a--\r\n"),
        ('multipart/related; boundary="a"', b"--a\r\n\r\nx\r\n" * (MOST_PARTS + 1) + b"--a--"),
        ('multipart/related; boundary="0"', NESTED),
        ('multipart/related; boundary="\udcff"', b"--a--"),
        ('multipart/related; boundary="a"', b"--a\r\nContent-Type: \xff\xfe\r\n\r\nx\r\n--a--"),
        ("multipart/related; boundary*0*=x''%ff; boundary*1=a", b"--a--"),
    ],
)
def test_what_is_no_multipart_is_a_typed_error(content_type: str, body: bytes) -> None:
    with pytest.raises(Mm7Error):
        heard(content_type, body)


async def test_a_callback_that_is_too_long_is_not_read_to_its_end(bench: Bench) -> None:
    url = bench.channel.callbacks()["reports and replies"]
    tracemalloc.start()
    body = BytesIO(b"x" * (MOST_OCTETS * 2))
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        assert answer.status == 400
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_OCTETS * 8


PHOTO = Part("image/gif", PICTURES["hello/small.png"].octets[:300], "p", "p.gif")
SEEDS = [
    *((b"text/xml", it) for it in DIALECTS.values()),
    (b"text/xml", report("Read", kind="ReadReplyReq")),
    (b"text/xml", mm7.write(Letter(Delivery(NUMBER, "10086", "l", "Hi"), "t", NS, "6.8.0"))),
    (
        related("a", "text/xml", "e").encode(),
        pack(
            [
                Part(ENVELOPE, envelope("<DeliverReq><Sender>1</Sender></DeliverReq>"), "e"),
                Part(
                    'multipart/mixed; boundary="b"',
                    pack([Part("text/plain; charset=gbk", "退订".encode("gbk")), PHOTO], "b"),
                ),
            ],
            "a",
        ),
    ),
    (
        b'multipart/related; boundary="edge"; type="text/xml"; start="</tnn-200102/mm7-vasp>"',
        GOLDEN,
    ),
]


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_bodies_near_an_honest_one_are_read_or_are_typed_errors(seed: int) -> None:
    """Five thousand in all, their content types spoiled with them."""
    whole = [b"%b\0\r\n%b" % it for it in SEEDS]
    errors = 0
    for spoiled in mutations(whole, 1000, seed):
        content_type, _, body = spoiled.partition(b"\0\r\n")
        try:
            it = heard(content_type.decode("latin-1"), body)
        except Mm7Error:
            errors += 1
            continue
        match it.letter.said:
            case Report() as found:
                receipt_of("mms", found)
            case Delivery() as found:
                try:
                    reply_of("mms", it, found, "86")
                except Mm7Error:
                    errors += 1
    assert 300 < errors < 1000


async def test_what_is_near_a_callback_never_fails_us(bench: Bench) -> None:
    url = bench.channel.callbacks()["reports and replies"]
    bodies = [body for kind, body in SEEDS if kind == b"text/xml"]
    seen = set()
    async with aiohttp.ClientSession() as session:
        for body in mutations(bodies, 300, 11):
            headers = {"Content-Type": "text/xml"}
            async with session.post(url, data=body, headers=headers) as answer:
                seen.add(answer.status)
    assert seen == {200, 400}


@pytest.mark.parametrize(
    ("written", "expires"),
    [
        ("2026-03-02T09:00:00+08:00", datetime(2026, 3, 2, 1, tzinfo=UTC)),
        ("2026-03-02T01:00:00Z", datetime(2026, 3, 2, 1, tzinfo=UTC)),
        ("2026-03-02T01:00:00", datetime(2026, 3, 2, 1, tzinfo=UTC)),
        ("P1D", None),
        ("", None),
    ],
)
def test_moments_are_read_in_their_zone_or_not_at_all(
    written: str, expires: datetime | None
) -> None:
    it = mm7.read(envelope(f"<SubmitReq><ExpiryDate>{written}</ExpiryDate></SubmitReq>")).said
    assert isinstance(it, Submit)
    assert it.expires == expires


def test_a_body_that_is_no_multipart_is_its_only_part() -> None:
    assert parcel.unpack("text/xml", b"x") == [Part("text/xml", b"x")]
