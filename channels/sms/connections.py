"""The connections of one SMPP account, as its settings say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from channels.sms import pdu
from channels.sms.line import Line
from channels.sms.pace import Pace
from channels.sms.session import Deliver, Session
from channels.sms.settings import SettingsError, SmppSettings


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


def outbind_context(settings: SmppSettings) -> ssl.SSLContext | None:
    """A context for carriers that call us, who must show a certificate if `outbind_ca` says whose;
    None without TLS. Raises SettingsError if a file is not what it must be."""
    if not settings.outbind_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.outbind_cert, settings.outbind_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"outbind_cert and outbind_key cannot be used: {error.strerror or error}",
            "They are files in PEM: the certificate with its chain, and its key without a phrase.",
        ) from None
    if settings.outbind_ca:
        try:
            context.load_verify_locations(settings.outbind_ca)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(
                f"outbind_ca cannot be used: {error.strerror or error}",
                "It is a file in PEM of the certificates that sign the carrier's.",
            ) from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context
