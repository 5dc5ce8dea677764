"""Providers that nobody here wrote, at our gateway: CMPP 2.0 by `pycmpp`, 3.0 by `cmppy`."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cmppy import Cmppy, SubmitReq
from msgspec.structs import replace

from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import ExchangeSettings
from channels.cmpp import pdu
from channels.cmpp.pdu import V2
from tests.channels.cmpp.test_pdu import SUBMIT
from tests.channels.contract.rig import until

HERE = Path(__file__).parent
NUMBER = "8613800138000"
SHOWN = "+8613800138000"


@asynccontextmanager
async def gateway() -> AsyncIterator[CmppExchange]:
    exchange = CmppExchange(ExchangeSettings())
    exchange.faults.drop_receipts = 1.0  # neither of them knows DELIVER
    await exchange.start()
    try:
        yield exchange
    finally:
        await exchange.stop()


async def told(*arguments: str, lines: Sequence[str]) -> list[dict[str, Any]]:
    """What pycmpp says when it is told these lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "cmpp2.py"), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(30):
        said, _ = await process.communicate("".join(f"{it}\n" for it in lines).encode())
    return [json.loads(it) for it in said.splitlines()]


async def test_their_provider_of_2_0_submits_short_and_long_texts_and_ends() -> None:
    words = "五大入口任您选，" * 20
    async with gateway() as exchange:
        said = await told(
            str(exchange.port),
            "888888",
            lines=[
                json.dumps({"text": "您好", "phones": [NUMBER], "parts": 1}),
                json.dumps({"text": words, "phones": [NUMBER], "parts": 3}),
            ],
        )
        await until(lambda: len(exchange.handset(SHOWN).arrived) == 2)
        arrived = [it.text for it in exchange.handset(SHOWN).arrived]
    connected, *submitted = said[:-2]
    assert connected["status"] == 0
    assert [it["status"] for it in submitted] == [0] * 4
    assert len({it["id"] for it in submitted}) == 4
    assert said[-2:] == [
        {"saw": "0x80000008", "same": True, "octets": 13},
        {"saw": "0x80000002", "same": True, "octets": 12},
    ]
    assert arrived == ["您好", words]


async def test_their_provider_of_2_0_is_refused_with_a_wrong_secret() -> None:
    async with gateway() as exchange:
        [connected, *_] = await told(str(exchange.port), "wrong", lines=[])
    assert connected["status"] == 3


async def test_they_read_our_submit_of_2_0_field_by_field() -> None:
    content = b"\5\0\3\x2a\2\1" + "您好".encode("utf-16-be")
    submit = replace(SUBMIT, content=content, tp_pid=1, msg_id=0)
    body = pdu.submit_body(submit, V2)
    octets = b"".join(it.to_bytes(4, "big") for it in (12 + len(body), pdu.SUBMIT, 7)) + body
    [found] = await told("--read", lines=[octets.hex()])
    assert found == {
        "length": len(octets), "command_id": pdu.SUBMIT, "seq_id": 7, "msg_id": 0,
        "pk_total": 2, "pk_number": 1, "register_delivery": 1, "msg_level": 3,
        "service_id": "HELP", "fee_usertype": 3, "fee_terminal_id": "13900139000",
        "tp_pid": 1, "tp_udhi": 1, "msg_fmt": 8, "msg_src": "900001", "fee_type": "02",
        "fee_code": "000015", "valid_time": "261122180000032+",
        "at_time": "261122090000032+", "src_id": "10086", "destusr_tl": 1,
        "dest_terminal_id": "13800138000", "msg_length": 10, "msg_content": "您好",
        "msg_head": "\5\0\3\x2a\2\1", "reserve": "",
    }  # fmt: skip


async def test_their_provider_of_3_0_submits_and_reads_our_answers() -> None:
    async with gateway() as exchange:
        client = Cmppy("127.0.0.1", exchange.port, "900001", "888888")
        asked = SubmitReq("900001", "积分到账，请查收", "10086", [NUMBER], feecode="000015")
        answer = await asyncio.to_thread(client.request, asked)
        assert answer.result == 0
        assert answer.msg_id > 0
        assert answer.sequence == asked.sequence
        await until(lambda: exchange.handset(SHOWN).arrived)
        assert [it.text for it in exchange.handset(SHOWN).arrived] == ["积分到账，请查收"]
        refused = Cmppy("127.0.0.1", exchange.port, "900001", "wrong")
        assert await asyncio.to_thread(refused.request, asked) is None
