"""Time, proved: every change of the clocks in one year, jumps of the clock, and two clocks that
differ. Each step runs once, never early, never outside its hours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.effects import SendMessage
from orchestrator.core.events import SubscriberEvent, TimerDue
from tests.core.world import World, ann, journey_text, project_of

ZONES = (
    *("Europe/Berlin", "Europe/London", "Europe/Chisinau", "Atlantic/Azores", "Asia/Beirut"),
    *("America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Havana"),
    *("America/Nuuk", "America/Scoresbysund", "America/Asuncion", "America/Santiago"),
    *("Australia/Sydney", "Australia/Adelaide", "Australia/Lord_Howe", "Pacific/Auckland"),
    *("Pacific/Chatham", "Pacific/Norfolk", "Pacific/Easter", "Africa/Cairo", "Africa/Casablanca"),
    *("Asia/Jerusalem", "Antarctica/Troll", "Asia/Kathmandu", "Asia/Shanghai"),
)
"""Both hemispheres; changes of half an hour (Lord Howe), of two hours (Troll), at midnight (Havana,
Beirut, Cairo, Asuncion, Santiago), an hour before it (Nuuk), for Ramadan; offsets of quarters of an
hour; and two that never change."""

YEAR = 2024
"""The last in which Asuncion changed its clocks."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

CONTACT = """
classes:
  service: {purpose: service, consent: opt_out}
  day: {purpose: service, consent: opt_out, hours: 08:00-21:00}
  night: {purpose: service, consent: opt_out, hours: 00:00-04:00, spread: 15m}
"""


def changes(zone: str) -> list[datetime]:
    """Each instant of the year at which the clocks of the zone change."""
    tz, found = ZoneInfo(zone), []
    now = datetime(YEAR, 1, 1, tzinfo=UTC)
    while now.year == YEAR:
        then = now + timedelta(minutes=30)
        if now.astimezone(tz).utcoffset() != then.astimezone(tz).utcoffset():
            found.append(then)
        now = then
    return found


CHANGES = [(zone, change) for zone in ZONES for change in changes(zone)]

TIMES = ("00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "10:00", "23:30")
"""Most of them are skipped, or come twice, somewhere."""


def sent(world: World) -> Iterator[tuple[datetime, str]]:
    """When each message was decided to go, and of which step."""
    for now, effect in world.effects:
        if isinstance(effect, SendMessage):
            yield now, effect.message.step


def wall(moment: datetime, tz: ZoneInfo) -> datetime:
    return moment.astimezone(tz).replace(tzinfo=None)


def early(moment: datetime, day_one: date, step: str, tz: ZoneInfo) -> bool:
    """Whether the clock on the wall has never yet shown the step's time."""
    day, clock = step[1:].split("-")
    due = datetime.combine(day_one + (int(day) - 1) * DAY, time(int(clock[:2]), int(clock[2:])))
    # Where clocks go back, the time came for the first time before they did.
    return max(wall(moment, tz), wall(moment - 3 * HOUR, tz)) < due


def entered(zone: str, contact_class: str, steps: list[dict[str, Any]], moment: datetime) -> World:
    """Ann lives there and has come into the journey of these steps."""
    text = journey_text("demo", steps, **{"class": contact_class})
    life = World(project_of({"demo": text}, program={"contact": CONTACT}), ann(timezone=zone))
    life.now = moment
    life.take(SubscriberEvent("start", moment, {}, "test:1"))
    return life


def around_the_change(clocks: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"id": f"d{day}-{clock.replace(':', '')}", "at": f"day {day} {clock}",
         "send": f"m/d{day}-{clock.replace(':', '')}"}
        for day in range(1, 6)
        for clock in clocks
    ]  # fmt: skip


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=lambda it: str(it)[:19])
@pytest.mark.parametrize("contact_class", ["service", "day", "night"])
def test_around_a_change_of_the_clocks_each_step_goes_once_and_never_early(
    zone: str, change: datetime, contact_class: str
) -> None:
    tz = ZoneInfo(zone)
    # Entered late the evening two days before, by the wall: the change is on day 3, or day 2.
    day_one = wall(change, tz).date() - 2 * DAY
    steps = around_the_change(TIMES)
    midnight = datetime.combine(day_one, time(0), tz).astimezone(UTC)
    life = entered(zone, contact_class, steps, midnight)
    life.go_on(days=60)

    went = [*sent(life)]
    assert [step for _, step in went] == [step["id"] for step in steps], "each once, in order"
    assert not [step for now, step in went if early(now, day_one, step, tz)]
    opens, closes = {"day": (8, 21), "night": (0, 4), "service": (0, 24)}[contact_class]
    assert all(opens <= wall(now, tz).hour < closes for now, _ in went)
    if contact_class == "service":
        # Where the clocks make two times one, the second goes on the next day, as after an outage.
        assert all(now <= due_by(day_one, step, tz) + DAY for now, step in went), "and in time"


def due_by(day_one: date, step: str, tz: ZoneInfo) -> datetime:
    """The first instant at which the clock on the wall shows the step's time or a later one."""
    day, clock = step[1:].split("-")
    due = datetime.combine(day_one + (int(day) - 1) * DAY, time(int(clock[:2]), int(clock[2:])))
    now = due.replace(tzinfo=tz).astimezone(UTC) - 3 * HOUR
    while wall(now, tz) < due:
        now += timedelta(minutes=15)
    # A time that the clocks leave out comes as much later as they were moved.
    return now + 2 * HOUR if wall(now, tz) != due else now


@pytest.mark.parametrize(("zone", "change"), CHANGES, ids=lambda it: str(it)[:19])
def test_a_wait_over_a_change_of_the_clocks_lasts_as_long_as_it_says(
    zone: str, change: datetime
) -> None:
    steps = [
        {"id": "before", "send": "m/before"},
        {"id": "pause", "wait": "3h"},
        {"id": "after", "send": "m/after"},
        {"id": "long", "wait": "1d"},
        {"id": "end", "send": "m/end"},
    ]
    life = entered(zone, "service", steps, change - HOUR)
    life.go_on(days=9)
    assert [(now - change + HOUR, step) for now, step in sent(life)] == [
        (timedelta(), "before"),
        (3 * HOUR, "after"),
        (27 * HOUR, "end"),
    ]


jumps = st.lists(
    st.tuples(
        st.sampled_from([timedelta(minutes=7), HOUR, 5 * HOUR, DAY]),
        st.sampled_from([timedelta(), HOUR, -HOUR, timedelta(minutes=5), timedelta(minutes=-5)]),
    ),
    min_size=30,
    max_size=80,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CHANGES), jumps)
def test_a_clock_that_jumps_between_turns_takes_no_step_twice_or_early(
    case: tuple[str, datetime], turns: list[tuple[timedelta, timedelta]]
) -> None:
    """Each turn is taken by a clock that is an hour or five minutes wrong, either way: by that very
    clock nothing is early, nothing is twice, and in the end everything was done."""
    zone, change = case
    tz = ZoneInfo(zone)
    day_one = wall(change, tz).date() - DAY
    steps = around_the_change(("00:30", "02:30", "10:00"))
    true = datetime.combine(day_one, time(0), tz).astimezone(UTC)
    life = entered(zone, "service", steps, true)
    for passed, wrong in turns:
        true += passed
        life.now = true + wrong
        life.take(TimerDue())
    life.now = max(life.now, true + DAY)
    life.go_on(days=60)
    went = [*sent(life)]
    assert [step for _, step in went] == [step["id"] for step in steps]
    assert not [step for now, step in went if early(now, day_one, step, tz)]
    assert max(Counter(step for _, step in went).values()) == 1
