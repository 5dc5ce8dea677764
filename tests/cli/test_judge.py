"""The demo's judgement: it must find what goes wrong, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from orchestrator.cli.demo.behaviour import Heard, Player, Said
from orchestrator.cli.demo.cast import Person
from orchestrator.cli.demo.judge import JOURNEY, Found, Plan, judge
from orchestrator.cli.demo.stage import demo_files
from orchestrator.core.chance import draw
from orchestrator.core.model import Consent
from orchestrator.project.load import load
from orchestrator.project.shipped import programme
from orchestrator.store.reckoning import Entrance, Recorded
from orchestrator.store.subscribers import NewSubscriber

DAY_ONE = datetime(2026, 3, 2, tzinfo=UTC)
"""Eight in the morning in Shanghai."""
KEY = "demo-1"
NUMBER = "+8613800000001"
PROJECT = load(programme())
STEPS = {"entrance": 1, "first-app": 2, "quiz": 4, "more": 5, "thanks": 7}
"""The steps that everybody gets, and their days."""
MEMBER = next(i for i in range(100) if draw("control", JOURNEY, i) >= 0.05)
HELD_OUT = next(i for i in range(1000) if draw("control", JOURNEY, i) < 0.05)


def at(day: int, hour: float, second: float = 0) -> datetime:
    """A local time of that day of the demo."""
    return DAY_ONE + timedelta(days=day - 1, hours=hour - 8, seconds=second)


class Phone:
    """What was typed by hand, and what by the script."""

    def __init__(self) -> None:
        self.arrived: list[Heard] = []
        self.said: list[Said] = []

    def say(self, words: str, to: str) -> None:
        self.said.append(Said(datetime.fromisoformat(to), words))


class Life(Struct):
    """One person's week: what stood on the screen, and what we believe of it."""

    heard: list[Heard]
    rows: list[Recorded]
    said: list[tuple[datetime, str]] = []
    by_hand: list[tuple[datetime, str]] = []
    channels: tuple[str, ...] = ("sms",)
    dead: frozenset[str] = frozenset()
    network: str = "4g"
    timezone: str = "Asia/Shanghai"
    consents: dict[str, Consent] = {}
    subscriber_id: int = MEMBER

    def judged(self) -> Found:
        subscriber = NewSubscriber(
            KEY,
            timezone=self.timezone,
            addresses=dict.fromkeys(self.channels, NUMBER),
            attributes={"network": self.network},
            consents=self.consents,
        )
        person = Person(1, subscriber, "sms", NUMBER, "silent", None, "TD", False, "", 0, self.dead)
        phone = Phone()
        player = Player(person, phone, "", lambda: DAY_ONE)
        player.heard = self.heard
        for moment, words in self.said:
            player._to = moment.isoformat()
            player.say(words)
        phone.said += [Said(moment, words) for moment, words in self.by_hand]
        plan = Plan(PROJECT, {KEY: DAY_ONE}, at(8, 23), timedelta(hours=5))
        entrances = {KEY: Entrance(self.subscriber_id, DAY_ONE, "active")}
        return judge(plan, [player], {KEY: self.rows}, entrances)


def sent(text: str, step: str, journey: str = JOURNEY, day: int = 0) -> Recorded:
    contact_class = "onboarding" if journey else "answer"
    queued_at = at(day or STEPS.get(step, 1), 10)
    return Recorded(journey, step, text, contact_class, "delivered", text, queued_at)


def good() -> Life:
    """A week in which all goes well: five steps, a question to the bot, its answer."""
    return Life(
        heard=[
            *(Heard(at(day, 10, 1), step) for step, day in STEPS.items()),
            Heard(at(2, 12), "You have 5 points."),
        ],
        rows=[*(sent(step, step) for step in STEPS), sent("You have 5 points.", "", journey="")],
        said=[(at(2, 11), "points")],
        consents={"marketing": Consent(True, DAY_ONE)},
    )


def wrong(life: Life) -> dict[str, int]:
    """The figures that are not what they must be."""
    found = life.judged()
    figures = {name: getattr(found, name) for name in Found.__struct_fields__}
    return {k: v for k, v in figures.items() if v and k not in ("messages", "expected", "rerouted")}


