"""For each of the three protocols: its channel, at its simulated gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct

from channels.carriers.cmpp import CmppExchange
from channels.carriers.exchange import Exchange, ExchangeSettings
from channels.carriers.sgip import SgipExchange
from channels.carriers.smgp import SmgpExchange
from channels.china.gateway import GatewayChannel
from channels.cmpp.channel import CmppChannel
from channels.cmpp.settings import CmppSettings
from channels.sgip.channel import SgipChannel
from channels.sgip.settings import SgipSettings
from channels.smgp.channel import SmgpChannel
from channels.smgp.settings import SmgpSettings
from orchestrator.core.delivery import Outgoing
from orchestrator.core.model import Content
from tests.channels.contract.rig import Kept, Rig, until

NUMBER = "+8613800138000"


class Protocol(Struct, frozen=True):
    """`refusal` is a result for good, `code` what it is called in an outcome."""

    exchange: Callable[[ExchangeSettings], Exchange]
    channel: Callable[[Exchange, dict[str, Any]], GatewayChannel[Any]]
    refusal: int
    code: str


def cmpp(exchange: Exchange, changed: dict[str, Any]) -> CmppChannel:
    settings = {"sp_id": "900001", "secret": "888888", **common(exchange), **changed}
    return CmppChannel("sms", CmppSettings(**settings))


def smgp(exchange: Exchange, changed: dict[str, Any]) -> SmgpChannel:
    settings = {"client_id": "900001", "secret": "888888", **common(exchange), **changed}
    return SmgpChannel("sms", SmgpSettings(**settings))


def sgip(exchange: Exchange, changed: dict[str, Any]) -> SgipChannel:
    assert isinstance(exchange, SgipExchange)
    changed = {"password": changed.pop("secret", "888888"), **changed}
    settings = {
        "login": "900001",
        "listen_host": "127.0.0.1",
        "listen_port": 0,
        "listen_login": "unicom",
        "listen_password": "knock",
        "node": 3_0010_99999,
        "corp_id": "99999",
        **common(exchange),
        **changed,
    }
    channel = SgipChannel("sms", SgipSettings(**settings))
    exchange.provider = lambda: ("127.0.0.1", channel.listen_port)
    return channel


def common(exchange: Exchange) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": exchange.port,
        "source": "10086",
        "deadline_s": 60.0,
        "reconnect_s": 0.05,
    }


PROTOCOLS = {
    "cmpp": Protocol(CmppExchange, cmpp, 13, "CMPP-13"),
    "sgip": Protocol(SgipExchange, sgip, 6, "SGIP-6"),
    "smgp": Protocol(SmgpExchange, smgp, 47, "SMGP-47"),
}


class World:
    """A gateway that is quick about everything, and a channel that is not started yet."""

    def __init__(self, protocol: Protocol, exchange: Exchange) -> None:
        self.protocol = protocol
        self.exchange = exchange

    def channel(self, **changed: Any) -> GatewayChannel[Any]:
        """A channel with these settings."""
        return self.protocol.channel(self.exchange, changed)

    @asynccontextmanager
    async def up(self, **changed: Any) -> AsyncIterator[tuple[GatewayChannel[Any], Kept]]:
        """A channel that is up, and its inbox."""
        channel, kept = self.channel(**changed), Kept()
        await channel.start(kept.inbox)
        try:
            await until(lambda: channel.health() == "up")
            yield channel, kept
        finally:
            await channel.stop()


@asynccontextmanager
async def world(name: str, **changed: Any) -> AsyncIterator[World]:
    """The gateway is there; it is gone afterwards."""
    quick = {"receipt_delay_s": 0.01, "redeliver_after_s": 0.2, **changed}
    exchange = PROTOCOLS[name].exchange(ExchangeSettings(**quick))
    await exchange.start()
    try:
        yield World(PROTOCOLS[name], exchange)
    finally:
        await exchange.stop()


def message(message_id: int, text: str = "hello", address: str = NUMBER) -> Outgoing:
    return Outgoing(message_id, message_id, address, Content(text=text))


@asynccontextmanager
async def contract(name: str, deadline_s: float) -> AsyncIterator[Rig]:
    """The case table of a protocol for the contract suite."""
    async with world(name) as there, there.up(deadline_s=deadline_s) as (channel, kept):
        exchange = there.exchange

        def shown(address: str) -> Sequence[str]:
            return [arrived.text for arrived in exchange.handset(address).arrived]

        async def say(address: str, words: str) -> None:
            exchange.handset(address).say(words, "10086")

        def refuse() -> None:
            exchange.faults.reject = lambda number: there.protocol.refusal

        def mute() -> None:
            exchange.faults.drop_responses = 1.0

        yield Rig(
            channel,
            kept,
            reachable=(NUMBER, "+8613800138001"),
            wrong="nobody",
            shown=shown,
            say=say,
            cut=exchange.stop,
            refuse=refuse,
            mute=mute,
        )
