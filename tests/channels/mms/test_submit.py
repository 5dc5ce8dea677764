"""A SubmitReq, octet by octet: against a body put together by hand, a schema, and parsers that are
not ours."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.policy import default
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec.structs import replace
from PIL import Image

from channels.base import Means, Media, MediaError
from channels.mms import mm7
from channels.mms.letters import Answer, Cancel, Delivery, Fault, Letter, Report, Said, Submit, Who
from channels.mms.making import Maker, MakingError
from channels.mms.settings import SCHEMAS, MmsSettings
from orchestrator.core.delivery import Outgoing
from orchestrator.core.media import Picture
from orchestrator.core.model import Content
from tests.channels.mms.conftest import MEANS, NUMBER, no_history

HERE = Path(__file__).parent
GOLDEN = (HERE / "submit.body").read_bytes()
SCHEMA_TEXT = (HERE / "mm7.xsd").read_bytes()
RED = bytes.fromhex("47494638396101000100800000ff0000ffffff2c00000000010001000002024401003b")
"""A GIF of one red pixel."""
CHINA: dict[str, Any] = {
    "url": "http://mmsc.carrier.example/mms",
    "dialect": "china",
    "vasp_id": "900001",
    "vas_id": "10658001",
    "service_code": "news",
    "sender": "10658001",
    "charged_party": "Recipient",
    "charged_party_id": "{to}",
    "priority": "Normal",
    "width": 176,
    "height": 180,
}
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
MESSAGE = Outgoing(
    7, 1, NUMBER, Content(text="欢迎 😀", subject="今日 <A&B>", image="red.gif"), valid_until=AT
)


async def red(name: str) -> Media:
    return Media(Picture(sha256(RED).hexdigest(), "image/gif", 1, 1, len(RED)), RED)


def maker(**settings: Any) -> Maker:
    means = Means(b"x", lambda: AT, no_history, media=red)
    return Maker(
        MmsSettings(**{"url": "http://mmsc.example/", **settings}), means, "0123456789abcdef"
    )


def schema(namespace: str) -> etree.XMLSchema:
    """Our schema, in this namespace."""
    text = SCHEMA_TEXT.replace(f"{SCHEMAS}REL-6-MM7-1-4".encode(), namespace.encode())
    return etree.XMLSchema(etree.fromstring(text))


def said(envelope: bytes) -> etree._Element:
    """What stands in the body of the envelope."""
    [body] = etree.fromstring(envelope).iter(f"{{{mm7.SOAP}}}Body")
    return body[0]


def parsed(content_type: str, body: bytes) -> list[Message]:
    """The parts as Python's own parser of mail sees them."""
    whole = message_from_bytes(
        b"Content-Type: %b\r\n\r\n" % content_type.encode() + body, policy=default
    )
    assert not whole.defects
    return list(whole.walk())


async def test_a_submit_is_the_same_octets_as_one_made_by_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("channels.mms.making.secrets.token_hex", lambda octets: "edge")
    made = await maker(**CHINA).submit(MESSAGE)
    assert made.body == GOLDEN
    assert made.content_type == (
        'multipart/related; boundary="edge"; type="text/xml"; start="</tnn-200102/mm7-vasp>"'
    )


@pytest.mark.parametrize("transfer", ["binary", "base64"])
async def test_another_parser_finds_every_part(transfer: str) -> None:
    made = await maker(**CHINA, transfer=transfer).submit(MESSAGE)
    outer, envelope, inner, smil, gif, words = parsed(made.content_type, made.body)
    assert outer.get_param("start") == f"<{str(envelope['Content-ID']).strip('<>')}>"
    assert (envelope.get_content_type(), inner.get_param("start")) == ("text/xml", "<smil>")
    [content] = said(bytes(envelope.get_payload(decode=True))).iter("{*}Content")
    assert content.get("href") == f"cid:{str(inner['Content-ID']).strip('<>')}"
    assert gif.get_payload(decode=True) == RED
    assert bytes(words.get_payload(decode=True)).decode() == "欢迎 😀"
    shown = etree.fromstring(bytes(smil.get_payload(decode=True)))
    assert [it.get("src") for it in shown.iter("img", "text")] == [
        gif["Content-Location"],
        words["Content-Location"],
    ]
    regions = {it.get("id") for it in shown.iter("region")}
    assert {it.get("region") for it in shown.iter("img", "text")} == regions


@pytest.mark.parametrize(
    "release", ["REL-5-MM7-1-0", "REL-5-MM7-1-2", "REL-6-MM7-1-0", "REL-6-MM7-1-4"]
)
async def test_a_submit_obeys_the_schema_in_each_release(release: str) -> None:
    made = await maker(
        release=release,
        version="6.8.0",
        vasp_id="outreach",
        sender="10086",
        charged_party="Sender",
        read_reply=True,
        priority="High",
    ).submit(MESSAGE)
    _, envelope, *_ = parsed(made.content_type, made.body)
    element = said(bytes(envelope.get_payload(decode=True)))
    assert element.tag == f"{{{SCHEMAS}{release}}}SubmitReq"
    schema(SCHEMAS + release).assertValid(element)


