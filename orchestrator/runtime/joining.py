"""Replies that say a code: the address they come from becomes somebody's before they are stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bot.commands.link import code_in
from orchestrator.core.delivery import Reply
from orchestrator.core.events import Joined
from orchestrator.core.invitations import hash_invitation, read_invitation
from orchestrator.runtime.context import Context
from orchestrator.store import invitations

log = logging.getLogger(__name__)


async def join(context: Context, replies: Sequence[Reply]) -> dict[int, Joined]:
    """What became of the codes among these replies, by position. Each is a transaction of its own:
    two in one could wait for each other's people in a circle. Safe to repeat."""
    joined: dict[int, Joined] = {}
    for position, reply in enumerate(replies):
        said = code_in(reply.text)
        if said is None:
            continue
        code = read_invitation(said)
        if code is None:
            joined[position] = "wrong"
            continue
        now = await context.now()
        hashed = hash_invitation(code, context.secret)
        async with context.pool.acquire() as connection, connection.transaction():
            joined[position] = await invitations.accept(
                connection, hashed, (reply.channel, reply.address), context.secret, now
            )
        log.info("code_said channel=%s result=%s", reply.channel, joined[position])
    return joined