def without(life: Life, text: str) -> Life:
    return replace(life, heard=[it for it in life.heard if it.text != text])


def unrecorded(life: Life, text: str) -> Life:
    """As if it had never been decided."""
    return replace(without(life, text), rows=[it for it in life.rows if it.text != text])


def more(life: Life, *heard: Heard) -> Life:
    return replace(life, heard=sorted([*life.heard, *heard], key=lambda it: it.at))


def moved(life: Life, text: str, moment: datetime) -> Life:
    return more(without(life, text), Heard(moment, text))


def restated(life: Life, text: str, state: str) -> Life:
    rows = [replace(it, state=state) if it.text == text else it for it in life.rows]
    return replace(without(life, text), rows=rows)


def test_the_demo_s_clock_leaves_time_for_a_yes_and_for_an_answer() -> None:
    project = load(demo_files())
    assert project.points.hold == timedelta(hours=6)
    assert project.contact.classes["answer"].valid == timedelta(hours=12)


def test_a_good_week_has_nothing_wrong() -> None:
    assert wrong(good()) == {}
    found = good().judged()
    assert (found.messages, found.expected) == (6, 5)


def test_what_never_reached_the_screen_is_lost() -> None:
    assert wrong(without(good(), "You have 5 points.")) == {"lost": 1}
    assert wrong(without(good(), "quiz")) == {"lost": 1}
    assert wrong(unrecorded(good(), "quiz")) == {"lost": 1}


@pytest.mark.parametrize("state", ["queued", "accepted", "unknown", "rejected", "expired"])
def test_a_message_is_lost_whatever_we_believe_became_of_it(state: str) -> None:
    assert wrong(restated(good(), "You have 5 points.", state)) == {"lost": 1}


def test_what_its_hours_end_for_on_its_way_to_the_carrier_is_not_lost() -> None:
    """At a week in a minute, that way is hours long."""
    hours = PROJECT.contact.classes["onboarding"].hours
    assert hours is not None
    closing = DAY_ONE + timedelta(days=6, hours=hours.closes.hour - 8, minutes=hours.closes.minute)

    def queued(before: timedelta, state: str) -> Life:
        life = restated(good(), "thanks", state)
        rows = [replace(it, queued_at=closing - before) for it in life.rows if it.text == "thanks"]
        return replace(life, rows=[*(it for it in life.rows if it.text != "thanks"), *rows])

    assert wrong(queued(timedelta(minutes=10), "expired")) == {}
    assert wrong(queued(timedelta(minutes=10), "rejected")) == {"lost": 1}
    assert wrong(queued(timedelta(hours=6), "expired")) == {"lost": 1}, "there was time enough"


def test_a_question_without_an_answer_is_lost_and_two_answers_are_one_too_many() -> None:
    life = good()
    assert wrong(unrecorded(life, "You have 5 points.")) == {"lost": 1}
    again = sent("You have 5 points!", "", journey="")
    twice = replace(life, rows=[*life.rows, again])
    assert wrong(more(twice, Heard(at(2, 12), again.text))) == {"duplicates": 1}


def test_what_stands_there_twice_is_a_duplicate() -> None:
    for text in ("more", "You have 5 points."):
        assert wrong(more(good(), Heard(at(5, 11), text))) == {"duplicates": 1}
    life = good()
    decided_twice = replace(life, rows=[*life.rows, sent("more", "more")])
    assert wrong(more(decided_twice, Heard(at(5, 11), "more"))) == {"duplicates": 1}


def test_a_step_before_its_time_is_early() -> None:
    assert wrong(moved(good(), "more", at(5, 9, 3599))) == {"early": 1}


def test_a_message_at_night_is_outside_the_hours() -> None:
    assert wrong(moved(good(), "more", at(6, 4))) == {"outside_hours": 1}


