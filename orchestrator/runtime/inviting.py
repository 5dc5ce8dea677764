"""Inviting somebody onto another channel: a code that is theirs, and the link that says it."""

from __future__ import annotations

import io
import secrets
from collections.abc import Mapping
from datetime import datetime

import segno
from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.core.invitations import LONG_LIFE, hash_invitation, long_code
from orchestrator.project.findings import did_you_mean
from orchestrator.runtime.channels import Configured
from orchestrator.runtime.context import Context
from orchestrator.store import invitations


class Invitation(Struct, frozen=True):
    """Whoever opens `url` on `channel`, or says `say` there, before `expires_at` is known from then
    on as the subscriber. `url` is '' where a channel has no such links."""

    channel: str
    say: str
    url: str
    expires_at: datetime


async def invite(
    context: Context, configured: Mapping[str, Configured], subscriber_id: int, channel: str
) -> Invitation:
    """A fresh invitation of this subscriber to `channel`; it joins one address, once. Raises
    OutreachError if there is no such channel, or it cannot make links yet."""
    chosen = configured.get(channel)
    if chosen is None:
        raise OutreachError(
            f"there is no channel {channel!r} to invite to", did_you_mean(channel, configured)
        )
    code = long_code(secrets.token_bytes(16))
    link = chosen.kind.link
    url = link(chosen.settings, code) if link is not None else ""
    now = await context.now()
    expires_at = now + LONG_LIFE
    hashed = hash_invitation(code, context.secret)
    async with context.pool.acquire() as connection, connection.transaction():
        await invitations.add(connection, [(hashed, subscriber_id, expires_at)], now)
    return Invitation(channel, f"LINK {code}", url, expires_at)


def qr_code(words: str) -> str:
    """An SVG picture that a telephone's camera reads as these words (ISO/IEC 18004)."""
    picture = io.BytesIO()
    segno.make(words, error="m", micro=False).save(picture, kind="svg", scale=8, border=4)
    return picture.getvalue().decode()
