"""The carrier of a simulated world: it takes messages, loses, refuses and delivers them, and brings
receipts and replies, as often and as late as the seed says. It keeps the contract of a channel, and
never lies: what it says it refused stands on nobody's screen."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec import Struct

from channels.base import Capabilities, Health, Inbox
from orchestrator.core.delivery import Outcome, Outgoing, Receipt, Reply
from tests.simulation.schedule import Schedule


class Handed(Struct, frozen=True):
    """A message as it was handed over once. `claimed`: the step of its claim's commit, and the
    time that claim went by. `arrived`: it stands on the screen; `said`: what we were told at once,
    with `carrier_id` if it was taken; `fate`: what the network said."""

    message_id: int
    subscriber_id: int
    channel: str
    claimed: tuple[int, float]
    arrived: bool
    said: str
    carrier_id: str
    fate: str


class Carrier:
    """All that is outside: networks, screens, people who answer."""

    def __init__(self, schedule: Schedule, random: Random, seed: int) -> None:
        self._schedule, self._random, self._seed = schedule, random, seed
        self.calm = False
        self.handed: list[Handed] = []
        self.air: list[Receipt | Reply] = []
        """What is on its way to us."""
        self.brought: list[Reply] = []
        self.names: dict[str, str] = {}
        """Whose each address is."""
        self._numbers = 0

    def take(self, message: Outgoing, channel: str) -> Outcome:
        """What became of the message, as far as our side hears of it."""
        random, i = self._random, message.message_id
        fault = 1.0 if self.calm else random.random()
        self._numbers += 1
        carrier_id = f"{self._seed}-{self._numbers}"
        if fault < 0.05:
            outcome = Outcome(i, "unsent", reason="not connected", retry="later")
        elif fault < 0.10:
            outcome = Outcome(i, "rejected", code="throttled", retry="later")
        elif fault < 0.17:
            outcome = Outcome(i, "rejected", code="no such number")
        elif fault < 0.20:
            outcome = Outcome(i, "unknown", reason="no answer")
        else:
            fate = "delivered"
            if not self.calm and random.random() < 0.15:
                fate = random.choice(["undelivered", "expired", "rejected"])
            lost_answer = fault < 0.27
            outcome = Outcome(i, "accepted", carrier_id)
            if lost_answer:
                outcome = Outcome(i, "unknown", reason="no answer")
            self._hand(message, channel, outcome.result, carrier_id, fate)
            self._report(Receipt(channel, carrier_id, fate))  # type: ignore[arg-type]
            if fate == "delivered" and "?" in message.content.text:
                self._react(message, channel)
            return outcome
        self._hand(message, channel, outcome.result, "", "")
        return outcome

    def say(self, channel: str, address: str, text: str) -> None:
        """Somebody has written."""
        self._numbers += 1
        reply = Reply(channel, address, text, f"{self._seed}-{self._numbers}")
        self.brought.append(reply)
        self.air.append(reply)

    def litter(self) -> None:
        """A receipt is on its way that names nothing of ours."""
        self._numbers += 1
        self.air.append(Receipt("sms", f"{self._seed}-stray-{self._numbers}", "delivered"))

    def _hand(self, message: Outgoing, channel: str, said: str, carrier_id: str, fate: str) -> None:
        claimed = self._schedule.last_commit()
        who, i, arrived = message.subscriber_id, message.message_id, fate == "delivered"
        self.handed.append(Handed(i, who, channel, claimed, arrived, said, carrier_id, fate))
        name = self.names.get(message.address, "nobody")
        self._schedule.note(f"    to {name} by {channel}: {said}, {fate or 'not sent'}")

    def _report(self, receipt: Receipt) -> None:
        chance = 1.0 if self.calm else self._random.random()
        if chance >= 0.1:
            self.air.append(receipt)
        if chance > 0.9 and not self.calm:
            self.air.append(receipt)

    def _react(self, message: Outgoing, channel: str) -> None:
        words = {"1": 8, "2": 3, "hm": 1, "STOP": 1, "": 4}
        if " points?" in message.content.text:
            words = {"YES": 10, "NO": 2, "hm": 1, "": 4}
        [said] = self._random.choices([*words], [*words.values()])
        if said:
            self.say(channel, message.address, said)


class Line:
    """A channel to that carrier, for one life of a gateway."""

    capabilities = Capabilities(max_text=1000, two_way=True, receipts=True)

    def __init__(self, name: str, schedule: Schedule, carrier: Carrier) -> None:
        self.name = name
        self._schedule, self._carrier = schedule, carrier

    async def start(self, inbox: Inbox) -> None:
        """It is always up."""

    async def stop(self) -> None:
        """There is nothing to end."""

    def health(self) -> Health:
        return "up"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        outcomes = []
        for message in batch:
            await self._schedule.park("hands a message over")
            outcomes.append(self._carrier.take(message, self.name))
        await self._schedule.park("hears what became of them")
        return outcomes
