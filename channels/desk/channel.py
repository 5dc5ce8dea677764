"""The channel: what is handed in is on the list, until a person takes it (`/v1/desk/…`)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from channels.base import Capabilities, Health, Inbox, Kind, Means
from orchestrator.core.delivery import Outcome, Outgoing

MAX_SCRIPT = 10_000
"""Characters that a person may have to read."""


class DeskChannel:
    """Keeps the contract of `channels.base.Channel`. A message is accepted as soon as it is handed
    in, under `SUBSCRIBER-MESSAGE`; what came of it is its receipt."""

    capabilities = Capabilities(max_text=MAX_SCRIPT, two_way=False, receipts=True)

    def __init__(self, name: str) -> None:
        self.name = name
        self._open = False

    async def start(self, inbox: Inbox) -> None:
        self._open = True

    async def stop(self) -> None:
        self._open = False

    def health(self) -> Health:
        return "up" if self._open else "down"

    async def send(self, batch: Sequence[Outgoing]) -> list[Outcome]:
        """One outcome each."""
        return [self._listed(message) for message in batch]

    def _listed(self, message: Outgoing) -> Outcome:
        number, words = message.message_id, message.content.text
        if not (message.address.startswith("+") and message.address[1:].isdigit()):
            return Outcome(number, "rejected", reason="the address is no telephone number")
        if not self._open:
            return Outcome(number, "unsent", reason="the desk is closed", retry="later")
        if not words or len(words) > MAX_SCRIPT:
            reason = f"the script has {len(words)} characters; it takes 1 to {MAX_SCRIPT}"
            return Outcome(number, "rejected", reason=reason)
        return Outcome(number, "accepted", f"{message.subscriber_id}-{number}")


class DeskSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing needs to be set."""


def _build(name: str, settings: DeskSettings, means: Means) -> DeskChannel:
    return DeskChannel(name)


KIND = Kind(DeskSettings, _build, "web")
