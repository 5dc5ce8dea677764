"""What comes over a line that speaks SMPP: PDUs, receipts, parts, alphabets."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache

from channels.carriers.customer import Customer
from channels.carriers.smsc import Smsc, SmscSettings
from channels.sms import codec, pdu, receipt
from channels.sms.channel import SmsChannel
from channels.sms.pace import Pace
from channels.sms.reassembly import Reassembly, unwrap
from channels.sms.receipt import ReceiptIds
from channels.sms.session import Session
from channels.sms.settings import SmppSettings
from orchestrator.core import short_message
from tests.hostile.targets.ends import Loop, Nowhere, quiet, storable


class _World(Loop):
    """A channel whose carrier is never there, and a carrier with one customer's account."""

    def __init__(self) -> None:
        super().__init__()
        url = "smpp://outreach:secret@127.0.0.1:1?source=10086&bind=transmitter"
        self.channel = SmsChannel(SmppSettings.from_url(url))
        self.smsc = Smsc(SmscSettings(receipt_delay_s=0.0))
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        await self.channel.start(self.stored.inbox)
        for line in self.channel.accounts[0]._lines:
            await line.stop()
        await self.smsc.start()


@cache
def _world() -> _World:
    """The one that all inputs of a process meet, one after the other."""
    return _World()


def _session(world: _World) -> tuple[Session, Nowhere]:
    session = Session(
        world.loop,
        window=10,
        pace=Pace(float("inf"), world.loop.time()),
        deadline_s=30.0,
        enquire_link_s=3600.0,
        deliver=world.channel.accounts[0]._delivered,
    )
    kept = Nowhere()
    session.connection_made(kept)
    return session, kept


def framing(octets: bytes) -> None:
    """A whole session, bound, that is fed these octets in pieces, and its channel behind it."""
    world = _world()
    size = max(1, octets[0]) if 0 < len(octets) < 2_000 else 1_000

    async def talk() -> None:
        session, kept = _session(world)
        binding = world.loop.create_task(session.bind(pdu.BindTransceiver()))
        await quiet(2)
        session.data_received(BIND_ANSWER)
        await quiet()
        assert session.bound
        assert binding.done()
        waiting = world.loop.create_task(session.submit([b"x"] * 3))
        await quiet(2)
        for at in range(1, len(octets), size):
            if not kept.closed:
                session.data_received(octets[at : at + size])
        await quiet()
        assert len(session._rest) <= codec.MAX_PDU_OCTETS
        assert kept.octets <= 500 + 2 * len(octets)
        session.connection_lost(None)
        assert len(await waiting) == 3
        await session.lost

    world.run(talk())


def bodies(octets: bytes) -> None:
    """A body under each command: a value that can be written again, or a PduError."""
    if len(octets) < 1:
        return
    commands = tuple(pdu.PDUS)
    command_id = commands[octets[0] % len(commands)]
    with suppress(pdu.PduError):
        value = codec.decode(command_id, octets[1:])
        again = codec.encode(value, 1)
        assert codec.decode(command_id, again[16:]) == value


def delivered(octets: bytes) -> None:
    """A deliver_sm body on its way through the channel into an inbox."""
    world = _world()

    async def arrive() -> None:
        session, kept = _session(world)
        session._admitted = True
        session.pdu_received(pdu.DeliverSm.command_id, 0, 7, octets)
        await quiet()
        assert kept.octets <= 64
        session.connection_lost(None)

    world.run(arrive())


def receipts(octets: bytes) -> None:
    """A receipt's text, and its id in every mode, among ids that were accepted."""
    coding, words = (octets[0], octets[1:]) if octets else (0, b"")
    message = pdu.DeliverSm(esm_class=4, data_coding=coding, short_message=words)
    read = receipt.read(message)
    if read is None:
        return
    storable(read.code, 100)
    for mode in ("auto", "same", "dec", "hex"):
        ids = ReceiptIds(mode)
        ids.accepted(read.message_id)
        storable(ids.receipted(read), 400)


def parts(octets: bytes) -> None:
    """Parts of long messages: a length, then so many octets, each with a header of its own."""
    kept: Reassembly[int] = Reassembly(max_messages=5)
    at = 0
    while at < len(octets):
        length = octets[at] + 1
        piece = octets[at + 1 : at + 1 + length]
        at += 1 + length
        message = pdu.DeliverSm(
            source_addr=str(length % 3), esm_class=0x40, data_coding=length, short_message=piece
        )
        fragment, coding, words = unwrap(message)
        if fragment is None or kept.finished(message, fragment, float(at)) != "no":
            continue
        whole = kept.add(message, fragment, coding, words, at, float(at))
        for it in [*([whole] if whole else []), *kept.expire(float(at))]:
            storable(it.text, 70_000)
        assert len(kept) <= 5


def alphabets(octets: bytes) -> None:
    """Octets in a coding, as words that a store takes and that go out again whole."""
    coding, rest = (octets[0], octets[1:]) if octets else (0, b"")
    words = short_message.decode(coding, rest)
    storable(words, len(rest) + 1)
    with suppress(short_message.TextError):
        coded = short_message.split(words)
        assert all(len(part) <= (160 if coded.data_coding == short_message.GSM7 else 140)
                   for part in coded.parts)  # fmt: skip


