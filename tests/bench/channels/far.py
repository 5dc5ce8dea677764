"""`python -m tests.bench.channels.far KIND`: the simulated carrier of a kind, a process of its own.

It says in one line of JSON how a channel reaches it, and serves until its input ends. It sends no
receipts, so that a message costs what sending it costs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from channels.carriers import graph, weixin
from channels.carriers.bot_api import TOKEN, BotApiServer
from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import ExchangeSettings
from channels.carriers.mmsc import Mmsc
from channels.carriers.ppg import Ppg
from channels.carriers.sgip import SgipExchange
from channels.carriers.smgp import SmgpExchange
from channels.carriers.smsc import Smsc
from channels.carriers.visitors import Visitors
from channels.webchat.link import mint
from tests.channels.http.aggregator import ACCOUNT as AGGREGATOR
from tests.channels.http.aggregator import TOKEN as AGGREGATOR_TOKEN
from tests.channels.http.aggregator import Aggregator

PEOPLE = 100
SECRET = b"a secret of sixteen octets or more"

Reach = dict[str, Any]
"""What a channel's settings say of this carrier."""


def addresses(kind: str) -> list[str]:
    """Of as many people, each with a device of their own."""
    patterns = {"telegram": "4200{:03}", "wechat": "oLVPpjqs9BhvzwPj5A-vTYAX3{:03}"}
    pattern = patterns.get(kind, "ann-{:03}" if kind == "webchat" else "+8613800138{:03}")
    return [pattern.format(number) for number in range(PEOPLE)]


async def smsc() -> Reach:
    carrier = Smsc()
    carrier.faults.drop_receipts = 1.0
    await carrier.start()
    return {"url": f"smpp://outreach:secret@127.0.0.1:{carrier.port}?source=10086"}


async def _exchange(made: type[CmppExchange | SgipExchange | SmgpExchange]) -> Reach:
    exchange = made(ExchangeSettings())
    exchange.faults.drop_receipts = 1.0
    await exchange.start()
    return {"host": "127.0.0.1", "port": exchange.port, "source": "10086"}


async def cmpp() -> Reach:
    return {**await _exchange(CmppExchange), "sp_id": "900001", "secret": "888888"}


async def smgp() -> Reach:
    return {**await _exchange(SmgpExchange), "client_id": "900001", "secret": "888888"}


async def sgip() -> Reach:
    called = {"listen_host": "127.0.0.1", "listen_port": 0, "listen_login": "unicom"}
    ours = {"login": "900001", "password": "888888", "node": 3_0010_99999, "corp_id": "99999"}
    return {**await _exchange(SgipExchange), **called, **ours, "listen_password": "knock"}


async def aggregator() -> Reach:
    far: Any = Aggregator()
    far.receipts = ()
    base = await far.start()
    values = {"account": AGGREGATOR, "token": AGGREGATOR_TOKEN, "base": base}
    site = {"public_url": "http://127.0.0.1:9", "sender": "+18005551212"}
    return {"preset": "twilio", "values": values, **site}


async def ppg() -> Reach:
    network = Smsc()
    await network.start()
    gateway = Ppg(network)
    await gateway.start()
    return {"url": gateway.url, "username": "outreach", "password": "secret"}


async def mmsc() -> Reach:
    network = Smsc()
    await network.start()
    centre = Mmsc(network)
    await centre.start()
    account = {"username": "outreach", "password": "secret"}
    return {"url": centre.url, **account, "sender": "10086", "delivery_report": False}


async def telegram() -> Reach:
    api = BotApiServer()
    await api.start()
    for address in addresses("telegram"):
        api.handset(address)
    return {"token": TOKEN, "api_url": api.url, "gap_s": 0, "rate_per_s": 1_000_000}


async def wechat() -> Reach:
    far = weixin.Weixin()
    await far.start()
    for address in addresses("wechat"):
        far.handset(address)
    account = {"app_id": weixin.APP_ID, "app_secret": weixin.APP_SECRET, "token": weixin.TOKEN}
    return {**account, "api_url": far.url}


async def whatsapp() -> Reach:
    far = graph.Graph()
    far.faults.statuses = ()
    await far.start()
    for address in addresses("whatsapp"):
        far.handset(address)
    account = {"phone_number_id": graph.NUMBER_ID, "access_token": graph.ACCESS_TOKEN}
    secrets = {"app_secret": graph.APP_SECRET, "verify_token": graph.VERIFY_TOKEN}
    return {**account, **secrets, "graph_url": far.url}


async def webchat() -> Reach:
    """Here it is the other way round: visitors come to the channel, once it says where it is."""
    site = (await asyncio.to_thread(sys.stdin.readline)).strip()
    visitors = Visitors(site, lambda address: f"/chat?token={mint(address, SECRET)}")
    for address in addresses("webchat"):
        visitors.handset(address)
    return {}


FAR: dict[str, Callable[[], Awaitable[Reach]]] = {
    "sms": smsc, "wap_push": smsc, "cmpp": cmpp, "sgip": sgip, "smgp": smgp,
    "http": aggregator, "pap": ppg, "mms": mmsc,
    "telegram": telegram, "wechat": wechat, "whatsapp": whatsapp, "webchat": webchat,
}  # fmt: skip


async def serve(kind: str) -> None:
    """The carrier is there until nobody asks for it any more."""
    print(json.dumps(await FAR[kind]()), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
