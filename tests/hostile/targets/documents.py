"""What comes in documents: WBXML, WSP, PAP and MM7 with their attachments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from channels.mms import codes, mm7
from channels.mms.incoming import heard, receipt_of, reply_of
from channels.mms.letters import Answer, Delivery, Fault, Letter, Mm7Error, Report, Said
from channels.mms.parcel import MOST_PARTS
from channels.pap import control, parcel
from channels.pap.control import PapError, Result
from channels.wap_push import carriage, documents
from channels.wap_push.documents import Bookmark, Bookmarks, Indication, Loading
from channels.wap_push.tree import PushError
from tests.channels.mms.test_incoming import SEEDS as CALLBACKS
from tests.hostile.targets.ends import MOST_ID, look_at_receipt, look_at_reply, storable

_MOST_WORDS = 200
_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


def wbxml(octets: bytes) -> None:
    """A push document: a value that can be written and read again, or a PushError."""
    with suppress(PushError):
        found = documents.decode(octets)
        assert len(repr(found)) <= 16 * (len(octets) + 64)
        try:
            _, again = documents.encode(found)
        except PushError:
            return  # read more kindly than written
        assert documents.decode(again) == found


def push(octets: bytes) -> None:
    """What came to a telephone's port: user data header, WSP, document."""
    length = octets[0] if octets else 0
    assert 0 <= carriage.port(octets[1 : 1 + length]) <= 0xFFFF
    with suppress(PushError):
        found = carriage.unpush(octets[1 + length :])
        assert len(found) <= len(octets)
        documents.decode(found)


def pap(octets: bytes) -> None:
    """A control entity, alone as an answer or notification, and with a document as a push."""
    content_type, _, body = octets.partition(b"\0\r\n")
    readers: tuple[Callable[[], control.Entity], ...] = (
        lambda: control.read(body),
        lambda: _unpacked(content_type, body),
    )
    for read in readers:
        try:
            it = read()
        except PapError:
            continue
        if isinstance(it, Result):
            storable(it.push_id, MOST_ID)
            storable(it.words, _MOST_WORDS)
            storable(f"PAP {it.code}", 100)
            control.noted(it.push_id, 1000, "OK", "2.0")


def _unpacked(content_type: bytes, body: bytes) -> control.Entity:
    first, _ = parcel.unpack(content_type.decode("latin-1"), body)
    return control.read(first)


def mm7_callback(octets: bytes) -> None:
    """A callback of an MMS centre as it is stored and answered."""
    content_type, _, body = octets.partition(b"\0\r\n")
    try:
        told = heard(content_type.decode("latin-1"), body)
    except Mm7Error:
        return
    letter = told.letter
    assert len(told.parts) < MOST_PARTS
    for part in told.parts:
        assert len(part.octets) <= len(body)
        assert len(part.text()) <= len(body)
    match letter.said:
        case Report() as report:
            if (receipt := receipt_of("mms", report)) is not None:
                look_at_receipt(receipt)
        case Delivery() as delivery:
            with suppress(Mm7Error):
                look_at_reply(reply_of("mms", told, delivery, "86"), cleaned=True)
        case _:
            return
    answer = Answer("DeliverRsp", codes.SUCCESS, "Success")
    written = mm7.write(Letter(answer, letter.transaction, letter.namespace, letter.version))
    assert len(written) < 4 * len(octets) + 2_000


def mm7_answer(octets: bytes) -> None:
    """What an MMS centre answers a message with."""
    try:
        said = mm7.read(octets).said
    except Mm7Error:
        return
    if isinstance(said, Answer | Fault):
        outcome = codes.outcome(1, said)
        storable(outcome.carrier_id, MOST_ID)
        storable(outcome.code, 100)
        storable(outcome.reason, 500)


TARGETS: dict[str, Callable[[bytes], None]] = {
    it.__name__: it for it in (wbxml, push, pap, mm7_callback, mm7_answer)
}


def _pushed() -> list[documents.Document]:
    words = "五大入口任您选"
    return [
        Indication(words, "http://www.example.com/a", "signal-high", "s1", _AT, _AT),
        Indication("June offer", "https://www.example.org/a.edu/b.net/"),
        Loading("https://example.net/x", "execute-high"),
        Bookmarks((Bookmark("Shop", "http://www.example.com/", home=True),), "Shop"),
    ]


def _wbxml() -> list[bytes]:
    made = [documents.encode(it)[1] for it in _pushed()]
    table = b"\x03\x05\x6a\x08http://\0\x45\xc6\x0b\x83\x00\x03x\0\x01\x83\x04\x02\x41\x01\x01"
    return [*made, table, b"\x02\x00\x00\x6a\x05SI\x00\x45\x01"]


def _push() -> list[bytes]:
    made = [carriage.push(*documents.encode(it)) for it in _pushed()]
    return [part for it in made for part in carriage.parts(it, 7)]


def _pap() -> list[bytes]:
    order = control.Order("1@a", "WAPPUSH=+86/TYPE=PLMN@p", _AT, "http://n/?a=1", "me", True)
    asked = [control.order(order, "2.0"), control.query(control.Query("1@a", "x"), "1.0")]
    said = [
        b'<pap><push-response push-id="1@a"><response-result code="1001" desc="ok"/>'
        b"</push-response></pap>",
        b'<pap><resultnotification-message push-id="1@a" message-state="delivered" code="1000" '
        b'desc="x"><address address-value="WAPPUSH=+86"/></resultnotification-message></pap>',
        b'<pap><statusquery-response push-id="1@a"><statusquery-result message-state="expired" '
        b'code="2006"/></statusquery-response></pap>',
        control.bad(2000, "no", "2.0"),
    ]
    alone = [b"application/xml\0\r\n" + it for it in [*asked, *said]]
    packed = [parcel.pack(asked[0], parcel.content(it)) for it in (_pushed()[0], _pushed()[3])]
    return alone + [b"%b\0\r\n%b" % (kind.encode(), body) for kind, body in packed]


def _answers() -> list[bytes]:
    fault = Fault(2007, True, "no")
    said: list[Said] = [
        Answer("SubmitRsp", 1000, "Success", "m1"),
        Answer("RSErrorRsp", 3000),
        fault,
    ]
    return [mm7.write(Letter(it, "t", "urn:x", "6.8.0")) for it in said]


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "wbxml": _wbxml,
    "push": _push,
    "pap": _pap,
    "mm7_callback": lambda: [b"%b\0\r\n%b" % it for it in CALLBACKS],
    "mm7_answer": _answers,
}
