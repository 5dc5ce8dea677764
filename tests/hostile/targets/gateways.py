"""What comes over lines of China's gateways: bodies and sessions of CMPP, SGIP and SMGP."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from msgspec import Struct

from channels.china.fields import FieldError
from channels.china.gateway import GatewayChannel
from channels.china.session import GatewaySession
from channels.cmpp.channel import CmppChannel
from channels.cmpp.settings import CmppSettings
from channels.sgip import pdu as sgip
from channels.sgip.channel import SgipChannel
from channels.sgip.settings import SgipSettings
from channels.smgp.channel import SmgpChannel
from channels.smgp.settings import SmgpSettings
from tests.channels.china.said import seeds as whole
from tests.channels.cmpp import test_pdu as cmpp_cases
from tests.channels.sgip import test_pdu as sgip_cases
from tests.channels.smgp import test_pdu as smgp_cases
from tests.hostile.targets.ends import Loop, Nowhere, quiet

_COMMON: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "source": "10086"}
_VISITED: dict[str, Any] = {
    "listen_host": "127.0.0.1",
    "listen_port": 0,
    "listen_login": "unicom",
    "listen_password": "knock",
    "node": 3_0010_99999,
    "corp_id": "99999",
}


class _Body(Struct, frozen=True):
    """All readers of a protocol. The first octet says which of them gets the rest."""

    readers: list[Callable[[bytes], object]]

    def __call__(self, octets: bytes) -> None:
        """A value, or a FieldError."""
        if octets:
            with suppress(FieldError):
                self.readers[octets[0] % len(self.readers)](octets[1:])

    def begun(self, bodies: list[bytes]) -> list[bytes]:
        """Each body under each reader."""
        return [bytes((index,)) + it for index in range(len(self.readers)) for it in bodies]


cmpp_bodies = _Body(cmpp_cases.READERS)
sgip_bodies = _Body(sgip_cases.READERS)
smgp_bodies = _Body(smgp_cases.READERS)


class _World(Loop):
    """A channel whose gateway is never there, and its inbox."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.channel = self._made(name)
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.channel.inbound.start(self.stored.inbox)

    def _made(self, name: str) -> GatewayChannel[Any]:
        if name == "cmpp":
            return CmppChannel("sms", CmppSettings(sp_id="900001", secret="8", **_COMMON))
        if name == "smgp":
            return SmgpChannel("sms", SmgpSettings(client_id="900001", secret="8", **_COMMON))
        return SgipChannel("sms", SgipSettings(login="900001", password="8", **_COMMON, **_VISITED))


_world = cache(_World)


def _fed(name: str, octets: bytes, visit: bool = False) -> None:
    """A whole session that is fed these octets in pieces, and its channel behind it. Its gateway
    has let us in already; on a visit it is the other that must first say who it is."""
    world = _world(name)
    channel = world.channel
    size = max(1, octets[0]) if 0 < len(octets) < 2_000 else 1_000

    async def talk() -> None:
        session: GatewaySession
        session, far = channel._new_visit() if visit else channel.new_session(), Nowhere()  # type: ignore[attr-defined]
        stored = world.stored.count
        session.connection_made(far)
        if not visit:
            session._admitted = True
            session.open_window()
        waiting = world.loop.create_task(session.submit([b"x"] * 2))
        await quiet(2)
        for at in range(1, len(octets), size):
            if not far.closed:
                session.data_received(octets[at : at + size])
        await quiet()
        assert len(session._rest) <= session.max_octets
        assert far.octets <= 600 + 3 * len(octets)
        if not session._admitted:
            assert world.stored.count == stored
        session.connection_lost(None)
        assert len(await waiting) == 2
        assert not session._pending
        assert not session._asked

    world.run(talk())
    assert len(channel.inbound._parts) <= 1_001


def cmpp_session(octets: bytes) -> None:
    """What a gateway of China Mobile says to us."""
    _fed("cmpp", octets)


def smgp_session(octets: bytes) -> None:
    """What a gateway of China Telecom says to us."""
    _fed("smgp", octets)


def sgip_session(octets: bytes) -> None:
    """What a gateway of China Unicom says where we called it."""
    _fed("sgip", octets)


def sgip_visit(octets: bytes) -> None:
    """What anybody says who calls our port for gateways of China Unicom."""
    _fed("sgip", octets, visit=True)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "cmpp_bodies": cmpp_bodies,
    "sgip_bodies": sgip_bodies,
    "smgp_bodies": smgp_bodies,
    "cmpp_session": cmpp_session,
    "smgp_session": smgp_session,
    "sgip_session": sgip_session,
    "sgip_visit": sgip_visit,
}


def _bind(name: str, password: str) -> bytes:
    body = sgip.bind_body(sgip.Bind(sgip.TO_PROVIDER, name, password))
    head = (20 + len(body)).to_bytes(4, "big") + sgip.BIND.to_bytes(4, "big") + bytes(12)
    return head + body


def _visits() -> list[bytes]:
    said = whole("sgip")
    right, wrong = _bind("unicom", "knock"), _bind("unicom", "guess")
    return [b"\x61" + it for it in [right + b"".join(said), wrong + said[0], *said]]


def _in_pieces(name: str) -> list[bytes]:
    said = whole(name)
    return [b"\xff" + it for it in said] + [b"\3" + b"".join(said)]


_SMGP = [smgp_cases.SUBMIT_OCTETS, smgp_cases.DELIVER_OCTETS]

SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "cmpp_bodies": lambda: cmpp_bodies.begun([bytes.fromhex(it) for it in cmpp_cases.WHOLE]),
    "sgip_bodies": lambda: sgip_bodies.begun([bytes.fromhex(it) for it in sgip_cases.WHOLE]),
    "smgp_bodies": lambda: smgp_bodies.begun(
        [*(bytes.fromhex(it) for it in _SMGP), smgp_cases.REPORT, bytes(60)]
    ),
    "cmpp_session": lambda: _in_pieces("cmpp"),
    "smgp_session": lambda: _in_pieces("smgp"),
    "sgip_session": lambda: _in_pieces("sgip"),
    "sgip_visit": _visits,
}
