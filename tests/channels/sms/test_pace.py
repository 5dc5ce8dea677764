"""How fast a bind may go, in skipped time."""

from __future__ import annotations

import math

from channels.sms.pace import Pace


def run(pace: Pace, start: float, seconds: float) -> int:
    """How many messages go out when there are always more."""
    sent, step = 0, 0.01
    for tick in range(int(seconds / step)):
        room = min(pace.room(start + tick * step), 1000)
        pace.spend(room)
        sent += room
    return sent


def test_the_agreed_rate_is_kept_and_used() -> None:
    assert 980 <= run(Pace(100.0, 0.0), 0.0, 10.0) <= 1005


def test_a_burst_is_a_twentieth_of_a_second() -> None:
    pace = Pace(1000.0, 0.0)
    assert pace.room(60.0) == 50


def test_a_slow_rate_still_lets_one_message_go() -> None:
    assert 9 <= run(Pace(1.0, 0.0), 0.0, 10.0) <= 11


def test_throttling_takes_the_rate_below_what_went_out_and_it_comes_back() -> None:
    pace = Pace(1000.0, 0.0)
    run(pace, 0.0, 2.0)
    pace.throttle(2.0)
    pace.throttle(2.01)
    assert 600 <= pace.rate <= 720
    assert 550 <= run(pace, 2.0, 1.0) <= 720
    run(pace, 3.0, 10.0)
    assert pace.rate == 1000.0


def test_without_an_agreed_rate_throttling_finds_one_and_quiet_forgets_it() -> None:
    pace = Pace(math.inf, 0.0)
    assert pace.room(0.0) > 10_000
    pace.spend(500)
    pace.throttle(0.9)
    assert 340 <= pace.rate <= 360
    assert pace.room(200.0) > 10_000


def test_the_next_message_is_announced_in_time() -> None:
    pace = Pace(10.0, 0.0)
    assert pace.room(0.05) == 0
    assert 0.04 <= pace.delay_s() <= 0.06
    assert pace.room(0.05 + pace.delay_s()) == 1
