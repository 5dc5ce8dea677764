"""A code that somebody shows at a counter: what points bought is handed out once."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.acts import Deed
from orchestrator.core.codes import hash_code, read_code
from orchestrator.core.errors import OutreachError
from orchestrator.core.project import Project
from orchestrator.runtime.context import Context
from orchestrator.store import acts, codes
from orchestrator.store.codes import Use

log = logging.getLogger("outreach.counter")


class Honoured(Struct, frozen=True, omit_defaults=True):
    """What became of a code. `used`: hand the reward out; `used_before`: somebody had it, at
    `used_at` from `used_by`; `not_theirs`: it is another subscriber's; `unknown`: we gave no such
    code, or whoever had it was erased; `unreadable`: it can be none. `title` is what the reward
    is called in the project's language, `subscriber` the key of whose the code is."""

    result: Literal["used", "used_before", "not_theirs", "unknown", "unreadable"]
    reward: str = ""
    title: str = ""
    subscriber: str = ""
    given_at: datetime | None = None
    used_at: datetime | None = None
    used_by: str = ""


async def use(
    context: Context, typed: str, by: str, key: str, who: str, subscriber_id: int | None = None
) -> Honoured:
    """The code is used, by somebody who calls themselves `by` and is let in as `who`, in a request
    that they name `key`: the same once more gives the same answer. The use is in the audit log.
    With `subscriber_id` only that subscriber's code is taken. Raises OutreachError if the request
    has used another code."""
    code = read_code(typed)
    if code is None:
        return _told(Honoured("unreadable"), who)
    now = await context.now()
    one = Use(by, f"{who} {key}")
    async with context.pool.acquire() as connection, connection.transaction():
        answer = await codes.use_code(
            connection, hash_code(code, context.secret), now, one, subscriber_id
        )
        if answer.fresh:
            about, after = f"subscriber:{answer.subscriber_id}", {"reward": answer.reward, "by": by}
            await acts.record(
                connection, Deed(who, "code.used", about, {}, after), now, context.secret
            )
    if answer.result == "another":
        raise OutreachError("this request has used another code", "name each request anew")
    told = Honoured(
        answer.result,
        answer.reward,
        title(context.projects.project, answer.reward),
        answer.subscriber,
        answer.given_at,
        answer.used_at,
        answer.used_by,
    )
    return _told(told, who)


def title(project: Project, reward_id: str) -> str:
    """What the reward is called in the project's language; its id if it is no longer sold."""
    reward = project.rewards.get(reward_id)
    if reward is None:
        return reward_id
    return reward.names.get(project.locale) or next(iter(reward.names.values()), reward_id)


def _told(honoured: Honoured, who: str) -> Honoured:
    """Logged without the code: many that are `unknown` mean that somebody guesses."""
    log.info("code_shown result=%s who=%s", honoured.result, who)
    return honoured
