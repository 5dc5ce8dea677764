"""Where the bot works: a stage, the reply at hand, and the words to answer it with."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from orchestrator.core import contact
from orchestrator.core.effects import SendMessage, Suppress
from orchestrator.core.errors import RenderError
from orchestrator.core.events import ReplyReceived
from orchestrator.core.links import rendered
from orchestrator.core.model import Conversation, Message, word_of
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.core.stage import Stage
from orchestrator.core.wording import LONGEST

ANSWER = "answer"
"""The contact class of everything the bot says."""

MOST_UNSURE = 5
"""Answers an hour to what we do not understand: beyond that, a machine is talking to us."""

UNSURE_SPAN = timedelta(hours=1)


class Desk:
    """A stage at which replies are answered, on the channel and at the address they came from."""

    def __init__(self, scene: Scene, reply: ReplyReceived, now: datetime) -> None:
        self.stage = Stage(scene, now)
        self.stage.settle()
        self.scene = scene
        self.reply = reply
        self.now = now

    @property
    def project(self) -> Project:
        return self.stage.project

    @property
    def question(self) -> Conversation | None:
        """The bot's own open question, or None."""
        talk = self.stage.conversation
        return talk if talk and talk.since is not None and talk.until > self.now else None

    @property
    def wording(self) -> str:
        """The reply's own words, as a record keeps them: short, and nothing but text."""
        text = self.reply.text[:LONGEST]
        return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs"))

    @property
    def opted_out(self) -> bool:
        """Whether the subscriber wants nothing from us but answers."""
        everything = self.stage.subscriber.consents.get(contact.EVERYTHING)
        return everything is not None and not everything.granted

    def say(self, template: str, **values: Any) -> None:
        """The answer `templates/bot/<template>` is queued. If the project has no such message, or
        it fails, that is recorded, and what was done is still done."""
        name = f"bot/{template}"
        try:
            message = self._compose(name, {**self.stage.scope({}), **values})
        except RenderError as failure:
            self.stage.effects.append(Suppress("", "", name, f"render_failed: {failure.message}"))
        else:
            self.stage.effects.append(SendMessage(message))

    def _compose(self, name: str, variables: Mapping[str, Any]) -> Message:
        wordings = self.project.messages.get(name)
        if wordings is None:
            raise RenderError(f"there is no message {name}", f"write templates/{name}.en.j2")
        locale = self.stage.subscriber.locale
        word = word_of(self.reply.channel)
        word = word if word in wordings.channels(locale) else "sms"
        content = rendered(wordings, word, locale, variables)
        rules = self.project.contact.classes.get(ANSWER)
        return Message(
            template=name,
            contact_class=ANSWER,
            channel=self.reply.channel,
            address=self.reply.address,
            content=content,
            valid_until=self.now + rules.valid if rules else None,
        )

    def say_unsure(self, template: str, **values: Any) -> None:
        """An answer to what was not understood; silence once there were `MOST_UNSURE` in an
        hour."""
        if len(self.unsure()) < MOST_UNSURE:
            self.say(template, **values)
            self.note_unsure()

    def unsure(self, span: timedelta = UNSURE_SPAN) -> tuple[datetime, ...]:
        """When we last gave answers that a machine might answer again."""
        talk = self.stage.conversation
        return tuple(at for at in talk.unsure if at > self.now - span) if talk else ()

    def note_unsure(self, span: timedelta = UNSURE_SPAN) -> None:
        """This answer is remembered, for `span` at least, as one of those."""
        talk = self.question or Conversation("", self.now)
        self.stage.converse(
            Conversation(
                talk.topic,
                max(talk.until, self.now + span),
                talk.choices,
                talk.since,
                (*self.unsure(span), self.now),
            )
        )

    def ask(self, topic: str, choices: tuple[str, ...], until: datetime) -> None:
        """The bot's open question is now this one."""
        self.stage.converse(Conversation(topic, until, choices, self.now, self.unsure()))

    def close(self) -> None:
        """The bot has no open question."""
        unsure = self.unsure()
        self.stage.converse(
            Conversation("", max(unsure) + UNSURE_SPAN, unsure=unsure) if unsure else None
        )
