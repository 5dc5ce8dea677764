"""The demo's judgement: it must find what goes wrong, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

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
    network: str = "4g"
    timezone: str = "Asia/Shanghai"
    consents: dict[str, Consent] = {}
    subscriber_id: int = MEMBER

    def judged(self) -> Found:
        subscriber = NewSubscriber(
            KEY,
            timezone=self.timezone,
            attributes={"network": self.network},
            consents=self.consents,
        )
        person = Person(1, subscriber, "sms", "+8613800000001", "silent", None, "TD", False, "", 0)
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
    return {k: v for k, v in figures.items() if v and k not in ("messages", "expected")}


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


def test_who_types_at_the_wall_does_not_fail_the_demo() -> None:
    life = good()
    typed: Sequence[tuple[datetime, str]] = [(at(5, 12), "hello"), (at(5, 13), "STOP")]
    assert wrong(replace(unrecorded(life, "thanks"), by_hand=[*typed])) == {}
    lost = replace(without(life, "thanks"), by_hand=[*typed])
    assert wrong(lost) == {"lost": 1}
