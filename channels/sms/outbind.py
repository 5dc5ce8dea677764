"""A port on which the carrier calls us and asks us to receive (SMPP 3.4 §2.2.1, §4.1.7)."""

from __future__ import annotations

import asyncio
import hmac
import logging

from channels.sms import pdu
from channels.sms.connections import new_session, outbind_context
from channels.sms.pace import Pace
from channels.sms.session import BindRefusedError, Deliver, RequestError, Session
from channels.sms.settings import SmppSettings
from channels.sms.wire import stop_listening

log = logging.getLogger("outreach.sms")


class OutbindPort:
    """Listens; whoever sends an outbind with the agreed password gets our bind_receiver.

    Our own password is sent to nobody else: a caller with a wrong one is hung up on.
    """

    def __init__(self, settings: SmppSettings, pace: Pace, deliver: Deliver) -> None:
        self.port = settings.outbind_port or 0
        self._settings = settings
        self._pace = pace
        self._deliver = deliver
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._sessions: set[Session] = set()

    async def start(self) -> None:
        """Listening; `port` says where. Raises OSError when the port is taken, SettingsError when
        it has no certificate that can be used."""
        loop = asyncio.get_running_loop()
        context = outbind_context(self._settings)
        self._server = await loop.create_server(
            self._called,
            self._settings.outbind_host,
            self.port,
            ssl=context,
            ssl_handshake_timeout=self._settings.deadline_s if context is not None else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """No longer listening; every caller is unbound."""
        if self._server is not None:
            server, self._server = self._server, None
            await stop_listening(server)
        await asyncio.gather(*(session.unbind() for session in self._sessions))
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _called(self) -> Session:
        session = new_session(self._settings, self._pace, self._deliver)
        if self._server is None:  # we are stopping
            session.abort()
        call = asyncio.get_running_loop().create_task(self._answer(session))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return session

    async def _answer(self, session: Session) -> None:
        settings = self._settings
        try:
            async with asyncio.timeout(settings.deadline_s):
                asked = await session.outbound()
            agreed = settings.outbind_password.encode()
            if not hmac.compare_digest(asked.password.encode(), agreed):
                log.warning("outbind_refused reason=wrong_password")
                return
            await session.bind(
                pdu.BindReceiver(settings.system_id, settings.password, settings.system_type)
            )
            self._sessions.add(session)
            log.info("smpp_bound as=BindReceiver by=outbind")
            await session.lost
        except (TimeoutError, BindRefusedError, RequestError) as error:
            log.warning("outbind_failed reason=%s", type(error).__name__)
        finally:
            self._sessions.discard(session)
            session.abort()
