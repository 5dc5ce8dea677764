"""Random journeys and random lives: whatever is written and whatever happens, the engine keeps
its promises. A failing example prints the journeys and what happened."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.core import calendar
from orchestrator.core.contact import refusal
from orchestrator.core.effects import EmitEvent, MoveTo, PostEntry, SendMessage
from orchestrator.core.engine import decide
from orchestrator.core.events import Event, ReplyReceived
from orchestrator.core.model import Consent
from orchestrator.core.scene import Decision
from orchestrator.core.steps.ask import Ask
from tests.core.world import World, ann, journey_text, project_of

CONDITIONS = ["subscriber.vip", "event.n >= 2", "'a' in subscriber.tags", "points.balance > 5"]
EVENTS = ["start", "used", "gone", "ping"]

quick = st.one_of(
    st.sampled_from(["hello", "bye"]).map(lambda name: {"send": name}),
    st.integers(1, 9).map(lambda points: {"award": points, "for": "fun"}),
    st.sampled_from(["+a", "-a"]).map(lambda tag: {"set": {"tags": [tag]}}),
    st.just({"emit": "ping", "with": {"n": 2}}),
    st.just({"enroll": "other"}),
)
waits = st.sampled_from(["30m", "1d", "until 10:00", "until monday 02:30"]).map(
    lambda text: {"wait": text}
)


def branching(blocks: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    conditions = st.sampled_from(CONDITIONS)
    cases = st.tuples(conditions, blocks).map(lambda c: {"if": c[0], "do": c[1]})
    return st.one_of(
        st.lists(cases, min_size=1, max_size=2).map(lambda found: {"when": found}),
        st.tuples(blocks, blocks).map(
            lambda two: {"split": {"ways": [{"name": f"w{n}", "do": b} for n, b in enumerate(two)]}}
        ),
        st.tuples(blocks, blocks).map(
            lambda two: {"wait_for": "used", "within": "2d", "then": two[0], "else": two[1]}
        ),
        st.tuples(blocks, st.lists(quick, max_size=2), blocks, st.integers(1, 3)).map(
            lambda parts: {
                "ask": "quiz",
                "within": "1d",
                "tries": parts[3],
                "reply": [{"is": "yes", "do": parts[0]}, {"else": parts[1]}],
                "silence": parts[2],
            }
        ),
    )


def block(steps: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Any]]:
    timed = st.tuples(steps, st.sampled_from([None, None, 0, 1, 2])).map(
        lambda pair: pair[0] if pair[1] is None else {**pair[0], "days later": pair[1]}
    )
    return st.lists(timed, min_size=1, max_size=3)


blocks = st.recursive(
    block(quick | waits), lambda inner: block(branching(inner) | quick), max_leaves=8
)


def timed(written: list[Any], hour: int) -> list[Any]:
    """The steps with ids, and days that go forward in reading order, as the loader wants them."""
    day = 1

    def walk(value: Any, aside: bool = False) -> Any:
        nonlocal day
        if isinstance(value, list):
            return [walk(item, aside) for item in value]
        if not isinstance(value, dict):
            return value
        value = dict(value)
        later = value.pop("days later", None)
        if later is not None and not aside:
            day += later
            value = {"at": f"day {day} {hour:02}:00", **value}
        waits = "wait_for" in value
        return {key: walk(v, key == "else" and not waits) for key, v in value.items()}

    return [{"id": f"s{n}", **walk(step)} for n, step in enumerate(written)]


journeys = st.builds(
    lambda steps, hour, more: (timed(steps, hour), more),
    blocks,
    st.integers(0, 23),
    st.fixed_dictionaries(
        {
            "class": st.sampled_from(["service", "promotion"]),
            "again": st.sampled_from(["never", "always", "after 2d"]),
            "leave": st.sampled_from([[], [{"on": "gone"}], [{"if": "points.balance > 20"}]]),
        }
    ),
)
happenings = st.lists(
    st.tuples(
        st.integers(0, 20 * 24 * 60),
        st.sampled_from(
            [
                *(f'event {name} {{"n": {n}}}' for name in EVENTS for n in (1, 2)),
                *("reply yes", "reply what?", "refuses marketing", "allows marketing"),
                *("worker stops", "worker starts", "message fails", "enter other"),
            ]
        ),
    ),
    max_size=14,
).map(lambda found: [(0, 'event start {"n": 1}'), *sorted(found)])
zones = st.sampled_from(
    ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Mars/Olympus"]
)
day_ones = st.sampled_from(["2026-03-02", "2026-03-25", "2026-10-01", "2026-10-22"])


class Watched(World):
    """A world in which every decision is made twice, and every contact checked as it is made.

    What a reply leads to at once is an answer: it goes at any hour, whatever went that day."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.answers: set[tuple[datetime, str, str]] = set()

    def take(self, event: Event) -> Decision:
        again = decide(self.scene, event, self.now)
        decision = super().take(event)
        assert decision.effects[: len(again.effects)] == again.effects, "the same each time"
        for effect in again.effects:
            if isinstance(effect, SendMessage):
                rules = self.scene.project.contact.classes[effect.message.contact_class]
                assert refusal(rules, self.scene.subscriber) is None
                message = effect.message
                if isinstance(event, ReplyReceived) and ".reply-" in message.step:
                    self.answers.add((self.now, message.journey, message.step))
                elif rules.hours is not None:
                    tz = calendar.zone(self.scene.subscriber.timezone)
                    assert tz is not None
                    wall = self.now.astimezone(tz)
                    assert rules.hours.opens <= wall.time() < rules.hours.closes
        return decision


