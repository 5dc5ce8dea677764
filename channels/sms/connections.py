"""The connections of one SMPP account, as its settings say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from channels.sms import pdu
from channels.sms.line import Line
from channels.sms.pace import Pace
from channels.sms.session import Deliver, Session
from channels.sms.settings import SmppSettings


def new_line(
    settings: SmppSettings,
    kind: type[pdu.Bind],
    pace: Pace,
    deliver: Deliver,
    keep: Callable[[str], str],
) -> Line[Session]:
    """A line that binds as `kind`, not yet started."""

    async def enter(session: Session) -> str:
        return await session.bind(kind(settings.system_id, settings.password, settings.system_type))

    return Line(
        settings,
        lambda: new_session(settings, pace, deliver, keep),
        enter,
        protocol="smpp",
        role=f"{kind.__name__} at={settings.host}:{settings.port}",
        tls=tls_context(settings),
    )


def new_session(
    settings: SmppSettings, pace: Pace, deliver: Deliver, keep: Callable[[str], str] = str
) -> Session:
    """A session of this account, not yet connected."""
    return Session(
        asyncio.get_running_loop(),
        window=settings.window,
        pace=pace,
        deadline_s=settings.deadline_s,
        enquire_link_s=settings.enquire_link_s,
        deliver=deliver,
        keep=keep,
    )


def tls_context(settings: SmppSettings) -> ssl.SSLContext | None:
    """A context that verifies the carrier's name and certificate, or None without TLS."""
    return ssl.create_default_context(cafile=settings.ca or None) if settings.tls else None
