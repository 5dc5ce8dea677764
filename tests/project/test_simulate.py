"""A simulated audience does what each of its people does alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import json
from msgspec.structs import replace

from bot import router
from orchestrator.core import engine
from orchestrator.core.effects import (
    EmitEvent,
    MoveTo,
    PostEntry,
    RerouteMessage,
    SendMessage,
    Suppress,
)
from orchestrator.core.errors import OutreachError
from orchestrator.core.events import MessageFailed, ReplyReceived, SubscriberEvent, TimerDue
from orchestrator.core.grammar import Share
from orchestrator.core.project import Project
from orchestrator.core.scene import Scene
from orchestrator.project import shipped
from orchestrator.project.absence import reasons
from orchestrator.project.audience import AudienceForm, Habit, People
from orchestrator.project.casting import Cast, Somebody, drawing, weighted
from orchestrator.project.forecast import Forecast, differences, forecast
from orchestrator.project.life import runs
from orchestrator.project.likely import likely
from orchestrator.project.load import load, read
from orchestrator.project.report import page
from orchestrator.project.simulate import GIVEN_UP_AFTER, Play, Stage, packed, parts, simulate

BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)  # midnight in Shanghai
ANSWER = "bot.router:answer"


@pytest.fixture(scope="module")
def programme() -> Mapping[str, str]:
    return shipped.programme()


def staged(files: Mapping[str, str], days: int = 30, **changed: Any) -> Stage:
    form = read(files).audience
    assert form is not None
    return Stage(files, changed.pop("audience", form), BEGIN, days, 1, ANSWER, **changed)


def told(stage: Stage, people: int, jobs: int = 1) -> Forecast:
    tally = simulate(stage, parts(people), jobs)
    return forecast(tally, stage.project(), stage.begin, stage.days, stage.seed)


class Plain:
    """One person, lived without any of the shortcuts: everything that is still to come is looked
    through each time, every message is rendered anew, and what comes of it is written down."""

    def __init__(self, project: Project, somebody: Somebody, cast: Cast, end: datetime) -> None:
        self.scene = Scene(
            project,
            somebody.subscriber,
            {},
            stock={name: it.stock for name, it in project.rewards.items()},
            secret=b"skipped clock",
        )
        self.effects: list[tuple[datetime, Any]] = []
        self._cast, self._end = cast, end
        self._coming: list[tuple[datetime, int, Any]] = []
        self._used: list[tuple[date, int]] = []
        self._numbers = self._ids = 0
        for at, event in cast.happens(new=True):
            self._expect(at, event)
        for at, journey, segment in runs(project, BEGIN - timedelta(seconds=1), end):
            self._expect(at, (journey, segment))

    def _expect(self, at: datetime, event: Any) -> None:
        self._numbers += 1
        self._coming.append((at, self._numbers, event))

    def live(self) -> None:
        while True:
            due = [it.due_at for it in self.scene.enrollments.values() if it.open and it.due_at]
            timer_at = min([*due, *filter(None, [self.scene.account.due_at])], default=self._end)
            soonest = min(self._coming, key=lambda it: it[:2], default=(self._end, 0, None))
            if min(timer_at, soonest[0]) >= self._end:
                return
            if soonest[0] <= timer_at:
                self._coming.remove(soonest)
                self._take(soonest[0], soonest[2])
            else:
                self._take(timer_at, TimerDue())

    def _count(self, now: datetime, event: Any) -> None:
        """Everything that was ever used is added up again. Nobody here has an allowance."""
        today = now.astimezone(ZoneInfo(self.scene.subscriber.timezone or "")).date()
        if isinstance(event, SubscriberEvent) and event.name == "data.used":
            self._used.append((today, event.properties["mb"]))
        first = today.replace(day=1)
        said = {
            "mb_today": sum(mb for day, mb in self._used if day == today),
            "mb_7d": sum(mb for day, mb in self._used if day > today - timedelta(days=7)),
            "mb_month": sum(mb for day, mb in self._used if day >= first),
            "mb_share": None,
        }
        if not any(day >= (first - timedelta(days=1)).replace(day=1) for day, _ in self._used):
            del said["mb_7d"]  # what the audience says of them holds
        self.scene = replace(self.scene, usage=said)

    def _take(self, now: datetime, event: Any) -> None:
        self._count(now, event)
        if isinstance(event, tuple):
            journey, segment = event
            scope = engine.Stage(self.scene, now).scope({})
            if not self.scene.project.segments[segment].holds(scope):
                return
            event = engine.Entered(journey, now)
        if isinstance(event, ReplyReceived):
            decision = router.answer(replace(self.scene, chance=b"c" * 16), event, now)
        else:
            decision = engine.decide(self.scene, event, now)
        self.scene = decision.scene
        sent = []
        for effect in decision.effects:
            self.effects.append((now, effect))
            if isinstance(effect, SendMessage):
                self._ids += 1
                sent.append((self._ids, effect.message))
            elif isinstance(effect, RerouteMessage):
                sent.append((effect.message_id, effect.message))
            elif isinstance(effect, EmitEvent):
                self._expect(
                    now, SubscriberEvent(effect.name, now, effect.properties, effect.source_id)
                )
        fresh = [number for number, it in sent if it.journey]
        named = iter(fresh)
        recent = [it if it.id else replace(it, id=next(named)) for it in self.scene.recent]
        self.scene = replace(self.scene, recent=tuple(recent))
        for number, message in sent:
            if self._cast.loses(message):
                at = now + GIVEN_UP_AFTER
                what = (message.template, message.contact_class, message.journey, message.run)
                failed = MessageFailed(number, *what, message.step, message.via, "undelivered", at)
                self._expect(at, failed)
            else:
                for at, reaction in self._cast.reads(message, self.scene, now):
                    self._expect(at, reaction)
        for at, reaction in self._cast.buys(decision.effects, self.scene, now):
            self._expect(at, reaction)


def test_what_is_counted_is_what_each_person_lives_alone(programme: Mapping[str, str]) -> None:
    people, days = 40, 45
    stage = staged(programme, days)
    project = load(programme)
    cast = Cast(stage.audience, project, stage.begin, stage.end, stage.seed)
    counts: Counter[Any] = Counter()
    for number in range(1, people + 1):
        cast.shake(number)
        plain = Plain(project, cast.somebody(number), cast, stage.end)
        plain.live()
        entered = set()
        for at, effect in plain.effects:
            if isinstance(effect, SendMessage):
                counts["channel", effect.message.channel] += 1
                counts["day", (at - BEGIN).days] += 1
                counts["sent", effect.message.journey] += 1
            elif isinstance(effect, RerouteMessage):
                counts["channel", effect.message.channel] += 1
                counts["day", (effect.not_before - BEGIN).days] += 1
            elif isinstance(effect, Suppress):
                counts["put_off" if effect.until else "withheld", effect.reason] += 1
            elif isinstance(effect, PostEntry):
                counts["points", effect.debit, effect.credit] += effect.points
            elif isinstance(effect, MoveTo) and effect.enrollment.status != "control":
                entered.add((effect.enrollment.journey, effect.enrollment.run))
        for journey, _ in entered:
            counts["entered", journey] += 1
    found = told(stage, people)
    assert found.messages > 150
    assert found.replies > 5
    assert {name: it.messages for name, it in found.channels.items()} == {
        name: counts["channel", name] for name in found.channels
    }
    assert found.per_day == [counts["day", day] for day in range(days)]
    assert found.answers == counts["sent", ""]
    for name, fate in found.journeys.items():
        assert (fate.sent, fate.entered) == (counts["sent", name], counts["entered", name])
    assert found.put_off == {r: n for (what, r, *_), n in counts.items() if what == "put_off"}
    lost = sum(it.lost for it in found.journeys.values())
    withheld = {r: n for (what, r, *_), n in counts.items() if what == "withheld"}
    assert sum(found.withheld.values()) == sum(withheld.values()) - lost
    assert found.points.issued == counts["points", "issued", "available"]
    assert found.points.spent == counts["points", "held", "spent"]
    assert not found.broken


def test_it_does_not_matter_how_many_processes_play(programme: Mapping[str, str]) -> None:
    stage = staged(programme, 20)
    batches = [range(1, 21), range(21, 61), range(61, 91)]
    alone = forecast(simulate(stage, batches, 1), stage.project(), BEGIN, 20, 1)
    together = forecast(simulate(stage, batches, 2), stage.project(), BEGIN, 20, 1)
    assert json.encode(alone.as_json()) == json.encode(together.as_json())


def test_what_goes_wrong_in_another_process_is_told(programme: Mapping[str, str]) -> None:
    stage = staged({**programme, "journeys/program/contact.yaml": "classes: ["}, 5)
    with pytest.raises(OutreachError):
        simulate(stage, parts(10), 2)


def test_what_is_counted_adds_up(programme: Mapping[str, str]) -> None:
    found = told(staged(programme, 60), 150)
    for fate in found.journeys.values():
        kept_back = sum(fate.withheld.values()) + fate.waiting + fate.overtaken
        assert fate.wanted == fate.sent + kept_back
    assert found.messages == sum(found.per_day)
    for load_ in found.channels.values():
        assert load_.messages == sum(load_.per_day) == sum(load_.per_hour)
    owed = found.points
    assert owed.liability[-1] == owed.before + owed.issued - owed.spent - owed.expired
    assert found.opt_outs == sum(found.opt_outs_per_day) > 0


def test_a_project_that_does_not_say_whom_to_play_has_a_likely_audience() -> None:
    files = {k: v for k, v in shipped.starter().items() if not k.endswith("audience.yaml")}
    form = likely(load(files))
    assert form.arrive is not None
    assert form.arrive.on == "subscriber.activated"
    found = told(staged(files, 30, audience=form), 30)
    assert found.journeys["hello"].sent > 30
    assert not found.broken


TWO = {
    "journeys/program/project.yaml": "{name: two, locale: en, timezone: UTC}",
    "journeys/program/contact.yaml": """
