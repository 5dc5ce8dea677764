"""The contenders, one per process: each sends so many messages in a window, and hears all receipts.

Prints one line of JSON: seconds and CPU seconds (user and system, all threads) between the bind and
the last answer or receipt.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice

import uvloop
from msgspec import Struct

TEXT = "Dear customer, your balance is 12.50 and your 500 MB pass ends on Friday. Reply STOP to end"
FROM, TO = "10086", "8613800138000"
BATCH, ROUNDS = 250, 3
"""Ours gets batches of this size, and so many of them overlap: as `Delivery` does it."""


class Task(Struct, frozen=True):
    """What one contender is to do."""

    port: int
    messages: int
    window: int
    receipts: bool


async def run_ours(task: Task) -> tuple[float, float]:
    """The product's channel: texts in, outcomes and receipts out."""
    from channels.base import Inbox
    from channels.sms.channel import SmsChannel
    from channels.sms.settings import SmppSettings
    from orchestrator.core.delivery import Outgoing, Receipt, Reply
    from orchestrator.core.model import Content

    heard = 0
    done = asyncio.Event()

    async def receipts(batch: Sequence[Receipt]) -> None:
        nonlocal heard
        heard += sum(receipt.state == "delivered" for receipt in batch)
        if heard == task.messages:
            done.set()

    async def replies(batch: Sequence[Reply]) -> None: ...

    url = f"smpp://bench:secret@127.0.0.1:{task.port}?window={task.window}&source={FROM}"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Inbox(replies, receipts))
    while channel.health() != "up":  # noqa: ASYNC110 — has no event of its own
        await asyncio.sleep(0.01)
    content = Content(text=TEXT)
    waiting: Iterator[Outgoing] = (
        Outgoing(number, number, f"+{TO}", content) for number in range(task.messages)
    )

    async def deliver() -> None:
        while batch := list(islice(waiting, BATCH)):
            outcomes = await channel.send(batch)
            assert all(outcome.result == "accepted" for outcome in outcomes)

    started = _now()
    await asyncio.gather(*(deliver() for _ in range(ROUNDS)))
    if task.receipts:
        await done.wait()
    spent = _since(started)
    await channel.stop()
    return spent


async def run_smpp34(task: Task) -> tuple[float, float]:
    """PyPI `smpp34`, SMPP in Rust: as many tasks as the window, each a message at a time."""
    import smpp34

    client = smpp34.Client(
        *("127.0.0.1", task.port, "bench", "secret"),
        bind_type="TRX",
        window_size=task.window,
        inbound_capacity=task.messages,
    )
    session = await client.connect()
    numbers = iter(range(task.messages))
    words = TEXT.encode()

    async def submit() -> None:
        for _ in numbers:
            answer = await session.submit_sm(
                TO, words, source_addr=FROM, source_addr_npi=1, dest_addr_ton=1, dest_addr_npi=1,
                registered_delivery=1,
            )  # fmt: skip
            assert answer.is_success

    async def hear() -> None:
        for _ in range(task.messages):
            event = await session.next()
            assert isinstance(event, smpp34.DeliverSmEvent)
            assert b"stat:DELIVRD" in event.short_message

    started = _now()
    hearing = [hear()] if task.receipts else []
    await asyncio.gather(*(submit() for _ in range(task.window)), *hearing)
    spent = _since(started)
    await session.unbind()
    await client.stop()
    return spent


