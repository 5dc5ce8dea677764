"""START: we may write (again)."""

from __future__ import annotations

from typing import ClassVar

from bot.command import Command, Said
from bot.commands.link import start_code
from bot.desk import Desk
from orchestrator.core import contact
from orchestrator.core.model import Consent


class Start(Command, frozen=True):
    """The opt-in to everything that needs one. Journeys that ended with an opt-out stay ended.
    Opening a chat says `/start`, perhaps with where the person came from."""

    CONSENT: ClassVar[bool] = True
    WORDS: ClassVar[tuple[str, ...]] = (
        *("start", "subscribe", "unstop", "resume", "opt in", "optin", "kt", "dy"),
        *("订阅", "訂閱", "开通", "開通", "恢复", "恢復", "恢复订阅", "重新订阅"),
    )

    @classmethod
    def parse(cls, said: Said) -> Command | None:
        if said.slash and said.words.startswith("start "):
            return cls() if start_code(said) is None else None
        return super().parse(said)

    def answer(self, desk: Desk) -> None:
        stage = desk.stage
        granted = Consent(True, desk.now, "reply", desk.wording)
        purposes = {
            rules.purpose
            for rules in desk.project.contact.classes.values()
            if rules.consent == "opt_in"
        }
        given = [contact.EVERYTHING, *sorted(purposes - {contact.EVERYTHING})]
        before = [stage.subscriber.consents.get(purpose) for purpose in given]
        if all(consent is not None and consent.granted for consent in before):
            return desk.say_unsure("started")
        for purpose in given:
            stage.consent(purpose, granted)
        if desk.question is None:
            stage.converse(None)
        return desk.say("started")
