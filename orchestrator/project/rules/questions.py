"""Questions can be answered."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.core.model import DESK_CHANNELS
from orchestrator.core.steps.ask import Ask
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.rules.base import Rule

ONE_WAY = ("wap_push", *DESK_CHANNELS)
"""Channels on which nobody can write back."""


class NobodyAnswers(Rule):
    """nothing answers this question

    A question needs a branch of `reply` with `is` or `if`, and a channel on which people can write
    back: not `wap_push` alone.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for _, ask in draft.each(Ask):
            if not any(answer.is_ or answer.if_ is not None for answer in ask.reply):
                hint = "write what is done with an answer, as `- is: ['1', 'yes']`, or `send` it"
                yield self.at(draft.places.key_mark(ask, "reply"), hint)
            words = _words(draft, ask)
            if words and all(word in ONE_WAY for word in words):
                hint = f"nobody can write back over {' or '.join(words)}: add chat or sms to `via`"
                yield self.at(draft.places.mark(ask, "via"), hint)


class OneWay(Rule):
    """nobody can answer over {word!r}

    Whoever this question reaches that way is asked, and cannot say anything.
    """

    severity = "warning"

    def check(self, draft: Draft) -> Iterator[Finding]:
        for _, ask in draft.each(Ask):
            words = _words(draft, ask)
            if not all(word in ONE_WAY for word in words):
                for number, word in enumerate(words):
                    if word in ONE_WAY:
                        mark = draft.places.mark(ask, "via", number)
                        yield self.at(mark, "leave it out of this `via`", word=word)


class AnswerOfBot(Rule):
    """the bot takes {word!r} before this question does

    Its commands go first, whatever is asked. STOP and START, in all their
    words, come before everything.
    """

    runs_anyway = True

    def check(self, draft: Draft) -> Iterator[Finding]:
        for _, ask in draft.each(Ask) if draft.bot else ():
            for answer in ask.reply:
                for number, word in enumerate(answer.is_):
                    command = draft.bot(word) if draft.bot else None
                    if command is not None:
                        mark = draft.places.mark(answer, "is", number)
                        hint = f"it says the bot's {command.upper()}: ask for another word"
                        yield self.at(mark, hint, word=word)


def _words(draft: Draft, ask: Ask) -> tuple[str, ...]:
    """The channels it goes over."""
    if ask.via or ask.ask not in draft.messages or draft.settings is None:
        return ask.via
    return draft.messages[ask.ask].channels(draft.settings.locale)