def test_more_a_day_than_any_class_allows_is_over_the_cap() -> None:
    life = good()
    texts = ["a", "b", "c"]
    crowded = replace(life, rows=[*life.rows, *(sent(text, text, day=5) for text in texts)])
    assert wrong(more(crowded, *(Heard(at(5, 12), text) for text in texts))) == {"over_cap": 1}
    decided_before = replace(life, rows=[*life.rows, *(sent(text, text, day=4) for text in texts)])
    later = more(decided_before, *(Heard(at(5, 12), text) for text in texts))
    assert wrong(later) == {"over_cap": 1}, "it counts for the day on which it comes"


def test_who_is_held_out_or_was_never_let_in_gets_nothing() -> None:
    assert wrong(replace(good(), subscriber_id=HELD_OUT)) == {"uninvited": 5}
    assert wrong(replace(good(), network="2g")) == {"uninvited": 5}


def test_nothing_goes_without_consent_or_to_an_unknown_zone() -> None:
    assert wrong(replace(good(), consents={})) == {"without_consent": 5}
    assert wrong(replace(good(), timezone="Mars/Olympus")) == {"without_consent": 5}


def stopped(life: Life) -> Life:
    """The person says TD at noon on day 4, and is told that it holds."""
    confirmed = sent("退订成功", "", journey="")
    kept = [it for it in life.heard if it.at < at(4, 12)]
    texts = {it.text for it in kept}
    return replace(
        life,
        heard=[*kept, Heard(at(4, 12, 60), confirmed.text)],
        rows=[*(it for it in life.rows if it.text in texts), confirmed],
        said=[*life.said, (at(4, 12), "TD")],
    )


def test_after_an_opt_out_nothing_comes_and_nothing_is_missed() -> None:
    life = stopped(good())
    assert wrong(life) == {}
    late = replace(life, rows=[*life.rows, sent("more", "more")])
    assert wrong(more(late, Heard(at(5, 10), "more"))) == {"after_opt_out": 1}


def test_an_opt_out_that_nobody_heard_is_noticed() -> None:
    life = good()
    helped = sent("Say HELP", "", journey="")
    ignored = replace(
        more(life, Heard(at(4, 12), helped.text)),
        rows=[*life.rows, helped],
        said=[*life.said, (at(4, 12), "TD")],
    )
    assert wrong(ignored) == {"lost": 1, "after_opt_out": 2}


EVERYTHING = ("sms", "mms", "wap_push")
LINK = "https://xh.example/more"


def rich() -> Life:
    """A week of somebody whose phone shows MMS and pushes: three of the one, one of the other."""
    life = good()
    as_mms = {it: {"subject": f"About {it}"} for it in ("entrance", "first-app", "quiz")}
    heard = [
        replace(it, word="mms", picture=True, **as_mms[it.text]) if it.text in as_mms else it
        for it in life.heard
    ]
    rows = [
        replace(it, image="a.png", **as_mms[it.text]) if it.text in as_mms else it
        for it in life.rows
    ]
    heard = [replace(it, word="wap_push", href=LINK) if it.text == "more" else it for it in heard]
    rows = [replace(it, href=LINK) if it.text == "more" else it for it in rows]
    return replace(life, heard=heard, rows=rows, channels=EVERYTHING)


def screened(life: Life, text: str, **changes: Any) -> Life:
    """The screen shows that message otherwise."""
    heard = [replace(it, **changes) if it.text == text else it for it in life.heard]
    return replace(life, heard=heard)


def test_what_comes_as_mms_or_push_has_arrived_like_any_sms() -> None:
    assert wrong(rich()) == {}
    found = rich().judged()
    assert (found.messages, found.expected) == (6, 5)
    assert wrong(without(rich(), "quiz")) == {"lost": 1}


def test_an_mms_without_its_picture_and_a_push_with_another_link_are_not_what_was_sent() -> None:
    assert wrong(screened(rich(), "quiz", picture=False)) == {"lost": 1, "duplicates": 1}
    assert wrong(screened(rich(), "quiz", subject="")) == {"lost": 1, "duplicates": 1}
    assert wrong(screened(rich(), "more", href="https://xh.example/")) == {
        "lost": 1,
        "duplicates": 1,
    }


