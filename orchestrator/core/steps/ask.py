"""`ask`: a message goes out and its answer is waited for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.core.events import ReplyReceived
from orchestrator.core.expression import Condition
from orchestrator.core.model import Waiting
from orchestrator.core.steps.base import Block, Outcome, Stay, Step, TemplateName, ViaWord
from orchestrator.core.wording import normalise

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Answer(Struct, frozen=True, kw_only=True):
    """One branch of `reply`: what the answer is, and what it leads to. `is` compares whole
    messages, whatever their case, width and punctuation; `if` sees `reply.text` as `event.text`;
    `else` is for what nothing else fits."""

    is_: tuple[str, ...] = field(default=(), name="is")
    if_: Condition | None = field(default=None, name="if")
    do: Block = ()
    else_: Block | None = field(default=None, name="else")


class Ask(Step, frozen=True, kw_only=True):
    """Ask a question. The first branch of `reply` that fits is taken and the question is closed,
    except by `else`: it answers, and the question stays open, until `tries` answers were not
    understood. When `within` has passed, `silence` is done."""

    ask: TemplateName
    via: tuple[ViaWord, ...] = ()
    within: timedelta
    reply: tuple[Answer, ...]
    silence: Block = ()
    tries: int = 3

    def blocks(self) -> Iterable[tuple[str, Block]]:
        for number, answer in enumerate(self.reply, 1):
            yield f"reply-{number}", answer.do if answer.else_ is None else answer.else_
        yield "silence", self.silence

    def start(self, here: Here) -> Outcome:
        later = here.send(self.ask, self.via)
        if later:
            return Stay(later)
        if not here.sent:
            return here.into("silence")
        return Stay(here.now + self.within, Waiting("reply", here.now))

    def on_reply(self, here: Here, reply: ReplyReceived) -> Outcome | None:
        said = normalise(reply.text)
        written = {"text": reply.text}
        for number, answer in enumerate(self.reply, 1):
            if answer.else_ is not None:
                return self._not_understood(here, f"reply-{number}")
            if any(normalise(word) == said for word in answer.is_) or (
                answer.if_ is not None and here.holds(answer.if_, written)
            ):
                return here.into(f"reply-{number}")
        return None

    def _not_understood(self, here: Here, label: str) -> Outcome:
        waiting = here.waiting
        if waiting.tries + 1 >= self.tries:
            return here.into(label)
        here.run_aside(label)
        return Stay(here.until, Waiting("reply", waiting.since, waiting.tries + 1))

    def on_time(self, here: Here) -> Outcome:
        return here.into("silence")
