"""STOP: nothing more is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from bot import shop
from bot.command import Command
from bot.desk import Desk
from orchestrator.core import contact
from orchestrator.core.engine import leave_all
from orchestrator.core.model import Consent, Enrollment

ONCE_MORE = 2
"""Answers to STOP in a day: the confirmation, and once more. Then a machine is talking to us."""

SPAN = timedelta(days=1)


class Stop(Command, frozen=True):
    """The opt-out from everything, on every channel. Journeys that may no longer write end, an
    item that waits for its YES goes back, and one confirmation is the last thing we say."""

    CONSENT: ClassVar[bool] = True
    WORDS: ClassVar[tuple[str, ...]] = (
        *("stop", "stop all", "stopall", "unsubscribe", "unsub", "cancel", "end", "quit"),
        *("revoke", "opt out", "optout", "remove me", "td", "t", "qx", "0000"),
        *("退订", "退訂", "退订td", "td退订", "取消", "取消订阅", "取消訂閱", "停止", "停"),
        *("拒收", "不要再发", "不要再发了", "别发了", "请勿打扰"),
    )

    def answer(self, desk: Desk) -> None:
        if desk.opted_out:
            if len(desk.unsure(SPAN)) < ONCE_MORE:
                desk.say("stopped")
                desk.note_unsure(SPAN)
            return
        stage = desk.stage
        withdrawn = Consent(False, desk.now, "reply", desk.wording)
        stage.consent(contact.EVERYTHING, withdrawn)
        leave_all(stage, [it for it in stage.enrollments.values() if _ends(desk, it)], "opted_out")
        shop.give_back(desk)
        stage.converse(None)
        desk.say("stopped")
        desk.note_unsure(SPAN)


def _ends(desk: Desk, enrollment: Enrollment) -> bool:
    """Whether this journey may no longer write; one whose class is gone may not either."""
    rules = desk.project.contact.classes.get(desk.stage.journey(enrollment).contact_class)
    person = desk.stage.subscriber
    return enrollment.open and (rules is None or contact.refusal(rules, person) is not None)