def test_a_message_that_fell_back_is_one_and_two_if_both_arrived() -> None:
    life = rich()
    rows = [
        replace(it, text="entrance!", subject="", image="") if it.text == "entrance" else it
        for it in life.rows
    ]
    rows = [replace(it, reason="fell back from wap_push: undelivered") for it in rows]
    sms = Heard(at(1, 10, 5), "entrance!")
    fell_back = replace(more(without(life, "entrance"), sms), rows=rows)
    assert wrong(replace(fell_back, dead=frozenset({"mms", "wap_push"}))) == {"wrong_channel": 3}, (
        "the other three came by what does not work"
    )
    both = replace(more(life, sms), rows=rows)
    assert wrong(both)["duplicates"] == 1


def test_a_message_that_fell_back_is_counted_and_its_story_must_say_so() -> None:
    dead = frozenset({"mms", "wap_push"})
    told = [replace(it, reason="fell back from wap_push: undelivered") for it in good().rows]
    life = replace(good(), channels=EVERYTHING, dead=dead, rows=told)
    assert wrong(life) == {}
    found = life.judged()
    assert (found.messages, found.rerouted) == (6, 4)
    assert wrong(replace(life, rows=good().rows)) == {"untold": 4}
    assert good().judged().rerouted == 0


def test_what_a_dead_channel_gives_back_after_an_opt_out_may_not_move_on() -> None:
    life = stopped(good())
    told = [replace(it, reason="fell back from mms: undelivered") for it in life.rows]
    life = replace(life, rows=told)
    refused = replace(sent("mms", "more"), subject="Hello", state="undelivered")
    dead = replace(life, channels=EVERYTHING[:2], dead=frozenset({"mms"}))
    around = replace(refused, queued_at=at(4, 11))
    assert wrong(replace(dead, rows=[*life.rows, around])) == {}
    for lost in (
        replace(around, queued_at=at(4, 6)),
        replace(around, state="accepted"),
        replace(around, subject=""),
    ):
        assert wrong(replace(dead, rows=[*life.rows, lost])) == {"lost": 1}
    alive = replace(dead, dead=frozenset(), rows=[*life.rows, around])
    assert wrong(alive)["lost"] == 1


def test_a_step_that_does_not_come_by_the_first_channel_that_works_is_noticed() -> None:
    assert wrong(replace(good(), channels=EVERYTHING)) == {"wrong_channel": 4}
    assert wrong(replace(rich(), dead=frozenset({"wap_push"}))) == {"wrong_channel": 1}


def test_a_confirmation_may_overtake_only_what_another_carrier_had_in_its_hands() -> None:
    confirmed = sent("退订成功", "", journey="")
    first = replace(sent("entrance", "entrance"), subject="Hello", image="a.png")
    stays = Life(
        heard=[Heard(at(1, 11), confirmed.text)],
        rows=[first, confirmed],
        said=[(at(1, 10, 60), "TD")],
        channels=EVERYTHING,
        consents={"marketing": Consent(True, DAY_ONE)},
    )
    late = Heard(at(1, 12), "entrance", "mms", "Hello", "", True)
    assert wrong(more(stays, late)) == {}
    assert wrong(more(stays, replace(late, at=at(1, 17)))) == {"after_opt_out": 1}
    after = replace(stays, rows=[replace(first, queued_at=at(1, 10, 61)), confirmed])
    assert wrong(more(after, late)) == {"after_opt_out": 1}
    same = replace(stays, rows=[sent("entrance", "entrance"), confirmed])
    by_sms = Heard(at(1, 12), "entrance")
    assert wrong(more(replace(same, channels=("sms",)), by_sms)) == {"after_opt_out": 1}


def test_who_types_at_the_wall_does_not_fail_the_demo() -> None:
    life = good()
    typed: Sequence[tuple[datetime, str]] = [(at(5, 12), "hello"), (at(5, 13), "STOP")]
    assert wrong(replace(unrecorded(life, "thanks"), by_hand=[*typed])) == {}
    lost = replace(without(life, "thanks"), by_hand=[*typed])
    assert wrong(lost) == {"lost": 1}