classes:
  news: {purpose: news, consent: opt_out, per_day: 1, other_journey: 3d}
  answer: {purpose: answer, consent: answer}
""",
    **{
        f"journeys/{name}.yaml": f"""
journey: {name}
class: news
enter: [{{on: came}}]
steps:
  - id: one
    send: said
    via: [sms]
"""
        for name in ("loud", "quiet")
    },
    "templates/said.en.j2": "{% block sms %}Hello{% endblock %}",
}


def audience(every: timedelta, count: int = 1) -> AudienceForm:
    events = (Habit(on="came", every=every),) * count
    return AudienceForm(people=(People(kind="all", events=events),))


def test_events_of_the_network_go_through_the_matcher_and_a_share_of_people_is_on_lists() -> None:
    trigger = "{on: came, if: in_list('vip') and event.peer in list('friends'), after: 10m}"
    files = {
        **TWO,
        "journeys/program/events.yaml": "events: {came: {keep: matching}}",
        "journeys/loud.yaml": TWO["journeys/loud.yaml"].replace("{on: came}", trigger),
    }
    del files["journeys/quiet.yaml"]
    peers = [f"+86139{number:08}" for number in range(40)]
    habit = Habit(on="came", every=timedelta(hours=8), with_={"peer": peers})
    form = AudienceForm(
        people=(People(kind="all", events=(habit,)),),
        lists={"vip": Share(0.3), "friends": Share(0.2)},
    )
    found = told(staged(files, 20, audience=form), 200)
    assert 40 < found.journeys["loud"].entered < 80, "30 % of 200, each once"
    assert not found.broken
    stage = staged(files, 20, audience=form)
    one, other = Play(stage), Play(stage)
    one.play(range(101, 201))
    other.play(range(1, 101))
    one.tally.merge(other.tally)
    assert forecast(one.tally, stage.project(), BEGIN, 20, 1) == found, "whoever plays whom"
    nobody = replace(form, lists={"vip": Share(0.3)})
    assert told(staged(files, 20, audience=nobody), 50).journeys["loud"].entered == 0


def test_it_is_told_which_journey_keeps_another_waiting() -> None:
    found = told(staged(TWO, 20, audience=audience(timedelta(days=1))), 40)
    quiet, loud = found.journeys["quiet"], found.journeys["loud"]
    assert loud.held == 0
    assert quiet.held == quiet.wanted == 40
    assert quiet.held_by == {"loud": 40}
    assert quiet.late_h == 72.0
    assert quiet.late_by_h == {"loud": quiet.sent * 72.0}
    assert quiet.waiting == quiet.wanted - quiet.sent


def _lonely(name: str, entry: str) -> dict[str, str]:
    like = TWO["journeys/loud.yaml"].replace("loud", name).replace("{on: came}", entry)
    return {f"journeys/{name}.yaml": like}


LONELY = {
    **TWO,
    **_lonely("nearby", "{on: shop.near}"),
    **_lonely("picky", "{on: came, if: subscriber.plan == 'gold', sample: 50%}"),
    **_lonely("list-only", "{on: came, if: in_list('prospects')}"),
    **_lonely("keen", "{segment: keen, every: day at 10:00}"),
    **_lonely("listed", "{segment: on-list, every: day at 10:00}"),
    **_lonely("monthly", "{segment: keen, every: month on 20 at 10:00}"),
    **_lonely("following", "{on: done}"),
    **_lonely("another", "{on: shop.left}"),
    "journeys/emitting.yaml": """
