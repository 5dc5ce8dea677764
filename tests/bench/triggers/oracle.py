"""The two shipped recipes by brute force: one event after the other, in their true order, with
dictionaries. It knows nothing of the product but what its two journeys say."""

from __future__ import annotations

from collections.abc import Container
from heapq import heappop, heappush

from msgspec import Struct

from orchestrator.core.feed import Happened

RING_BACK, MORNING_NEWS = "ring-back-tone", "morning-news"
RING_BACK_S, MORNING_NEWS_S = 5 * 60, 20 * 60
ONCE_PER_S = 86_400


class Sets(Struct, frozen=True):
    """Who is on which list, as numbers, and which cells lie where."""

    prospects: Container[int]
    users: Container[int]
    readers: Container[int]
    blacklist: Container[int]
    campuses: Container[str]
    airport: Container[str]


class Oracle:
    """What the recipes would do with all events, were each there in the moment it happened.

    `firings` are (at, number, journey), in order; `at` is when the wait had ended, in seconds.
    """

    def __init__(self, sets: Sets) -> None:
        self.firings: list[tuple[float, int, str]] = []
        self._sets = sets
        self._cell: dict[int, str] = {}
        self._power: dict[int, str] = {}
        self._begun: dict[tuple[int, str], float] = {}
        self._fired: dict[tuple[int, str], float] = {}
        self._coming: list[tuple[float, float, int, str]] = []

    def sends(self) -> set[tuple[int, str]]:
        """To whom which journey's message goes: to nobody on the blacklist, and of one week's, in
        which all this happens, the first."""
        sent: dict[int, str] = {}
        for _, who, journey in self.firings:
            if who not in self._sets.blacklist:
                sent.setdefault(who, journey)
        return {*sent.items()}

    def see(self, event: Happened) -> None:
        """The next event, in order of time."""
        self.pass_to(event.at)
        who, at, sets = int(event.who), event.at, self._sets
        cell = event.properties["cell"]
        if event.name == "phone.off":
            self._power[who] = "off"
            self._end(who, RING_BACK, at)
            return
        self._cell[who] = cell
        if event.name == "phone.on":
            self._power[who] = "on"
        elif event.name == "location.changed":
            if cell not in sets.campuses:
                self._end(who, RING_BACK, at)
            if cell not in sets.airport:
                self._end(who, MORNING_NEWS, at)
            elif who in sets.readers:
                self._begin(who, MORNING_NEWS, at, MORNING_NEWS_S)
        elif event.name == "call.ended":
            peer = int(event.properties["peer"].lstrip("+"))
            if who in sets.prospects and peer in sets.users and cell in sets.campuses:
                self._begin(who, RING_BACK, at, RING_BACK_S)

    def pass_to(self, at: float) -> None:
        """Every wait that ended before `at` has had its end; what happens at its very end comes
        first."""
        while self._coming and self._coming[0][0] < at:
            due, began, who, journey = heappop(self._coming)
            if self._begun.get((who, journey)) != began:
                continue
            del self._begun[who, journey]
            where = self._sets.campuses if journey == RING_BACK else self._sets.airport
            if self._cell[who] in where and self._power.get(who) != "off":
                self._fired[who, journey] = due
                self.firings.append((due, who, journey))

    def _begin(self, who: int, journey: str, at: float, wait_s: float) -> None:
        fired = self._fired.get((who, journey))
        if (who, journey) in self._begun or (fired is not None and at - fired < ONCE_PER_S):
            return
        self._begun[who, journey] = at
        heappush(self._coming, (at + wait_s, at, who, journey))

    def _end(self, who: int, journey: str, at: float) -> None:
        if self._begun.get((who, journey), at) < at:
            del self._begun[who, journey]
