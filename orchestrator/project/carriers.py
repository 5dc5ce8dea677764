"""What carriers are handed, second by second: its peaks, and how long a pace or a carrier's rate
makes it wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.core.grammar import Pace

DAY_S = 86_400
MINUTE_S = 60


class Series:
    """How many in each second, from 0 on."""

    def __init__(self) -> None:
        self._seconds: dict[int, int] = {}

    def add(self, second: int, count: int = 1) -> None:
        """So many more in that second."""
        self._seconds[second] = self._seconds.get(second, 0) + count

    def merge(self, other: Series) -> None:
        """What `other` counts is counted here too."""
        for second, count in other.counts():
            self.add(second, count)

    def counts(self) -> Iterator[tuple[int, int]]:
        """Each second that has any, in order, and how many."""
        return iter(sorted(self._seconds.items()))


def peaks(series: Series) -> tuple[tuple[int, int], tuple[int, int]]:
    """The most in one second and in one minute of the clock, each with when (in seconds)."""
    second = minute = (0, 0)
    counting, so_far = -1, 0
    for at, count in series.counts():
        second = max(second, (count, -at))
        if at // MINUTE_S != counting:
            counting, so_far = at // MINUTE_S, 0
        so_far += count
        minute = max(minute, (so_far, -counting * MINUTE_S))
    return (second[0], -second[1]), (minute[0], -minute[1])


def paced(series: Series, pace: Pace) -> tuple[Series, int]:
    """The series as its pace lets it go, and the longest wait in seconds."""
    out, free, longest = Series(), 0.0, 0.0
    each = pace.unit_s / pace.count
    for at, count in series.counts():
        for _ in range(count):
            free = max(free, at)
            out.add(int(free))
            longest = max(longest, free - at)
            free += each
    return out, int(longest)


def longest_wait(series: Series, rate_per_s: float) -> int:
    """How many seconds the unluckiest message waits, if so many go each second."""
    free = longest = 0.0
    for at, count in series.counts():
        free = max(free, at) + count / rate_per_s
        longest = max(longest, free - at)
    return max(0, int(longest))


def handed_over(
    queued: Mapping[str, Series], paces: Mapping[str, Pace]
) -> tuple[Series, dict[str, int]]:
    """What one channel's carrier is handed, of what was queued by journey (`''`: of those without a
    pace), and each paced journey's longest wait in seconds."""
    whole, waits = Series(), {}
    for journey, series in queued.items():
        pace = paces.get(journey)
        if pace is not None:
            series, waits[journey] = paced(series, pace)
        whole.merge(series)
    return whole, waits