journey: emitting
class: news
enter: [{on: shop.near}]
steps: [{id: one, emit: done}]
""",
    "journeys/program/segments.yaml": """
segments:
  keen: "'keen' in subscriber.tags"
  on-list: "in_list('prospects')"
""",
}


def test_of_a_journey_that_nobody_entered_it_is_told_what_the_audience_lacks() -> None:
    stage = staged(LONELY, 10, audience=audience(timedelta(days=1)))
    project = stage.project()
    tally = simulate(stage, parts(20))

    def why(listed: frozenset[str] | None = None, **halted: Any) -> dict[str, str]:
        absent = reasons(project, stage.audience, BEGIN, stage.end, listed, halted)
        found = forecast(tally, project, BEGIN, 10, 1, absent=absent)
        return {name: it.absent for name, it in found.journeys.items() if it.absent}

    assert why() == {
        "nearby": "the audience has no event shop.near",
        "picky": "nobody to whom came happened met its `if` and `sample`",
        "list-only": "nobody is on the list prospects",
        "keen": "nobody is in the segment keen",
        "listed": "nobody is on the list prospects",
        "monthly": "no run of its segment keen is in these days",
        "following": "nobody got to where emitting would bring about done",
        "emitting": "the audience has no event shop.near",
        "another": "the audience has no event shop.left",
    }
    real = why(frozenset({"prospects"}), nearby="paused")
    assert real["list-only"] != "nobody is on the list prospects"
    assert real["nearby"] == "it is paused"
    told_of = forecast(tally, project, BEGIN, 10, 1, absent={"nearby": "<i>", "loud": "a lie"})
    assert "nearby: nobody came in; &lt;i&gt;" in page(told_of)
    assert "a lie" not in page(told_of)


def test_nobody_looks_every_hour_for_holidays_that_will_not_come() -> None:
    contact = TWO["journeys/program/contact.yaml"].replace("per_day: 1", "holidays: avoid")
    pack = "holidays: {cn: {valid_until: 2025-12-31, days: [2025-12-31]}}"
    files = {
        **TWO,
        "journeys/program/contact.yaml": contact,
        "journeys/program/holidays.yaml": pack,
    }
    stage = staged(files, 60, audience=audience(timedelta(days=20)))
    found = told(stage, 20)
    assert found.messages == 0
    assert found.put_off == {"holidays_expired": sum(it.waiting for it in found.journeys.values())}
    assert found.decisions < 500


def test_a_pace_spreads_what_its_carrier_is_given() -> None:
    slow = TWO["journeys/loud.yaml"] + "pace: 1/min\n"
    both = {k: v for k, v in TWO.items() if "quiet" not in k} | {"journeys/loud.yaml": slow}
    both["journeys/loud.yaml"] = slow.replace("- id: one", "- id: one\n    at: day 2 10:00")
    found = told(staged(both, 10, audience=audience(timedelta(hours=1))), 30)
    assert found.channels["sms"].peak_minute.count == 1
    assert found.journeys["loud"].pace_wait_s == 29 * 60
    unpaced = {**both, "journeys/loud.yaml": both["journeys/loud.yaml"].replace("pace: 1/min", "")}
    stage = staged(unpaced, 10, audience=audience(timedelta(hours=1)))
    tally = simulate(stage, parts(30))
    fast = forecast(tally, stage.project(), BEGIN, 10, 1, {"sms": 0.5})
    assert fast.channels["sms"].peak_second.count >= 29
    assert fast.channels["sms"].wait_s == 2 * fast.channels["sms"].peak_second.count


def test_real_people_go_on_from_where_they_stand(programme: Mapping[str, str]) -> None:
    stage = staged(TWO, 20, audience=audience(timedelta(days=400)))
    project = stage.project()
    cast = Cast(stage.audience, project, BEGIN, stage.end, 1)
    cast.shake(7)
    fresh = cast.somebody(7)
    entered = engine.decide(
        Scene(project, fresh.subscriber, {}),
        SubscriberEvent("came", BEGIN - timedelta(days=1), {}, "e"),
        BEGIN - timedelta(days=1),
    ).scene
    play = Play(stage)
    play.play(packed([replace(fresh, enrollments=entered.enrollments, recent=entered.recent)]))
    found = forecast(play.tally, project, BEGIN, 20, 1)
    assert found.journeys["quiet"].inside == 1
    assert found.journeys["quiet"].sent == 1
    assert found.per_day[2] == 1


def test_what_real_people_get_is_counted_by_the_clock_and_the_day() -> None:
    """They go on in the middle of a day. Whom a segment brings in may be asked by an area."""
    files = {
        **{name: text for name, text in TWO.items() if not name.startswith("journeys/q")},
        **_lonely("loud", "{segment: near, every: day at 09:00}"),
        "journeys/program/areas.yaml": "areas: {campus: {cells: [c1]}}",
        "journeys/program/segments.yaml": (
            "segments: {near: \"in_area('campus', subscriber.home)\"}"
        ),
    }
    form = AudienceForm(people=(People(kind="all"),))
    now = datetime(2026, 3, 2, 14, 7, 30, 500_000, tzinfo=UTC)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    stage = Stage(files, form, midnight, 3, 1, ANSWER, now=now)
    cast = Cast(form, stage.project(), now, stage.end, 1)
    people = []
    for number, home in ((1, "c1"), (2, "c2")):
        cast.shake(number)
        somebody = cast.somebody(number)
        lives = replace(somebody.subscriber, attributes={"home": home}, timezone="UTC")
        people.append(replace(somebody, subscriber=lives))
    play = Play(stage)
    play.play(packed(people))
    found = forecast(play.tally, stage.project(), midnight, 3, 1)
    assert found.per_day == [0, 1, 0]
    sms = found.channels["sms"]
    assert {hour for hour, count in enumerate(sms.per_hour) if count} == {9}
    assert sms.peak_second.at == datetime(2026, 3, 3, 9, tzinfo=UTC)


def test_one_whose_journey_nobody_knows_fails_alone() -> None:
    stage = staged(TWO, 5, audience=audience(timedelta(days=1)))
    project = stage.project()
    cast = Cast(stage.audience, project, BEGIN, stage.end, 1)
    people = []
    for number in (1, 2):
        cast.shake(number)
        people.append(cast.somebody(number))
    came = SubscriberEvent("came", BEGIN, {}, "e")
    inside = engine.decide(Scene(project, people[0].subscriber, {}), came, BEGIN).scene.enrollments
    lost = {name: replace(it, version="gone") for name, it in inside.items()}
    play = Play(stage)
    play.play(packed([replace(people[0], enrollments=lost), people[1]]))
    assert sum(play.tally.broken.values()) == 1
    assert forecast(play.tally, project, BEGIN, 5, 1).messages >= 1


def test_two_versions_are_compared_over_the_same_people_and_chance() -> None:
    form = audience(timedelta(days=5))
    looser = TWO["journeys/program/contact.yaml"].replace("3d", "1d")
    before = told(staged(TWO, 20, audience=form), 50)
    after = told(staged({**TWO, "journeys/program/contact.yaml": looser}, 20, audience=form), 50)
    changed = {it.name: it for it in differences(before, after) if it.change}
    assert changed["journeys.quiet.late_h"].after == 24.0
    assert "journeys.loud.sent" not in changed
    assert not [it for it in differences(before, before) if it.change]


def test_the_page_loads_nothing_and_says_what_there_is(programme: Mapping[str, str]) -> None:
    found = told(staged(programme, 20), 30)
    shown = page(replace(found, project="<b>&"), differences(found, found), "main")
    assert "&lt;b&gt;&amp;" in shown
    assert "<b>&" not in shown
    for outside in ("http:", "https:", "<script", "url(", "@import", "src="):
        assert outside not in shown
    assert shown.count("<svg") >= 7
    for name in (*found.journeys, *found.channels):
        assert name in shown
    assert "Neither pace nor stock holds anybody up here" in shown
    assert shown.count('<div class="plot">') == shown.count("<svg ")


def test_values_are_drawn_as_the_file_says() -> None:
    dice = Random(1)
    drawn = [drawing({"mb": "1 to 3", "os": ["a", "b"], "n": 5})(dice) for _ in range(200)]
    assert {it["mb"] for it in drawn} == {1, 2, 3}
    assert {it["os"] for it in drawn} == {"a", "b"}
    assert {it["n"] for it in drawn} == {5}
    often = Counter(weighted({"x": 9, "y": 1, "z": 0})(dice) for _ in range(2000))
    assert often["z"] == 0
    assert 1700 < often["x"] < 1900
