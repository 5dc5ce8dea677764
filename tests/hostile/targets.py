"""Everything that takes octets from outside, each as a function of octets that returns if all is
well. An error that is not ours, an answer that nothing could store, or a length without a bound is
an exception; the time and the memory it takes are for whoever calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from msgspec import Struct

from channels.base import Inbox
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
from orchestrator.core.delivery import Receipt, Reply
from tests.hostile.seeds import BIND_ANSWER, pdu_of

LONGEST = 0x12000
"""Of one input: a little more than the longest PDU we take."""


def storable(words: str, most_characters: int) -> None:
    """PostgreSQL takes it, and an index over it if it is short."""
    assert "\0" not in words
    assert len(words.encode()) <= most_characters * 4
    assert len(words) <= most_characters


class _Stored:
    """An inbox that looks at all it gets as the store would, and keeps nothing but `failed`: what
    could not have been stored, and what the loop could tell nobody."""

    def __init__(self) -> None:
        self.failed: list[BaseException] = []

    async def replies(self, replies: Sequence[Reply]) -> None:
        for it in replies:
            self._look(it.text, 70_000)
            for word in (it.address, it.source_id, it.to):
                self._look(word, 200)

    async def receipts(self, receipts: Sequence[Receipt]) -> None:
        for it in receipts:
            self._look(it.carrier_id, 400)
            self._look(it.code, 100)

    def _look(self, words: str, most_characters: int) -> None:
        try:
            storable(words, most_characters)
        except (AssertionError, UnicodeError) as error:
            self.failed.append(error)

    def hear(self, loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        self.failed.append(said.get("exception") or RuntimeError(said["message"]))


class _Kept(asyncio.Transport):
    """The far end of a connection that is nowhere: what is written is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = 0
        self.closed = False

    def write(self, data: object) -> None:
        self.octets += len(data)  # type: ignore[arg-type]

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


async def _quiet(rounds: int = 3) -> None:
    """What was left for later is done."""
    for _ in range(rounds):
        await asyncio.sleep(0)


class _World(Struct):
    """A loop, a channel whose carrier is never there, and a carrier with one customer's account."""

    loop: asyncio.AbstractEventLoop
    channel: SmsChannel
    smsc: Smsc
    stored: _Stored

    def run(self, doing: Coroutine[None, None, None]) -> None:
        """Done; raises what failed out of sight, too."""
        self.loop.run_until_complete(doing)
        if failed := self.stored.failed:
            raise failed.pop()


@cache
def _world() -> _World:
    """The one that all inputs of a process meet, one after the other."""
    loop, stored = asyncio.new_event_loop(), _Stored()
    url = "smpp://outreach:secret@127.0.0.1:1?source=10086&bind=transmitter"
    channel, smsc = SmsChannel(SmppSettings.from_url(url)), Smsc(SmscSettings(receipt_delay_s=0.0))

    async def start() -> None:
        await channel.start(Inbox(replies=stored.replies, receipts=stored.receipts))
        for line in channel.accounts[0]._lines:
            await line.stop()
        await smsc.start()

    loop.set_exception_handler(stored.hear)
    loop.run_until_complete(start())
    return _World(loop, channel, smsc, stored)


def _session(world: _World) -> tuple[Session, _Kept]:
    session = Session(
        world.loop,
        window=10,
        pace=Pace(float("inf"), world.loop.time()),
        deadline_s=30.0,
        enquire_link_s=3600.0,
        deliver=world.channel.accounts[0]._delivered,
    )
    kept = _Kept()
    session.connection_made(kept)
    return session, kept


def framing(octets: bytes) -> None:
    """A whole session, bound, that is fed these octets in pieces, and its channel behind it."""
    world = _world()
    size = max(1, octets[0]) if 0 < len(octets) < 2_000 else 1_000

    async def talk() -> None:
        session, kept = _session(world)
        binding = world.loop.create_task(session.bind(pdu.BindTransceiver()))
        await _quiet(2)
        session.data_received(BIND_ANSWER)
        await _quiet()
        assert session.bound
        assert binding.done()
        waiting = world.loop.create_task(session.submit([b"x"] * 3))
        await _quiet(2)
        for at in range(1, len(octets), size):
            if not kept.closed:
                session.data_received(octets[at : at + size])
        await _quiet()
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
        await _quiet()
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
        customer, kept = Customer(world.loop, world.smsc), _Kept()
        customer.connection_made(kept)
        customer.data_received(pdu_of(pdu.BindTransceiver("outreach", "secret")))
        customer.data_received(octets)
        await _quiet()
        customer.connection_lost(None)
        world.smsc.handsets.clear()
        world.smsc._outbox["outreach"].clear()

    world.run(talk())


TARGETS: dict[str, Callable[[bytes], None]] = {
    it.__name__: it for it in (framing, bodies, delivered, receipts, parts, alphabets, customers)
}
