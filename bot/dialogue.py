"""The bot's own open question, answered: a number or name from the list, YES or NO to buying."""

from __future__ import annotations

from bot import shop
from bot.command import Said, spoken
from bot.desk import Desk

YES = (
    *("yes", "y", "yes please", "ok", "okay", "sure", "confirm", "yep"),
    *("是", "是的", "好", "好的", "确认", "確認", "确定", "確定", "行", "可以", "要"),
)
NO = (
    *("no", "n", "nope", "no thanks", "no thank you"),
    *("否", "不", "不是", "不要", "不用", "不用了", "不了", "算了", "不换", "放弃"),
)


def take(desk: Desk, said: Said) -> bool:
    """Whether the reply answers the bot's question; then it has been dealt with."""
    question = desk.question
    if question is not None and question.topic == shop.CHOOSE:
        return _choose(desk, said)
    if question is not None and question.topic == shop.CONFIRM:
        return _confirm(desk, said)
    return False


def _choose(desk: Desk, said: Said) -> bool:
    reward = shop.find(desk, said.words) if said.words else None
    if reward is not None:
        shop.claim(desk, reward)
    return reward is not None


def _confirm(desk: Desk, said: Said) -> bool:
    hold = shop.held(desk)
    if said.words in spoken(NO) and hold is not None:
        shop.give_back(desk)
        desk.say("cancelled")
    elif said.words in spoken(YES) and hold is not None:
        shop.buy(desk, hold)
    elif said.words in spoken(YES):
        desk.close()
        desk.say("hold-expired")
    else:
        return False
    return True


def remind(desk: Desk) -> bool:
    """Whether the bot has a question open, of which it then has reminded the subscriber."""
    question = desk.question
    hold = shop.held(desk)
    if hold is not None:
        reward = desk.project.rewards.get(hold.reward)
        name = shop.name_of(reward, desk) if reward else hold.reward
        desk.say_unsure("yes-or-no", reward={"name": name})
    elif question is not None and question.topic == shop.CHOOSE:
        desk.say_unsure("no-such-reward")
    else:
        return False
    return True
