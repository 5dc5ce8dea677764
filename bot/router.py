"""Who gets a reply, and what is said to it.

The order of precedence, written down here and nowhere else:

1. **Consent.** STOP and START, in all their words, whatever else is going on. A word that could
   also be an answer (CANCEL, 取消, END) means consent: to stop writing to somebody who did not mean
   it is a nuisance, to go on writing to somebody who did is against the law.
2. **Commands**, said as a whole message: `points`, `redeem 2`, `help` …
3. **Open questions**, the newest first: a journey's `ask` and the bot's own (the open list of
   rewards, a purchase to be confirmed). Each is offered the reply, and the first that can do
   something with it takes it: so a number is a choice only while the list is open, and not if a
   journey has asked since then and takes the number for its answer.
4. **Help**: a reminder of the bot's own question, or else the list of commands; at most
   `MOST_UNSURE` times an hour, so that two machines do not talk for ever.

Somebody who has opted out is answered when they say a command, because then they asked; to anything
else they say we are silent.
"""

from __future__ import annotations

from datetime import datetime

from bot import dialogue
from bot.command import Said
from bot.desk import Desk
from bot.registry import understand
from orchestrator.core.engine import decide, open_question
from orchestrator.core.events import ReplyReceived
from orchestrator.core.scene import Decision, Scene


def answer(scene: Scene, reply: ReplyReceived, now: datetime) -> Decision:
    """What to do about a reply, and the scene once it is done. Pure, like `decide`."""
    desk = Desk(scene, reply, now)
    said = Said.of(reply.text)
    command = understand(said)  # consent comes first in the registry
    if command is not None:
        command.answer(desk)
        return desk.stage.decision()
    decision = _answered(desk, said)
    if decision is not None:
        return decision
    if not desk.opted_out and not dialogue.remind(desk):
        desk.say_unsure("help")
    return desk.stage.decision()


def _answered(desk: Desk, said: Said) -> Decision | None:
    """What the open question that takes the reply does with it, or None if none does."""
    journeys_since, bots_since = _asked(desk)
    takers = [
        (since, taker)
        for since, taker in (
            (journeys_since, _journey_takes),
            (bots_since, _bot_takes),
        )
        if since is not None
    ]
    for _, taker in sorted(takers, key=lambda asked: asked[0], reverse=True):
        if (decision := taker(desk, said)) is not None:
            return decision
    return None


def _asked(desk: Desk) -> tuple[datetime | None, datetime | None]:
    """When a journey, and when the bot, asked what this reply can be an answer to."""
    at = desk.reply.at
    asked = open_question(desk.stage.enrollments.values(), at)
    journeys_since = asked.waiting.since if asked is not None and asked.waiting else None
    question = desk.question
    bots_since = question.since if question is not None else None
    return journeys_since, bots_since if bots_since is None or bots_since < at else None


def _journey_takes(desk: Desk, said: Said) -> Decision | None:
    so_far = desk.stage.decision()
    decided = decide(so_far.scene, desk.reply, desk.now)
    if not decided.effects:
        return None
    return Decision((*so_far.effects, *decided.effects), decided.scene, decided.path)


def _bot_takes(desk: Desk, said: Said) -> Decision | None:
    return desk.stage.decision() if dialogue.take(desk, said) else None


def shops(scene: Scene, reply: ReplyReceived) -> bool:
    """Whether answering may need or claim an item: only then `scene.stock` has to be filled, under
    the lock on the stock."""
    command = understand(Said.of(reply.text))
    if command is not None:
        return command.SHOPS
    return scene.conversation is not None and scene.conversation.since is not None