WHO = Who("p", "s", "10086")
LETTERS: list[Said] = [
    Submit(who=WHO, to=NUMBER, subject="a", href="cid:x", expires=AT, linked_id="l"),
    Submit(who=Who(), to=NUMBER),
    Cancel(WHO, "mm1"),
    Answer("SubmitRsp", 1000, "Success", "mm1"),
    Answer("DeliveryReportRsp", 1000),
    Answer("RSErrorRsp", 2007, "no"),
    Report("mm1", "Retrieved", NUMBER, "10086", "2026-03-02T12:00:00Z", "fine"),
    Report("mm1", "Read", NUMBER, "10086", "2026-03-02T12:00:00Z", "", True),
    Delivery(NUMBER, "10086", "l", "Hi <you>", "2026-03-02T12:00:00Z", "mmsc", "cid:x"),
]


@pytest.mark.parametrize("it", LETTERS, ids=lambda it: type(it).__name__)
def test_a_letter_is_read_as_it_was_written_and_obeys_the_schema(it: Said) -> None:
    for release in ("REL-5-MM7-1-0", "REL-6-MM7-1-4"):
        letter = Letter(it, "t1", SCHEMAS + release, "6.8.0")
        octets = mm7.write(letter)
        assert mm7.read(octets) == letter
        schema(SCHEMAS + release).assertValid(said(octets))


def test_a_fault_is_read_as_it_was_written() -> None:
    letter = Letter(Fault(2007, True, "no"), "", SCHEMAS + "REL-6-MM7-1-4", "6.8.0")
    read = mm7.read(mm7.write(letter))
    assert read.said == letter.said
    [error] = etree.fromstring(mm7.write(letter)).iter("{*}VASPErrorRsp")
    schema(SCHEMAS + "REL-6-MM7-1-4").assertValid(error)


def test_a_fault_of_the_later_soap_is_understood() -> None:
    for blamed, ours in (("Sender", True), ("Receiver", False)):
        octets = (
            f'<e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault><e:Code>'
            f"<e:Value>e:{blamed}</e:Value></e:Code></e:Fault></e:Body></e:Envelope>"
        )
        assert mm7.read(octets.encode()).said == Fault(0, ours)


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("+8613800138000", "Number"),
        ("13800138000", "Number"),
        ("10086", "ShortCode"),
        ("10658001", "ShortCode"),
        ("Outreach", "ShortCode"),
        ("news@vasp.example", "RFC2822Address"),
    ],
)
def test_an_address_stands_in_the_element_of_its_kind(address: str, kind: str) -> None:
    letter = Letter(Submit(who=Who("", "", address), to=NUMBER), "t", "urn:x", "6.8.0")
    [sender] = etree.fromstring(mm7.write(letter)).iter("{*}SenderAddress")
    assert etree.QName(sender[0]).localname == kind


def test_the_schema_notices_what_is_wrong() -> None:
    """Else the tests above would prove nothing."""
    octets = mm7.write(Letter(LETTERS[0], "t", SCHEMAS + "REL-6-MM7-1-4", "6.8.0"))
    checked = schema(SCHEMAS + "REL-6-MM7-1-4")
    element = said(octets)
    element[0], element[1] = element[1], element[0]
    assert not checked.validate(element)
    assert not checked.validate(
        said(
            octets.replace(b"true</Del", b"yes</Del").replace(
                b"false</DeliveryReport", b"yes</DeliveryReport"
            )
        )
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (Content(), "nothing"),
        (Content(text="a\ud800"), "character"),
        (Content(text="a", subject="\x1b"), "subject"),
        (Content(text="a", subject="s" * 81), "subject"),
        (Content(text="x" * 5001), "over 5000 characters"),
    ],
)
async def test_what_cannot_be_an_mms_is_refused_here(content: Content, reason: str) -> None:
    with pytest.raises(MakingError, match=reason):
        await maker().submit(replace(MESSAGE, content=content))


async def test_a_name_without_a_picture_is_refused_here() -> None:
    made = Maker(MmsSettings(url="http://mmsc.example/"), MEANS, "key")
    with pytest.raises(MakingError, match="no picture of this name"):
        await made.submit(MESSAGE)
    with pytest.raises(MediaError):
        await MEANS.media("red.gif")


async def test_no_message_is_larger_than_was_agreed() -> None:
    made = Maker(MmsSettings(url="http://mmsc.example/", max_octets=10_000), MEANS, "key")
    for text in ("", "字" * 700):
        content = Content(text=text, image="hello/photo.jpg")
        parts = await made.parts(content)
        assert sum(len(it.octets) for it in parts) <= 10_000
    with pytest.raises(MakingError, match="small enough"):
        await made.parts(Content(text="字" * 2600, image="hello/photo.jpg"))


async def test_a_template_may_name_the_screen() -> None:
    made = Maker(MmsSettings(url="http://mmsc.example/"), MEANS, "key")
    sizes = []
    for image in ("hello/photo.jpg", "hello/photo.jpg 240x320", "hello/photo.jpg 9999x9999"):
        _, picture = await made.parts(Content(image=image))

        with Image.open(BytesIO(picture.octets)) as shown:
            sizes.append(shown.size)
    assert sizes == [(640, 480), (240, 180), (640, 480)]
