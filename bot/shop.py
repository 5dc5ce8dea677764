"""What points buy: the numbered list, claiming an item, and the code that shows the purchase."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.desk import Desk
from orchestrator.core import points
from orchestrator.core.codes import hash_code, make_code
from orchestrator.core.points import Hold
from orchestrator.core.project import Reward
from orchestrator.core.wording import normalise

CHOOSE = "choose"
CONFIRM = "confirm"
LIST_OPEN = timedelta(minutes=30)
LATE = timedelta(days=1)
"""How long after a hold has expired its YES is still known for one that comes too late."""


def name_of(reward: Reward, desk: Desk) -> str:
    """What the subscriber calls the reward, in their language if it has a name in it."""
    locale = desk.stage.subscriber.locale.replace("_", "-")
    for wanted in (locale, locale.partition("-")[0], desk.project.locale):
        if wanted in reward.names:
            return reward.names[wanted]
    return next(iter(reward.names.values()), reward.id)


def shown(reward: Reward, desk: Desk) -> dict[str, Any]:
    """A reward as the templates see it."""
    cost = reward.cost_points
    return {
        "number": [*desk.project.rewards].index(reward.id) + 1,
        "name": name_of(reward, desk),
        "cost_points": cost,
        "missing_points": max(0, cost - desk.stage.account.balance_points),
    }


def show_list(desk: Desk) -> None:
    """The rewards still to be had are listed, and a number, or a name, chooses one. A reward keeps
    its number whatever else is sold out."""
    rewards = [r for r in desk.project.rewards.values() if desk.stage.stock.get(r.id, 0) > 0]
    if not rewards:
        return desk.say("no-rewards")
    give_back(desk)
    desk.say("rewards", rewards=[shown(reward, desk) for reward in rewards])
    return desk.ask(
        CHOOSE, tuple(desk.project.rewards), desk.now + max(LIST_OPEN, desk.project.points.hold)
    )


def find(desk: Desk, wanted: str) -> Reward | None:
    """The reward of that number or name. Numbers are those of the list last shown."""
    rewards = desk.project.rewards
    question = desk.question
    listed = question.choices if question and question.topic == CHOOSE else tuple(rewards)
    if wanted.isdecimal() and len(wanted) <= 3:
        number = int(wanted)
        return rewards.get(listed[number - 1]) if 1 <= number <= len(listed) else None
    named = {
        normalise(name): reward
        for reward in rewards.values()
        for name in (reward.id, *reward.names.values())
    }
    if wanted in named:
        return named[wanted]
    close = {reward.id for name, reward in named.items() if len(wanted) > 1 and wanted in name}
    return rewards[close.pop()] if len(close) == 1 else None


def claim(desk: Desk, reward: Reward) -> None:
    """The reward is set aside for the subscriber, who is asked to confirm; or it cannot be, and
    they are told why. What they had set aside before is given back."""
    key = f"{desk.reply.channel}:{desk.reply.source_id}"
    if desk.stage.account.hold(key) is None:
        give_back(desk)
        if refused(desk, reward):
            return
        until = desk.now + desk.project.points.hold
        desk.stage.post(
            points.hold(desk.stage.account, key, reward.id, reward.cost_points, desk.now, until)
        )
        desk.ask(CONFIRM, (key,), until + LATE)
    ask_to_confirm(desk, reward)


def refused(desk: Desk, reward: Reward) -> bool:
    """Whether the reward cannot be had; then the subscriber has been told why."""
    limit = reward.per_member
    if limit is not None and desk.stage.claimed.get(reward.id, 0) >= limit:
        desk.say("limit", reward=shown(reward, desk), per_member=limit)
    elif desk.stage.stock.get(reward.id, 0) < 1:
        desk.say("sold-out", reward=shown(reward, desk))
    elif desk.stage.account.balance_points < reward.cost_points:
        desk.say("too-few", reward=shown(reward, desk))
    else:
        return False
    return True


def ask_to_confirm(desk: Desk, reward: Reward) -> None:
    """The question stands: YES or NO?"""
    minutes = int(desk.project.points.hold.total_seconds()) // 60
    desk.say("confirm", reward=shown(reward, desk), minutes=minutes)


def held(desk: Desk) -> Hold | None:
    """What waits for the subscriber's YES."""
    question = desk.question
    if question is None or question.topic != CONFIRM:
        return None
    return desk.stage.account.hold(question.choices[0])


def buy(desk: Desk, hold: Hold) -> None:
    """The hold is a sale; the buyer gets a code if the reward has one."""
    reward = desk.project.rewards.get(hold.reward) or Reward(hold.reward, {}, hold.points, 0)
    code, hashed = "", b""
    if reward.code:
        code = make_code(desk.scene.chance, f"{desk.stage.subscriber.id}:{hold.key}")
        hashed = hash_code(code, desk.scene.secret)
    desk.stage.post(points.confirm(desk.stage.account, hold, desk.now, hashed))
    desk.close()
    desk.say("redeemed", reward={"name": name_of(reward, desk)}, code=code)


def give_back(desk: Desk) -> None:
    """Nothing waits for the subscriber's YES any more."""
    if (hold := held(desk)) is not None:
        desk.stage.post(points.release(desk.stage.account, hold, desk.now))
    if desk.question is not None:
        desk.close()
