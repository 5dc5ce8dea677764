"""The telephones of a simulated carrier, and the messages on their way to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from msgspec import Struct

from channels.carriers.agenda import Agenda
from channels.carriers.faults import Faults
from channels.carriers.handset import Arrived, Handset, Said, Script
from channels.carriers.taken import Taken, expiry_of
from channels.sms.wire import Wire


class Change(Struct, frozen=True):
    """Something an onlooker may want to show. `number` names the handset, if it is about one."""

    kind: Literal["bound", "lost", "arrived", "said", "acknowledged"]
    number: str = ""


class Network:
    """A telephone for every number. A carrier derives from it, and says what happens to a message
    in its final state (`finish`) and to what a phone says (`carry`).

    `on_change` holds callables that hear of every Change; `script` is what new handsets begin
    with. `faults` may be changed at any time. `connections` are all there are, whether or not
    somebody has logged in on them.
    """

    def __init__(
        self,
        faults: Faults | None,
        now: Callable[[], datetime],
        script: Script | None,
        remembered: int,
    ) -> None:
        self.faults = faults or Faults()
        self.now = now
        self.script = script
        self.handsets: dict[str, Handset] = {}
        self.on_change: list[Callable[[Change], None]] = []
        self.connections: set[Wire] = set()
        self._remembered = remembered
        self._kept: dict[str, list[Taken]] = {}
        self._scripts: set[asyncio.Task[None]] = set()

    def open_network(self) -> None:
        """Messages find their way from now on."""
        self._loop = asyncio.get_running_loop()
        self._agenda = Agenda(self._loop)

    def close_network(self) -> None:
        """Nothing moves any more. Handsets and what is kept for them stay."""
        self._agenda.clear()
        for script in self._scripts:
            script.cancel()

    def cut(self) -> None:
        """Every connection has ended without a word."""
        for connection in list(self.connections):
            connection.abort()

    def handset(self, number: str) -> Handset:
        """The phone of this number (`+8613800138000` or without the plus)."""
        digits = number.removeprefix("+")
        handset = self.handsets.get(digits)
        if handset is None:
            handset = Handset(digits, self, remembered=self._remembered)
            handset.script = self.script
            self.handsets[digits] = handset
        return handset

    def reachable(self, handset: Handset) -> None:
        """A handset is on again: what was kept for it arrives."""
        for taken in self._kept.pop(handset.number, ()):
            self.arrive(taken)

    def tell(
        self, kind: Literal["bound", "lost", "arrived", "said", "acknowledged"], number: str = ""
    ) -> None:
        """Onlookers know."""
        for look in self.on_change:
            look(Change(kind, number))

    def carry(self, handset: Handset, said: Said) -> None:
        """What was said goes to the customer behind `said.to`."""
        raise NotImplementedError

    def finish(self, taken: Taken, state: int) -> None:
        """The message is in its final state, and whoever asked for a receipt gets one."""
        raise NotImplementedError

    def arrive(self, taken: Taken) -> None:
        """The message reaches its handset, waits for it, or is found undeliverable."""
        if taken.state != 1:
            return
        number = taken.message.destination_addr
        if self.faults.undeliverable is not None and self.faults.undeliverable(number):
            self.finish(taken, 5)
            return
        handset = self.handset(number)
        if not handset.on:
            self._keep(taken)
            return
        if not handset.takes(taken.message):
            self.finish(taken, 5)
            return
        self.finish(taken, 2)
        arrived = handset.receive(taken.message)
        if arrived is None:
            return
        self.tell("arrived", handset.number)
        if handset.script is not None:
            self._run(handset.script, handset, arrived)

    def _keep(self, taken: Taken) -> None:
        self._kept.setdefault(taken.message.destination_addr, []).append(taken)
        expires_at = expiry_of(taken.message)
        if expires_at is not None:
            left_s = (expires_at - self.now()).total_seconds()
            self._agenda.put(max(0.0, left_s), self._expire, taken)

    def _expire(self, taken: Taken) -> None:
        if taken.state == 1:
            self.finish(taken, 3)

    def _run(self, script: Script, handset: Handset, arrived: Arrived) -> None:
        async def play() -> None:
            await script(handset, arrived)

        task = self._loop.create_task(play())
        self._scripts.add(task)
        task.add_done_callback(self._scripts.discard)