def told(mine: Any, other: Any, lived: list[tuple[int, str]]) -> str:
    return json.dumps({"demo": mine, "other": other, "happened": lived}, indent=1)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(journeys, journeys, happenings, zones, day_ones, st.booleans())
def test_whatever_happens_the_promises_hold(
    mine: tuple[list[Any], dict[str, Any]],
    other: tuple[list[Any], dict[str, Any]],
    lived: list[tuple[int, str]],
    zone: str,
    day_one: str,
    willing: bool,
) -> None:
    project = project_of(
        {
            "demo": journey_text("demo", mine[0], **mine[1]),
            "other": journey_text("other", other[0], **other[1]),
        }
    )
    consents = {"marketing": Consent(willing, ann().created_at)}
    world = Watched(project, ann(timezone=zone, consents=consents), day_one)
    for minute, what in lived:
        days, rest = divmod(minute, 24 * 60)
        if what != "message fails" or world.messages:
            world.happen(f"day {days + 1} {rest // 60:02}:{rest % 60:02}", what)
    if not world.working:
        world.happen("day 22 00:00", "worker starts")
    world.go_on()
    context = told(mine, other, lived)
    assert not any(e.open for e in world.scene.enrollments.values()), context
    check_steps_run_once(world, context)
    check_times(world, context)
    check_caps(world, context)


def check_steps_run_once(world: World, context: str) -> None:
    """No step sends, awards or emits twice in one run, but for the `else` of a question."""
    done: Counter[Any] = Counter()
    for _, effect in world.effects:
        if isinstance(effect, SendMessage):
            message = effect.message
            done["send", message.journey, message.run, message.step] += 1
        elif isinstance(effect, PostEntry):
            done["award", effect.key] += 1
    aside = {
        (name, step)
        for name, journey in world.scene.project.journeys.items()
        for asked in journey.steps.values()
        if isinstance(asked.step, Ask)
        for step in journey.steps
        if step.startswith(f"{asked.id}.reply-2.")
    }
    twice = [
        what
        for what, times in done.items()
        if times > 1 and not (what[0] == "send" and (what[1], what[3]) in aside)
    ]
    assert not twice, f"{twice}\n{context}"


def check_times(world: World, context: str) -> None:
    """Nothing is early; no two steps written for different times go out at the same instant."""
    tz = calendar.zone(world.scene.subscriber.timezone) or calendar.UTC_ZONE
    entered: dict[tuple[str, int], datetime] = {}
    together: dict[tuple[str, int, datetime], set[Any]] = {}
    for now, effect in world.effects:
        if isinstance(effect, MoveTo):
            run = (effect.enrollment.journey, effect.enrollment.run)
            entered.setdefault(run, effect.enrollment.entered_at)
        if not isinstance(effect, SendMessage):
            continue
        message = effect.message
        at = world.scene.project.journeys[message.journey].steps[message.step].step.at
        if at is None:
            continue
        run = (message.journey, message.run)
        wall = now.astimezone(tz).replace(tzinfo=None)
        first_day = entered[run].astimezone(tz).date()
        wanted = datetime.combine(first_day + timedelta(days=at.day - 1), at.time)
        assert wall >= wanted, f"{message.step} went at {wall}, before {wanted}\n{context}"
        together.setdefault((*run, now), set()).add((at.day, at.time))
    assert all(len(times) == 1 for times in together.values()), f"{together}\n{context}"


def check_caps(world: Watched, context: str) -> None:
    """Promotions that are no answers: one a local day, the same not within 30 days, and no
    promotion of another journey within 7."""
    tz = calendar.zone(world.scene.subscriber.timezone) or calendar.UTC_ZONE
    sends = [(now, e.message) for now, e in world.effects if isinstance(e, SendMessage)]
    for number, (now, message) in enumerate(sends):
        answers = (now, message.journey, message.step) in world.answers
        if message.contact_class != "promotion" or answers:
            continue
        for before, earlier in sends[:number]:
            assert before.astimezone(tz).date() != now.astimezone(tz).date(), context
            same = earlier.template == message.template
            assert not (same and now - before < timedelta(days=30)), context
            promotion = earlier.contact_class == "promotion"
            foreign = promotion and earlier.journey != message.journey
            assert not (foreign and now - before < timedelta(days=7)), context


def test_emitted_events_carry_a_source_that_tells_runs_apart() -> None:
    text = journey_text("demo", [{"id": "tell", "emit": "ping"}], again="always")
    world = World(project_of({"demo": text}))
    for day in (1, 2):
        world.happen(f"day {day} 10:00", "event start")
    sources = [e.source_id for _, e in world.effects if isinstance(e, EmitEvent)]
    assert len(sources) == len(set(sources)) == 2