def customers(octets: bytes) -> None:
    """The simulated carrier's end: somebody binds and then says these octets."""
    world = _world()

    async def talk() -> None:
        customer, kept = Customer(world.loop, world.smsc), Nowhere()
        customer.connection_made(kept)
        customer.data_received(pdu_of(pdu.BindTransceiver("outreach", "secret")))
        customer.data_received(octets)
        await quiet()
        customer.connection_lost(None)
        world.smsc.handsets.clear()
        world.smsc._outbox["outreach"].clear()

    world.run(talk())


TARGETS: dict[str, Callable[[bytes], None]] = {
    it.__name__: it for it in (framing, bodies, delivered, receipts, parts, alphabets, customers)
}


_RECEIPT = (
    b"id:0000001001 sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 "
    b"stat:DELIVRD err:000 text:hello"
)


def pdu_of(value: pdu.Pdu, sequence: int = 1, command_status: int = 0) -> bytes:
    """The PDU in octets."""
    return codec.encode(value, sequence, command_status)


BIND_ANSWER = pdu_of(pdu.BindTransceiverResp("carrier", ((pdu.SC_INTERFACE_VERSION, b"\x34"),)))


def honest() -> list[bytes]:
    """Whole PDUs of every kind, as carriers and customers send them."""
    said = pdu.DeliverSm(
        source_addr_ton=1,
        source_addr_npi=1,
        source_addr="8613800138000",
        destination_addr="10086",
        short_message=b"hello?",
    )

    def like(**fields: object) -> pdu.DeliverSm:
        return pdu.DeliverSm(**{**_fields(said), **fields})  # type: ignore[arg-type]

    part = b"\5\0\3\x2a\2"
    messages = [
        said,
        like(data_coding=8, short_message="你好😀".encode("utf-16-be")),
        like(esm_class=4, short_message=_RECEIPT),
        like(
            esm_class=4,
            short_message=b"",
            tlvs=((pdu.RECEIPTED_MESSAGE_ID, b"3e9\0"), (pdu.MESSAGE_STATE, b"\2")),
        ),
        like(esm_class=4, short_message=b"id:3E9 stat:UNDELIV err:045"),
        like(esm_class=0x40, short_message=part + b"\1" + b"first half, "),
        like(esm_class=0x40, short_message=part + b"\2" + b"second half"),
        like(esm_class=0x40, short_message=b"\6\x08\4\0\x2a\2\1" + b"with sixteen bits"),
        like(
            tlvs=(
                (pdu.SAR_REFERENCE, b"\0\7"), (pdu.SAR_TOTAL, b"\2"), (pdu.SAR_NUMBER, b"\1"),
            )
        ),
        like(short_message=b"", tlvs=((pdu.MESSAGE_PAYLOAD, b"a long text " * 100),)),
        like(short_message=b"\x1b\x65\x1b\x3c\x1b", data_coding=0),
        like(data_coding=0xF1, short_message=bytes(range(128))),
        like(data_coding=5, short_message="テスト".encode("shift_jis")),
    ]  # fmt: skip
    submits = [pdu.SubmitSm(**_fields(it)) for it in messages]  # type: ignore[arg-type]
    others: list[pdu.Pdu] = [kind() for kind in pdu.PDUS.values()]
    others += [
        pdu.SubmitSmResp("0000001001"),
        pdu.SubmitSmResp("3e9"),
        pdu.Outbind("carrier", "knock"),
        pdu.DataSm(destination_addr="8613800138000", tlvs=((pdu.MESSAGE_PAYLOAD, b"hi"),)),
        pdu.QuerySm("0000001001"),
        pdu.ReplaceSm("0000001001", short_message=b"other words"),
        pdu.BindTransceiver("outreach", "secret"),
    ]
    return [pdu_of(it) for it in [*messages, *submits, *others]]


def _fields(value: pdu.Pdu) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "framing": lambda: [b"\xff" + it for it in honest()] + [b"\3" + b"".join(honest()[:4])],
    "bodies": lambda: [
        bytes((index,)) + it[16:] for index in range(len(pdu.PDUS)) for it in honest()[:4]
    ],
    "delivered": lambda: [it[16:] for it in honest()[:13]],
    "receipts": lambda: [
        b"\0" + _RECEIPT, b"\0id:3E9 stat:UNDELIV err:045", b"\0id:1\nstat: EXPIRED",
    ],
    "parts": lambda: [
        b"\x0c\5\0\3\x2a\2\1hello, " + b"\x0a\5\0\3\x2a\2\2world",
        b"\x0c\6\x08\4\0\x2a\1\1hello",
    ],
    "alphabets": lambda: [
        b"\0hello", b"\x08" + "你好".encode("utf-16-be"), b"\x05\x83\x65", b"\0\x1b",
    ],
    "customers": honest,
}  # fmt: skip
