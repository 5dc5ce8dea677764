"""A city's mobile network at work: calls, people on their way, telephones switched off and on.

For demonstrations and benchmarks. The same seed always gives the same events. People live and work
somewhere on a map of cells; some study on a campus; now and then one of them is at the airport.
They call friends mostly, by day more than by night. A telephone that is off does nothing but come
on again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from math import log
from random import Random

from orchestrator.core.feed import Happened

COLUMNS, ROWS = 40, 25
WEST, SOUTH = 116.20, 39.80
"""The south-western corner of the map, in degrees."""
STEP_LON, STEP_LAT = 0.0125, 0.0100
"""Between cells: about a kilometre."""

CELLS = {
    f"c{row * COLUMNS + column + 1:04d}": (
        round(WEST + (column + 0.5) * STEP_LON, 5),
        round(SOUTH + (row + 0.5) * STEP_LAT, 5),
    )
    for row in range(ROWS)
    for column in range(COLUMNS)
}
"""Each cell, with the longitude and latitude of its mast."""

CAMPUSES = frozenset(
    f"c{row * COLUMNS + column + 1:04d}"
    for west, south in ((12, 5), (27, 15), (6, 18))
    for row in (south, south + 1)
    for column in (west, west + 1)
)
"""Three campuses of four cells each."""

AIRPORT = frozenset(
    f"c{row * COLUMNS + column + 1:04d}" for row in (20, 21) for column in (35, 36, 37)
)

HOURLY = (
    *(0.25, 0.15, 0.10, 0.08, 0.08, 0.15, 0.45, 0.90, 1.30, 1.50, 1.55, 1.60),
    *(1.45, 1.30, 1.35, 1.40, 1.50, 1.70, 1.80, 1.65, 1.45, 1.15, 0.70, 0.44),
)
"""How busy each hour of the day is; 1 is the mean."""

BATCH = 1_000
"""Events that come at once, at most."""
LONGEST_TICK_S = 1.0

_NAMES = tuple(CELLS)
_STUDENTS = 0.08
_NIGHT = frozenset((22, 23, 0, 1, 2, 3, 4, 5, 6))
_FRIENDS = (1, 2, 3, 7, 19, 53, 131, 389)
_MEAN_CALL_S = 90


def generate(
    seed: int, people: Sequence[int], start: datetime, hours: float, rate: float
) -> Iterator[list[Happened]]:
    """What happens to people of these telephone numbers in so many hours, in the order in which it
    happens, some at a time. `start` has the offset of the network's local time; `rate` is how many
    events a second there are in the mean of a day."""
    return _City(seed, people).run(start, hours, rate)


class _City:
    """Where everybody is, and who is off."""

    def __init__(self, seed: int, people: Sequence[int]) -> None:
        self._people = people
        self._prefix = f"{seed}-"
        self._dice = dice = Random(seed)
        campuses = [_NAMES.index(name) for name in sorted(CAMPUSES)]
        self._airport = [_NAMES.index(name) for name in sorted(AIRPORT)]
        weights = [_busy(place) for place in range(len(_NAMES))]
        self._anywhere = dice.choices(range(len(_NAMES)), weights, k=4096)
        count = len(people)
        self._home = array("H", dice.choices(self._anywhere, k=count))
        self._work = array("H", dice.choices(self._anywhere, k=count))
        for place in range(int(count * _STUDENTS)):
            student = int(dice.random() * count)
            self._home[student] = self._work[student] = campuses[place % len(campuses)]
        self._cell = array("H", self._home)
        self._off = bytearray(count)

    def run(self, start: datetime, hours: float, rate: float) -> Iterator[list[Happened]]:
        begin = start.timestamp()
        offset = start.utcoffset()
        assert offset is not None, "a start has its zone"
        local, end = offset.total_seconds(), begin + hours * 3600
        at, owed, number = begin, 0.0, 0
        while at < end:
            hour = int((at + local) // 3600 % 24)
            busy = rate * HOURLY[hour]
            span = min(BATCH / busy, LONGEST_TICK_S, end - at)
            owed += busy * span
            count = int(owed + 1e-6)
            if count > 0:
                owed -= count
                yield self._happen(at, span / count, count, number, hour)
                number += count
            at += span

    def _happen(
        self, begin: float, each: float, count: int, number: int, hour: int
    ) -> list[Happened]:
        """So many events from `begin` on, one in `each` seconds."""
        draw, people, cells, off = self._dice.random, self._people, self._cell, self._off
        prefix, names, many = self._prefix, _NAMES, len(self._people)
        found = []
        for place in range(count):
            who = int(draw() * many)
            at = int((begin + (place + draw()) * each) * 1000) / 1000
            source_id = f"{prefix}{number + place:012d}"
            kind = draw()
            properties: dict[str, str | int]
            if off[who]:
                off[who] = 0
                name, properties = "phone.on", {"cell": names[cells[who]]}
            elif kind < 0.50:
                spread = draw()
                friend = (
                    (who + _FRIENDS[int(spread * 10)]) % many
                    if spread < 0.8
                    else int(draw() * many)
                )
                name = "call.ended"
                properties = {
                    "peer": f"+{people[friend]}",
                    "cell": names[cells[who]],
                    "seconds": int(-_MEAN_CALL_S * log(1 - draw())) + 1,
                }
            elif kind < 0.94:
                cells[who] = cell = self._next(who, cells[who], hour)
                name, properties = "location.changed", {"cell": names[cell]}
            else:
                off[who] = 1
                name, properties = "phone.off", {"cell": names[cells[who]]}
            found.append(Happened(name, people[who], at, source_id, properties))
        return found

    def _next(self, who: int, here: int, hour: int) -> int:
        """The cell that somebody comes to."""
        draw = self._dice.random
        wish, airport = draw(), self._airport
        if here in airport and wish < 0.6:
            there = airport[int(draw() * len(airport))]
        elif hour in _NIGHT:
            there = self._home[who] if wish < 0.85 else self._anywhere[int(draw() * 4096)]
        elif wish < 0.01:
            there = airport[int(draw() * len(airport))]
        elif wish < 0.55:
            there = self._work[who]
        elif wish < 0.75:
            there = self._home[who]
        else:
            there = self._anywhere[int(draw() * 4096)]
        return there if there != here else (here + 1) % len(_NAMES)


def _busy(place: int) -> float:
    """How many people are somewhere: most of them in the middle of the map."""
    row, column = divmod(place, COLUMNS)
    away = ((row - ROWS / 2) / ROWS) ** 2 + ((column - COLUMNS / 2) / COLUMNS) ** 2
    return 1 / (0.05 + away)
