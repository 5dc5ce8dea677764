"""A conversation with the bot: the shipped project, the production `answer`, a clock that is
skipped, and one line for each thing said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bot.router import answer
from orchestrator.core import contact, points
from orchestrator.core.effects import Effect, SendMessage, Suppress
from orchestrator.core.engine import decide
from orchestrator.core.events import Event, Joined, ReplyReceived
from orchestrator.core.grammar import parse_duration
from orchestrator.core.model import Consent, Content, Subscriber
from orchestrator.core.points import Account
from orchestrator.core.project import Project
from orchestrator.core.scene import Decision, Scene
from orchestrator.project.load import load
from orchestrator.project.source import read_folder

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
"""A Monday, noon in Shanghai."""

CHANCE = bytes(range(16))
SECRET = b"a secret of these tests"
ADDRESSES = {"sms": "+8613800138000", "telegram": "42"}
PACE = timedelta(seconds=5)


@lru_cache
def shipped(*more: tuple[str, str]) -> Project:
    """The shipped project, with further files."""
    return load({**read_folder(Path(__file__).parents[2]), **dict(more)})


class Chat:
    """One subscriber talking with us. Time passes by `PACE` with every reply."""

    def __init__(
        self,
        project: Project,
        *,
        locale: str = "en",
        channel: str = "sms",
        lots: tuple[tuple[int, timedelta | None], ...] = (),
        stock: Mapping[str, int] | None = None,
        opted_out: bool = False,
        joined: Joined = "",
    ) -> None:
        self.now = NOON
        self.channel = channel
        self.joined = joined
        self.number = 0
        self.effects: list[Effect] = []
        account, history = Account(), []
        for number, (amount, span) in enumerate(lots):
            expires_at = NOON + span if span else None
            account, _ = points.award(account, amount, f"lot:{number}", "quiz", NOON, expires_at)
            history.insert(0, (amount, "quiz", NOON))
        consents = {contact.EVERYTHING: Consent(False, NOON)} if opted_out else {}
        figures = {reward.id: reward.stock for reward in project.rewards.values()}
        self.scene = Scene(
            project=project,
            subscriber=Subscriber(
                id=7,
                key="7",
                shard=7,
                locale=locale,
                timezone="Asia/Shanghai",
                attributes={},
                tags=frozenset(),
                addresses=ADDRESSES,
                consents=consents,
                created_at=NOON,
            ),
            enrollments={},
            account=account,
            stock={**figures, **(stock or {})},
            history=tuple(history),
            chance=CHANCE,
            secret=SECRET,
        )

    def says(self, text: str, at: datetime | None = None) -> list[str]:
        """What we answer to `text`, each as one line with its buttons in brackets."""
        self.now += PACE
        self.number += 1
        address = ADDRESSES[self.channel]
        source_id = f"reply-{self.number}"
        reply = ReplyReceived(text, self.channel, address, at or self.now, source_id, self.joined)
        return self._done(answer(self.scene, reply, self.now))

    def happens(self, event: Event) -> list[str]:
        """What we send because of `event`."""
        return self._done(decide(self.scene, event, self.now))

    def passes(self, span: timedelta) -> None:
        self.now += span

    def _done(self, decision: Decision) -> list[str]:
        self.effects = [*decision.effects]
        failures = [effect for effect in self.effects if isinstance(effect, Suppress)]
        assert not failures, failures
        self.scene = replace(
            decision.scene, history=(*points.lines(self.effects), *decision.scene.history)[:5]
        )
        messages = [effect.message for effect in self.effects if isinstance(effect, SendMessage)]
        return [line(message.content) for message in messages]


def line(content: Content) -> str:
    """A message in one line: `text / next line [button] [button]`."""
    buttons = "".join(f" [{button.label}]" for button in content.buttons)
    return content.text.replace("\n", " / ") + buttons


def chat_of(written: Mapping[str, Any]) -> Chat:
    """The chat that a transcript's first keys describe."""
    return Chat(
        shipped(),
        locale=written.get("locale", "en"),
        channel=written.get("channel", "sms"),
        lots=tuple(
            (lot["points"], parse_duration(lot["for"]) if "for" in lot else None)
            for lot in written.get("lots", ())
        ),
        stock=written.get("stock"),
        opted_out=written.get("opted_out", False),
        joined=written.get("joined", ""),
    )


def replayed(written: Mapping[str, Any]) -> list[str]:
    """A transcript as it happens: what it says and waits for is done, and what follows is what
    we answer and how things then stand."""
    chat = chat_of(written)
    lines: list[str] = []
    for spoken in written["talk"].splitlines():
        sign, _, rest = spoken.partition(" ")
        if sign == "<":
            lines.append(spoken)
            lines += [f"> {answered}" for answered in chat.says(rest)]
        elif sign == "+":
            chat.passes(parse_duration(rest))
            lines.append(spoken)
        elif sign == "=":
            lines.append(f"= {standing(chat, rest.split()[0])}")
    return lines


def standing(chat: Chat, what: str) -> str:
    """How things stand: `points 30`, `locale en`, or how many of a reward are free."""
    if what == "points":
        return f"points {chat.scene.account.balance_points}"
    if what == "locale":
        return f"locale {chat.scene.subscriber.locale}"
    if what == "consents":
        given = sorted(chat.scene.subscriber.consents.items())
        return "consents " + " ".join(f"{'+' if c.granted else '-'}{name}" for name, c in given)
    return f"{what} {chat.scene.stock[what]}"