async def run_smpplib(task: Task) -> tuple[float, float]:
    """PyPI `smpplib`, pure Python and blocking: writes until the window is full, then reads."""
    from smpplib.client import Client

    logging.disable(logging.CRITICAL)
    client = Client("127.0.0.1", task.port, allow_unknown_opt_params=True)
    client.connect()
    client.bind_transceiver(system_id="bench", password="secret")
    answered = heard = 0

    def sent(pdu: object, **_: object) -> None:
        nonlocal answered
        answered += 1

    def received(pdu: object, **_: object) -> int:
        nonlocal heard
        heard += b"stat:DELIVRD" in pdu.short_message  # type: ignore[attr-defined]
        return 0

    client.set_message_sent_handler(sent)
    client.set_message_received_handler(received)
    words = TEXT.encode()
    started = _now()
    for number in range(task.messages):
        while number - answered >= task.window:
            client.read_once()
        client.send_message(
            source_addr_ton=0, source_addr_npi=1, source_addr=FROM, dest_addr_ton=1,
            dest_addr_npi=1, destination_addr=TO, short_message=words, registered_delivery=True,
        )  # fmt: skip
    while answered < task.messages or (task.receipts and heard < task.messages):
        client.read_once()
    spent = _since(started)
    client.disconnect()
    return spent


class _Floor(asyncio.Protocol):
    """Bodies that are ready, a window, sequence numbers. No deadlines, no pace, no reconnecting;
    of a receipt it takes the id and nothing else."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.done = asyncio.get_running_loop().create_future()
        self.ids: dict[int, bytes] = {}
        self.heard: set[bytes] = set()
        self._rest = b""
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        body = b"bench\0secret\0\0\x34\0\0\0"
        transport.write(_HEADER.pack(16 + len(body), 9, 0, 0) + body)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        at, end, out, pack = 0, len(data), list[bytes](), _HEADER.pack
        while end - at >= 16:
            length, command, _, sequence = _HEADER.unpack_from(data, at)
            if end - at < length:
                break
            if command == 0x80000004:
                self.ids[sequence] = data[at + 16 : at + length - 1]
            elif command == 5:
                words = data.index(b"id:", at) + 3
                self.heard.add(data[words : words + 10])
                out += pack(17, 0x80000005, 0, sequence), b"\0"
            else:
                self.started = _now()
            at += length
        self._rest = data[at:]
        room = self.task.window - (self._sent - len(self.ids))
        for _ in range(min(room, self.task.messages - self._sent)):
            self._sent += 1
            out += pack(16 + len(_BODY), 4, 0, self._sent), _BODY
        self._transport.write(b"".join(out))  # type: ignore[attr-defined]
        wanted = self.task.messages
        heard = len(self.heard) == wanted or not self.task.receipts
        if heard and len(self.ids) == wanted and not self.done.done():
            self.done.set_result(_since(self.started))


async def run_floor(task: Task) -> tuple[float, float]:
    """The least that a Python program can do."""
    loop = asyncio.get_running_loop()
    transport, floor = await loop.create_connection(lambda: _Floor(task), "127.0.0.1", task.port)
    spent: tuple[float, float] = await floor.done
    transport.close()
    return spent


_HEADER = struct.Struct(">IIII")
_BODY = b"\0\0\x01%b\0\1\x01%b\0\0\0\0\0\0\1\0\0\0%c%b" % (
    *(FROM.encode(), TO.encode()),
    *(len(TEXT), TEXT.encode()),
)
CONTENDERS: dict[str, Callable[[Task], Awaitable[tuple[float, float]]]] = {
    "floor": run_floor,
    "ours": run_ours,
    "smpp34": run_smpp34,
    "smpplib": run_smpplib,
}


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _now() -> tuple[float, float]:
    return time.perf_counter(), _cpu_s()


def _since(started: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - started[0], _cpu_s() - started[1]


def main() -> None:
    """`clients.py NAME PORT MESSAGES WINDOW RECEIPTS`"""
    name, *numbers = sys.argv[1:]
    port, messages, window, receipts = map(int, numbers)
    task = Task(port, messages, window, bool(receipts))

    async def contend() -> tuple[float, float]:
        return await CONTENDERS[name](task)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        seconds, cpu_s = runner.run(contend())
    print(json.dumps({"seconds": seconds, "cpu_s": cpu_s}))


if __name__ == "__main__":
    main()
