"""The contact policy: a table of verdicts, and a small second opinion walked minute by minute."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.core import calendar
from orchestrator.core.contact import (
    EVERYTHING,
    Around,
    ContactClass,
    ContactPolicy,
    refusal,
)
from orchestrator.core.grammar import Days, Window
from orchestrator.core.model import Consent, Sent, Subscriber
from orchestrator.core.verdict import GO, Go, Later, Never, may_go
from tests.core.contact_oracle import look

MONDAY_NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
"""12:00 in Shanghai."""

DAY = timedelta(days=1)
YES, NO = (Consent(granted=g, at=MONDAY_NOON - DAY) for g in (True, False))

PROMOTION = ContactClass(
    purpose="marketing",
    hours=Window.parse("09:00-20:00"),
    weekdays=frozenset(range(5)),
    per_day=1,
    same_message=30 * DAY,
    other_journey=7 * DAY,
)


def somebody(timezone: str | None = "Asia/Shanghai", **consents: Any) -> Subscriber:
    return Subscriber(
        id=1,
        key="8613800138000",
        shard=1,
        locale="zh-CN",
        timezone=timezone,
        attributes={},
        tags=frozenset(),
        addresses={"sms": "+8613800138000"},
        consents=consents,
        created_at=MONDAY_NOON - 90 * DAY,
    )


def sent(ago: timedelta, template: str = "other", journey: str = "mine") -> Sent:
    return Sent(MONDAY_NOON - ago, template, journey, "promotion")


def at(hours: float) -> datetime:
    """So many hours from Monday noon."""
    return MONDAY_NOON + timedelta(hours=hours)


WILLING = somebody(marketing=YES)
OPEN = ContactClass(purpose="marketing")


@pytest.mark.parametrize(
    ("case", "rules", "subscriber", "recent", "hours", "verdict"),
    [
        ("all is well", PROMOTION, WILLING, (), 0, GO),
        ("never asked", PROMOTION, somebody(), (), 0, Never("no_consent")),
        ("said no", PROMOTION, somebody(marketing=NO), (), 0, Never("opted_out")),
        (
            "said no to everything, yes to this",
            PROMOTION,
            somebody(marketing=YES, everything=NO),
            (),
            0,
            Never("opted_out"),
        ),
        ("yes to something else", PROMOTION, somebody(news=YES), (), 0, Never("no_consent")),
        (
            "yes to everything is no yes to this",
            PROMOTION,
            somebody(everything=YES),
            (),
            0,
            Never("no_consent"),
        ),
        (
            "service messages go until refused",
            ContactClass(purpose="service", consent="opt_out"),
            somebody(),
            (),
            0,
            GO,
        ),
        (
            "service messages end when refused",
            ContactClass(purpose="service", consent="opt_out"),
            somebody(service=NO),
            (),
            0,
            Never("opted_out"),
        ),
        (
            "an answer passes always",
            ContactClass(purpose="", consent="answer", hours=PROMOTION.hours, per_day=0),
            somebody(None, everything=NO),
            (sent(timedelta()),),
            10,
            GO,
        ),
        ("before it opens", PROMOTION, WILLING, (), -4, Later(at(-3), "outside_hours")),
        ("as it opens", PROMOTION, WILLING, (), -3, GO),
        ("as it closes", PROMOTION, WILLING, (), 8, Later(at(21), "outside_hours")),
        ("Friday evening", PROMOTION, WILLING, (), 4 * 24 + 9, Later(at(165), "outside_hours")),
        (
            "one today already",
            PROMOTION,
            WILLING,
            (sent(timedelta(hours=2)),),
            0,
            Later(at(21), "per_day"),
        ),
        ("the last one was yesterday", PROMOTION, WILLING, (sent(timedelta(hours=13)),), 0, GO),
        (
            "one at midnight is one of today",
            PROMOTION,
            WILLING,
            (sent(timedelta(hours=12)),),
            0,
            Later(at(21), "per_day"),
        ),
        (
            "yesterday by UTC, today by the clock on the wall",
            PROMOTION,
            WILLING,
            (sent(timedelta(hours=11)),),
            0,
            Later(at(21), "per_day"),
        ),
        (
            "the cap without hours ends at midnight",
            ContactClass(purpose="marketing", per_day=1),
            WILLING,
            (sent(timedelta(hours=2)),),
            0,
            Later(at(12), "per_day"),
        ),
        (
            "the same message 29 days ago",
            PROMOTION,
            WILLING,
            (sent(29 * DAY, "hello"),),
            0,
            Never("same_message"),
        ),
        ("the same message 30 days ago", PROMOTION, WILLING, (sent(30 * DAY, "hello"),), 0, GO),
        (
            "the same message, from another journey, long ago enough for that",
            PROMOTION,
            WILLING,
            (sent(8 * DAY, "hello", "theirs"),),
            0,
            Never("same_message"),
        ),
        (
            "another journey two days ago",
            PROMOTION,
            WILLING,
            (sent(2 * DAY, journey="theirs"),),
            0,
            Later(at(5 * 24 + 21 + 24), "other_journey"),  # Saturday noon, so Monday 09:00
        ),
        (
            "another journey and out of hours: the later of the two",
            PROMOTION,
            WILLING,
            (sent(2 * DAY - timedelta(hours=9), journey="theirs"),),
            10,
            Later(at(5 * 24 + 21 + 24), "other_journey"),
        ),
        ("another journey, 7 days ago", PROMOTION, WILLING, (sent(7 * DAY, journey="x"),), 0, GO),
        (
            "a care message is no campaign",
            PROMOTION,
            WILLING,
            (Sent(MONDAY_NOON - 2 * DAY, "other", "theirs", "care"),),
            0,
            GO,
        ),
        (
            "a class that is no longer there may have been a campaign",
            ContactClass(purpose="marketing", other_journey=7 * DAY),
            WILLING,
            (Sent(MONDAY_NOON - 2 * DAY, "other", "theirs", "retired"),),
            0,
            Later(at(5 * 24), "other_journey"),
        ),
        (
            "three this week, the first on Monday at midnight",
            ContactClass(purpose="marketing", per_week=3),
            WILLING,
            (sent(timedelta(hours=12)), sent(timedelta()), sent(timedelta())),
            48,
            Later(at(6 * 24 + 12), "per_week"),
        ),
        (
            "Sunday is of last week",
            ContactClass(purpose="marketing", per_week=1),
            WILLING,
            (sent(timedelta(hours=12, minutes=1)),),
            0,
            GO,
        ),
        (
            "two in this run of the journey already",
            ContactClass(purpose="marketing", per_campaign=2),
            WILLING,
            (sent(2 * DAY), sent(DAY)),
            0,
            Never("per_campaign"),
        ),
        (
            "of the run before this one, and of another journey",
            ContactClass(purpose="marketing", per_campaign=1),
            WILLING,
            (sent(4 * DAY), sent(DAY, journey="theirs")),
            0,
            GO,
        ),
        (
            "four hours between any two",
            ContactClass(purpose="marketing", gap=timedelta(hours=4)),
            WILLING,
            (Sent(MONDAY_NOON - timedelta(hours=1), "other", "theirs", "care"),),
            0,
            Later(at(3), "gap"),
        ),
        (
            "weekdays alone open at midnight",
            ContactClass(purpose="marketing", weekdays=frozenset(range(1, 7))),
            WILLING,
            (),
            0,
            Later(at(12), "outside_hours"),
        ),
        (
            "a window up to the day's end",
            ContactClass(purpose="marketing", hours=Window.parse("09:00-24:00")),
            WILLING,
            (),
            11.99,
            GO,
        ),
        (
            "the day after a window up to its end",
            ContactClass(purpose="marketing", hours=Window.parse("09:00-24:00")),
            WILLING,
            (),
            12,
            Later(at(21), "outside_hours"),
        ),
        (
            "of two rules the one that binds for longer is named",
            ContactClass(purpose="marketing", gap=2 * DAY, per_day=1),
            WILLING,
            (sent(timedelta(hours=1)),),
            0,
            Later(at(47), "gap"),
        ),
        (
            "no zone where only weekdays bind",
            ContactClass(purpose="marketing", weekdays=frozenset(range(5))),
            somebody(None, marketing=YES),
            (),
            0,
            Never("unknown_zone"),
        ),
        (
            "no zone where hours bind",
            PROMOTION,
            somebody(None, marketing=YES),
            (),
            0,
            Never("unknown_zone"),
        ),
        (
            "a zone nobody knows, where only the cap binds",
            ContactClass(purpose="marketing", per_day=3),
            somebody("Mars/Olympus", marketing=YES),
            (),
            0,
            Never("unknown_zone"),
        ),
        ("no zone where none is needed", OPEN, somebody(None, marketing=YES), (), 0, GO),
        (
            "a refusal weighs more than the zone",
            PROMOTION,
            somebody(None, marketing=NO),
            (),
            0,
            Never("opted_out"),
        ),
        (
            "hours on no day of the week",
            ContactClass(
                purpose="marketing", hours=Window.parse("09:00-20:00"), weekdays=frozenset()
            ),
            WILLING,
            (),
            0,
            Never("never_open"),
        ),
    ],
)
def test_the_verdict_is(
    case: str,
    rules: ContactClass,
    subscriber: Subscriber,
    recent: tuple[Sent, ...],
    hours: float,
    verdict: Go | Later | Never,
) -> None:
    said = may_go(
        rules, subscriber, recent, "hello", "mine", at(hours),
        Around(entered_at=MONDAY_NOON - 3 * DAY, strangers={"care"}),
    )  # fmt: skip
    assert said == verdict, case


def test_the_first_message_of_a_run_counts_though_its_instant_was_rounded_down() -> None:
    rules = ContactClass(purpose="marketing", per_campaign=1)
    entered_at = MONDAY_NOON + timedelta(microseconds=1999)
    first = Sent(MONDAY_NOON + timedelta(milliseconds=1), "other", "mine", "promotion")
    around = Around(entered_at=entered_at)
    said = may_go(rules, WILLING, [first], "hello", "mine", at(5), around)
    assert said == Never("per_campaign")


def test_an_independent_opinion_agrees_over_random_cases() -> None:
    said = look(cases=4000, seed=0)
    assert len(said) > 8, "every kind of verdict was met"


@pytest.mark.parametrize("closes", ["24:00", "20:00"])
def test_a_message_is_stale_when_its_window_closes(closes: str) -> None:
    tz = ZoneInfo("Asia/Shanghai")
    window = Window.parse(f"09:00-{closes}")
    hours = 12 if closes == "24:00" else 8
    assert calendar.closing(MONDAY_NOON, window, tz) == at(hours)


def test_answers_to_what_somebody_wrote_do_not_count() -> None:
    policy = ContactPolicy({"promotion": PROMOTION, "answers": ContactClass("", "answer")})
    promoted = Sent(MONDAY_NOON, "quiz", "mine", "promotion")
    of_a_class_no_longer_there = Sent(MONDAY_NOON, "quiz", "mine", "retired")
    by_a_journey = Sent(MONDAY_NOON, "quiz-help", "mine", "answers")
    by_the_bot = Sent(MONDAY_NOON, "points", "", "")
    assert policy.counted([promoted, by_a_journey, of_a_class_no_longer_there, by_the_bot]) == [
        promoted,
        of_a_class_no_longer_there,
    ]


def test_the_policy_remembers_as_long_as_its_longest_rule() -> None:
    assert ContactPolicy({"a": PROMOTION, "b": OPEN}).memory == 30 * DAY
    assert ContactPolicy({"b": OPEN}).memory >= DAY * 26 / 24, "a local day, however long"
    weekly = ContactClass(purpose="marketing", per_week=2)
    assert ContactPolicy({"b": weekly}).memory >= 7 * DAY + timedelta(hours=2)


def test_an_opt_out_from_everything_is_the_same_on_every_purpose() -> None:
    for purpose in ("marketing", "service", "news"):
        rules = ContactClass(purpose=purpose, consent="opt_out")
        assert refusal(rules, somebody("UTC", **{EVERYTHING: NO})) == "opted_out"


def test_a_class_may_go_on_after_a_stop_until_its_own_purpose_is_refused() -> None:
    bills = ContactClass(purpose="bills", consent="opt_out", stop="purpose")
    assert refusal(bills, somebody(everything=NO)) is None
    assert refusal(bills, somebody(everything=YES, bills=NO)) == "opted_out"
    asked = replace(bills, consent="opt_in")
    assert refusal(asked, somebody(everything=NO)) == "no_consent"


# The second opinion: every rule as a sentence about one moment, and time walked in quarters of
# an hour until all hold. Windows open at six or later, when no clock in these zones is changed.

QUARTER = timedelta(minutes=15)
spans = st.integers(0, 12 * 24 * 4).map(lambda n: n * QUARTER)
histories = st.lists(
    st.tuples(spans, st.sampled_from(["hello", "other"]), st.sampled_from(["mine", "theirs"])),
    max_size=5,
)
some_rules = st.builds(
    ContactClass,
    purpose=st.just("marketing"),
    hours=st.none()
    | st.tuples(st.integers(6, 14), st.integers(15, 22)).map(
        lambda w: Window.parse(f"{w[0]:02}:00-{w[1]:02}:30")
    ),
    per_day=st.none() | st.integers(1, 2),
    same_message=st.none() | st.just(5 * DAY),
    other_journey=st.none() | st.just(3 * DAY),
)
weeks = st.sets(st.integers(0, 6), min_size=2).map(frozenset)
zones = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]
)
starts = st.integers(0, 365 * 96).map(lambda n: datetime(2026, 1, 1, tzinfo=UTC) + n * QUARTER)


def allowed(rules: ContactClass, tz: ZoneInfo, recent: list[Sent], when: datetime) -> bool:
    wall = when.astimezone(tz)
    today = [line for line in recent if line.at.astimezone(tz).date() == wall.date()]
    open_now = rules.hours is None or (
        wall.weekday() in rules.weekdays
        and (wall.hour, wall.minute) >= (rules.hours.opens.hour, rules.hours.opens.minute)
        and (wall.hour, wall.minute) < (rules.hours.closes.hour, rules.hours.closes.minute)
    )
    quiet = rules.other_journey is None or not any(
        when - line.at < rules.other_journey for line in recent if line.journey != "mine"
    )
    return open_now and quiet and (rules.per_day is None or len(today) < rules.per_day)


@settings(max_examples=150, deadline=None)
@given(some_rules, weeks, histories, zones, starts)
def test_what_is_put_off_goes_at_the_first_moment_at_which_every_rule_holds(
    rules: ContactClass,
    week: frozenset[int],
    history: list[tuple[timedelta, str, str]],
    zone: str,
    now: datetime,
) -> None:
    rules = ContactClass(
        purpose=rules.purpose,
        hours=rules.hours,
        weekdays=week if rules.hours else frozenset(range(7)),
        per_day=rules.per_day,
        same_message=rules.same_message,
        other_journey=rules.other_journey,
    )
    recent = [Sent(now - ago, what, journey, "promotion") for ago, what, journey in history]
    person = somebody(zone, marketing=YES)

    when, asked = now, 0
    while isinstance(verdict := may_go(rules, person, recent, "hello", "mine", when), Later):
        assert verdict.until > when, "putting off goes forward"
        when, asked = verdict.until, asked + 1
        assert asked < 10

    sent_lately = rules.same_message is not None and any(
        ago < rules.same_message for ago, what, _ in history if what == "hello"
    )
    if isinstance(verdict, Never):
        assert verdict.reason == "same_message"
        assert sent_lately
        return
    walked = now
    while not allowed(rules, ZoneInfo(zone), recent, walked):
        walked += QUARTER
    assert when == walked
    assert asked or not sent_lately


@given(st.sampled_from(["opt_in", "opt_out"]), st.none() | st.booleans(), st.none() | st.booleans())
def test_consent_is_never_assumed_where_it_must_be_given(
    consent: str, purpose: bool | None, everything: bool | None
) -> None:
    given_ = {
        name: Consent(granted, MONDAY_NOON)
        for name, granted in (("marketing", purpose), (EVERYTHING, everything))
        if granted is not None
    }
    rules = ContactClass(purpose="marketing", consent=consent)  # type: ignore[arg-type]
    verdict = may_go(rules, somebody("UTC", **given_), (), "hello", "mine", MONDAY_NOON)
    may = everything is not False and (purpose or (purpose is None and consent == "opt_out"))
    assert isinstance(verdict, Go) == bool(may)


CHINA = calendar.HolidayPack(date(2026, 12, 31), (Days.parse("2026-03-02 to 2026-03-03"),))
BERLIN = calendar.HolidayPack(date(2026, 12, 31), (), zones=("Europe/Berlin",))
SHY = ContactClass(purpose="marketing", hours=Window.parse("09:00-20:00"), holidays="avoid")


def met(rules: ContactClass, person: Subscriber, **packs: calendar.HolidayPack) -> Around:
    return ContactPolicy({"shy": rules}, packs).around("shy", person, MONDAY_NOON)


def test_on_a_holiday_it_waits_for_the_next_working_days_window() -> None:
    said = may_go(SHY, WILLING, (), "hello", "mine", at(0), met(SHY, WILLING, cn=CHINA))
    assert said == Later(at(45), "holiday")


def test_when_the_pack_has_expired_nobody_is_written_to() -> None:
    pack = calendar.HolidayPack(date(2026, 3, 1), ())
    around = met(SHY, WILLING, cn=pack)
    verdict = may_go(SHY, WILLING, (), "hello", "mine", at(0), around)
    assert verdict == Later(at(1), "holidays_expired")
    last_day = at(-16)  # Sunday 20:00, the pack's last day
    assert may_go(SHY, WILLING, (), "hello", "mine", last_day, around) == Later(
        at(-3), "outside_hours"
    )


def test_each_zone_has_its_own_holidays_and_without_any_nobody_is_written_to() -> None:
    german = somebody("Europe/Berlin", marketing=YES)
    packs = {"cn": CHINA, "de": BERLIN}
    assert met(SHY, german, **packs).holidays == BERLIN
    assert met(SHY, WILLING, **packs).holidays == CHINA
    alone = met(SHY, WILLING, de=BERLIN)
    assert may_go(SHY, WILLING, (), "hello", "mine", at(0), alone) == Later(
        at(1), "holidays_expired"
    )


def test_other_classes_do_not_look_at_holidays() -> None:
    assert met(PROMOTION, WILLING, cn=CHINA).holidays is None


def test_what_waited_for_the_morning_spreads_over_its_first_quarter_of_an_hour() -> None:
    rules = replace(PROMOTION, spread=QUARTER)
    minutes: Counter[int] = Counter()
    for number in range(3000):
        person = replace(WILLING, id=number)
        verdict = may_go(rules, person, (), "hello", "mine", at(9))
        assert verdict == may_go(rules, person, (), "hello", "mine", at(10)), "always the same"
        assert isinstance(verdict, Later)
        assert may_go(rules, person, (), "hello", "mine", verdict.until) == GO
        minutes[(verdict.until - at(21)) // timedelta(minutes=1)] += 1
    assert sorted(minutes) == [*range(15)]
    assert max(minutes.values()) < 2 * 3000 / 15


def test_nothing_spreads_beyond_the_end_of_a_window() -> None:
    rules = replace(PROMOTION, spread=DAY, avoid=(Window.parse("09:10-19:00"),))
    for number in range(500):
        verdict = may_go(rules, replace(WILLING, id=number), (), "hello", "mine", at(9))
        assert isinstance(verdict, Later)
        assert at(21) <= verdict.until < at(21) + timedelta(minutes=10)


def test_what_waits_for_a_gap_only_is_not_spread() -> None:
    rules = ContactClass(purpose="marketing", gap=timedelta(hours=4), spread=QUARTER)
    last = sent(timedelta(hours=1))
    assert may_go(rules, WILLING, (last,), "hello", "mine", at(0)) == Later(at(3), "gap")


def test_a_journey_avoids_its_own_times() -> None:
    around = Around(avoid=(Window.parse("11:00-14:00"),))
    for rules in (OPEN, PROMOTION):
        assert may_go(rules, WILLING, (), "hello", "mine", at(0), around) == Later(at(2), "avoided")


GUARDED = ContactClass(purpose="marketing", not_on=("dnd", "ours"), fresh=30 * DAY)
FRESH = {"dnd": MONDAY_NOON - 30 * DAY, "ours": MONDAY_NOON}


@pytest.mark.parametrize(
    ("lists", "listed", "verdict"),
    [
        (FRESH, (), GO),
        (FRESH, ("ours",), Never("on_list:ours")),
        (FRESH, ("another",), GO),
        ({"dnd": MONDAY_NOON}, (), Later(at(1), "list_stale:ours")),
        ({**FRESH, "dnd": at(-30 * 24 - 1)}, (), Later(at(1), "list_stale:dnd")),
        ({}, ("dnd",), Never("on_list:dnd")),
    ],
)
def test_nobody_on_a_list_is_written_to_nor_anybody_while_one_is_old(
    lists: dict[str, datetime], listed: tuple[str, ...], verdict: Go | Later | Never
) -> None:
    around = Around(lists=lists, listed=frozenset(listed))
    assert may_go(GUARDED, WILLING, (), "hello", "mine", at(0), around) == verdict


def test_a_message_of_a_moment_does_not_wait() -> None:
    moment = replace(SHY, not_now="drop")
    around = met(moment, WILLING, cn=CHINA)
    assert may_go(moment, WILLING, (), "hello", "mine", at(0), around) == Never("holiday")
    assert may_go(moment, WILLING, (), "hello", "mine", at(57), around) == Never("outside_hours")
    assert may_go(moment, WILLING, (), "hello", "mine", at(45), around) == GO
