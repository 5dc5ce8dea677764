"""One connection to a carrier, kept: connected, bound, and connected again after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_base, wait_random_exponential

from channels.base import Health
from channels.sms import pdu
from channels.sms.pace import Pace
from channels.sms.session import BindRefusedError, Deliver, Session
from channels.sms.settings import SmppSettings

log = logging.getLogger("outreach.sms")

_STABLE_S: Final = 5.0
"""A session that ends sooner counts as a failed try, so that its end does not mean a storm."""


class _UnstableError(Exception):
    """The session ended right after the bind."""


class _Patience(wait_base):
    """Exponential with full jitter; a carrier that knows us and says no is asked far less often."""

    def __init__(self, settings: SmppSettings) -> None:
        self._jitter = wait_random_exponential(
            multiplier=settings.reconnect_s, max=settings.reconnect_max_s
        )
        self._refused_s = settings.refused_s

    def __call__(self, retry_state: RetryCallState) -> float:
        wait_s = self._jitter(retry_state)
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        return wait_s + self._refused_s if isinstance(failed, BindRefusedError) else wait_s


class Line:
    """Keeps one bound session to a carrier. `session` is None while there is none; `trouble` then
    says why, for people."""

    def __init__(
        self, settings: SmppSettings, kind: type[pdu.Bind], pace: Pace, deliver: Deliver
    ) -> None:
        self.session: Session | None = None
        self.trouble = ""
        self._settings = settings
        self._kind = kind
        self._pace = pace
        self._deliver = deliver
        self._refused = False
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connecting has begun and goes on until `stop`."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """What was written is answered or past its deadline; then unbound and closed."""
        session = self.session
        if session is not None:
            await session.drain()
            await session.unbind()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    def health(self) -> Health:
        """Down: the carrier refused us, or we stopped; trying again soon will not help."""
        if self.session is not None:
            return "up"
        return "down" if self._refused or self._keeper is None else "connecting"

    async def _keep(self) -> None:
        while True:
            async for attempt in AsyncRetrying(
                wait=_Patience(self._settings),
                retry=retry_if_exception_type(),
                before_sleep=self._note,
            ):
                with attempt:
                    await self._connected()

    async def _connected(self) -> None:
        """A session was bound, lived, and has ended. Raises what kept it from that."""
        loop = asyncio.get_running_loop()
        settings = self._settings
        session = new_session(settings, self._pace, self._deliver)
        async with asyncio.timeout(settings.deadline_s):
            await loop.create_connection(
                lambda: session, settings.host, settings.port, ssl=tls_context(settings)
            )
        await self._live(session)

    async def _live(self, session: Session) -> None:
        settings = self._settings
        try:
            carrier = await session.bind(
                self._kind(settings.system_id, settings.password, settings.system_type)
            )
            self.session, self.trouble, self._refused = session, "", False
            log.info("smpp_bound as=%s carrier=%s", self._kind.__name__, carrier)
            bound_at = session.loop.time()
            await session.lost
            log.warning("smpp_lost as=%s", self._kind.__name__)
            if session.loop.time() - bound_at < _STABLE_S:
                raise _UnstableError("the connection ended right after the bind")
        finally:
            self.session = None
            session.abort()

    def _note(self, retry_state: RetryCallState) -> None:
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        self._refused = isinstance(failed, BindRefusedError)
        self.trouble = str(failed) or type(failed).__name__
        log.log(
            logging.ERROR if self._refused else logging.WARNING,
            "smpp_not_bound as=%s try=%d next_in_s=%.1f",
            self._kind.__name__,
            retry_state.attempt_number,
            retry_state.upcoming_sleep,
            extra={"reason": self.trouble.splitlines()[0]},
        )


def new_session(settings: SmppSettings, pace: Pace, deliver: Deliver) -> Session:
    """A session of this account, not yet connected."""
    return Session(
        asyncio.get_running_loop(),
        window=settings.window,
        pace=pace,
        deadline_s=settings.deadline_s,
        enquire_link_s=settings.enquire_link_s,
        deliver=deliver,
    )


def tls_context(settings: SmppSettings) -> ssl.SSLContext | None:
    """A context that verifies the carrier's name and certificate, or None without TLS."""
    return ssl.create_default_context(cafile=settings.ca or None) if settings.tls else None
