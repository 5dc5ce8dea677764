"""What WAP push over short messages needs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from channels.wap_push.authored import Push


class WapPushSettings(Push, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`over`: the channel whose connections carry the push. `action`: what a phone does with it,
    unless the template says (`wap_push_action`) or `actions` does, by contact class. `replaces`:
    a later message of the same step takes the place of the earlier on the phone. `keep_h`: so many
    hours after the message's time the phone drops it by itself. `max_sms`: a push that takes more
    short messages than so many is refused, and goes on to the next channel in `via`."""

    over: str = "sms"
    max_sms: Annotated[int, Meta(ge=1, le=255)] = 6
