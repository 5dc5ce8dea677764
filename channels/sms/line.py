"""One connection to a carrier, kept: connected, bound, and connected again after every loss."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Generic, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_base, wait_random_exponential

from channels.base import Health
from channels.sms.window import Window
from orchestrator.core.errors import OutreachError

log = logging.getLogger("outreach.sms")

_STABLE_S: Final = 5.0
"""A session that ends sooner counts as a failed try, so that its end does not mean a storm."""


class RefusedError(OutreachError):
    """The carrier knows us and says no: trying again soon will not help."""


class _UnstableError(Exception):
    """The session ended right after the bind."""


class Place(Protocol):
    """Where a carrier is, and how patient we are with it."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def deadline_s(self) -> float: ...

    @property
    def reconnect_s(self) -> float: ...

    @property
    def reconnect_max_s(self) -> float: ...

    @property
    def refused_s(self) -> float: ...


class _Patience(wait_base):
    """Exponential with full jitter; a carrier that knows us and says no is asked far less often."""

    def __init__(self, place: Place) -> None:
        self._jitter = wait_random_exponential(
            multiplier=place.reconnect_s, max=place.reconnect_max_s
        )
        self._refused_s = place.refused_s

    def __call__(self, retry_state: RetryCallState) -> float:
        wait_s = self._jitter(retry_state)
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        return wait_s + self._refused_s if isinstance(failed, RefusedError) else wait_s


Session = TypeVar("Session", bound=Window)


class Line(Generic[Session]):
    """Keeps one bound session to a carrier. `session` is None while there is none; `trouble` then
    says why, for people.

    `new` makes a session that is not yet connected, `enter` makes a connected one a bound one and
    says whom the carrier calls itself, or raises RefusedError. `protocol` and `role` are words for
    the log.
    """

    def __init__(
        self,
        place: Place,
        new: Callable[[], Session],
        enter: Callable[[Session], Awaitable[str]],
        *,
        protocol: str,
        role: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.session: Session | None = None
        self.trouble = ""
        self._place = place
        self._new = new
        self._enter = enter
        self._protocol = protocol
        self._role = role
        self._tls = tls
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
                wait=_Patience(self._place),
                retry=retry_if_exception_type(),
                before_sleep=self._note,
            ):
                with attempt:
                    await self._connected()

    async def _connected(self) -> None:
        """A session was bound, lived, and has ended. Raises what kept it from that."""
        session, place = self._new(), self._place
        async with asyncio.timeout(place.deadline_s):
            await session.loop.create_connection(
                lambda: session, place.host, place.port, ssl=self._tls
            )
        await self._live(session)

    async def _live(self, session: Session) -> None:
        try:
            carrier = await self._enter(session)
            self.session, self.trouble, self._refused = session, "", False
            log.info("%s_bound as=%s carrier=%s", self._protocol, self._role, carrier)
            bound_at = session.loop.time()
            await session.lost
            log.warning("%s_lost as=%s", self._protocol, self._role)
            if session.loop.time() - bound_at < _STABLE_S:
                raise _UnstableError("the connection ended right after the bind")
        finally:
            self.session = None
            session.abort()

    def _note(self, retry_state: RetryCallState) -> None:
        failed = retry_state.outcome.exception() if retry_state.outcome else None
        self._refused = isinstance(failed, RefusedError)
        self.trouble = str(failed) or type(failed).__name__
        log.log(
            logging.ERROR if self._refused else logging.WARNING,
            "%s_not_bound as=%s try=%d next_in_s=%.1f",
            self._protocol,
            self._role,
            retry_state.attempt_number,
            retry_state.upcoming_sleep,
            extra={"reason": self.trouble.splitlines()[0]},
        )
