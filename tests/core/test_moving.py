"""Whoever moves to another version meets no step twice and passes none over, whatever was edited.

The judge walks all ways through a journey one by one, and knows nothing of how routes are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.core.expression import Condition
from orchestrator.core.grammar import At, parse_time
from orchestrator.core.journey import InFlight, Journey, lay_out
from orchestrator.core.model import Enrollment, Waiting
from orchestrator.core.moving import (
    LEAVE,
    Route,
    Stranded,
    carried,
    joined,
    moved,
    reverse,
    routes,
)
from orchestrator.core.steps.base import Block, Step, StepName, TemplateName
from orchestrator.core.steps.send import Send
from orchestrator.core.steps.wait import Pause, Wait
from orchestrator.core.steps.when import Case, When

FOLLOW = InFlight({})
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
YES = Condition.parse("subscriber.yes")


def send(name: str, at: str = "", says: str = "") -> Send:
    day, _, time = at.partition(" ")
    return Send(
        id=name,
        send=TemplateName(says or f"t/{name}"),
        at=At(int(day), parse_time(time)) if at else None,
    )


def wait(name: str, hours: int = 1) -> Wait:
    return Wait(id=name, wait=Pause(timedelta(hours=hours)))


def unnamed(says: str) -> Send:
    return Send(send=TemplateName(says))


def when(name: str, *blocks: Block) -> When:
    return When(id=name, when=tuple(Case(if_=YES, do=block) for block in blocks))


def journey(*steps: Step, version: str = "") -> Journey:
    first, placed = lay_out(steps)
    return Journey("j", version or str(hash(steps)), "service", (), first, placed)


def move(**pairs: str) -> InFlight:
    names = {old.replace("_", "-"): StepName(new) for old, new in pairs.items()}
    return InFlight(names)


def ways(journey: Journey, begin: str | None) -> Iterator[tuple[str, ...]]:
    """Every way from a step to the end, step by step."""
    if begin is None:
        yield ()
        return
    placed = journey.steps[begin]
    for following in dict.fromkeys((*placed.blocks.values(), placed.next)):
        for rest in ways(journey, following):
            yield (begin, *rest)


def work(journey: Journey, step: str) -> str:
    """What a step is, whatever it is called: a named one by its name, others by what they say."""
    placed = journey.steps[step]
    return placed.step.id or str(getattr(placed.step, "send", step))


@st.composite
def texts(draw: st.DrawFn) -> tuple[Journey, Journey]:
    """A journey with branches, named and unnamed steps; and the same, edited."""
    names = iter(f"s{n}" for n in range(100))
    says = iter(f"u/{n}" for n in range(100))

    def block(depth: int) -> list[Step]:
        made: list[Step] = []
        for _ in range(draw(st.integers(1, 3))):
            kind = draw(st.integers(0, 4 if depth else 2))
            if kind == 0:
                made.append(wait(next(names)))
            elif kind == 4:
                inner = [tuple(block(depth - 1)) for _ in range(draw(st.integers(1, 2)))]
                made.append(when(next(names), *inner))
            elif kind == 3 or depth == 2:
                made.append(send(next(names)))
            else:
                made.append(unnamed(next(says)))
        return made

    def edited(steps: Block) -> list[Step]:
        made: list[Step] = []
        for step in steps:
            if isinstance(step, When):
                cases = [replace(case, do=tuple(edited(case.do))) for case in step.when]
                step = replace(step, when=tuple(cases))
            match draw(st.integers(0, 9)):
                case 0:
                    pass  # it is gone
                case 1:
                    made += [send(next(names)), step]
                case 2:
                    made += [unnamed(next(says)), step]
                case _:
                    made.append(step)
        if len(made) > 1 and draw(st.integers(0, 4)) == 0:
            made.insert(0, made.pop())
        return made

    steps = block(2)
    return journey(*steps, version="old"), journey(*edited(tuple(steps)), version="new")


@settings(max_examples=300, deadline=None)
@given(texts())
def test_nobody_who_follows_meets_a_step_twice_or_passes_one_over(
    pair: tuple[Journey, Journey],
) -> None:
    old, new = pair
    table = routes(old, new, FOLLOW)
    assert {step for step, _ in table} == {*old.steps}
    everything = {work(new, step) for step in new.steps}
    for (step, waiting), route in table.items():
        if isinstance(route, Stranded):
            continue
        assert route.to is not None
        assert work(new, route.to) == work(old, step)
        started = waiting and route.keep
        done = {
            work(old, one)
            for way in ways(old, old.first)
            if step in way
            for one in way[: way.index(step) + waiting]
        }
        met = {
            work(new, one) for way in ways(new, route.to) for one in (way[1:] if started else way)
        }
        coming = {work(old, one) for way in ways(old, step) for one in way[1:]}
        assert not done & met
        assert coming & everything <= met


@settings(max_examples=100, deadline=None)
@given(texts())
def test_without_an_edit_everybody_stays_where_they_are(pair: tuple[Journey, Journey]) -> None:
    old, _ = pair
    again = replace(old, version="again")
    for (step, _), route in routes(old, again, FOLLOW).items():
        assert route == Route(step, True)


@settings(max_examples=100, deadline=None)
@given(texts())
def test_who_came_from_another_version_is_known_to_have_done_what_they_did(
    pair: tuple[Journey, Journey],
) -> None:
    old, new = pair
    history = joined({}, carried(old, new, FOLLOW, {}))
    back = replace(old, version="back")
    for (step, waiting), route in routes(old, new, FOLLOW).items():
        if not isinstance(route, Route) or waiting or route.to is None:
            continue
        done = {
            one for way in ways(old, old.first) if step in way for one in way[: way.index(step)]
        }
        named = {one for one in done if old.steps[one].step.id}
        assert named <= history.get(route.to, frozenset()) | {route.to}
        onward = routes(new, back, FOLLOW, history)[route.to, False]
        if isinstance(onward, Route) and onward.to:
            met = {one for way in ways(back, onward.to) for one in way}
            assert not named & met


OLD = journey(send("a"), wait("b"), send("c"), version="1")


@pytest.mark.parametrize(
    ("new", "rule", "step", "waiting", "expected"),
    [
        (journey(send("a"), wait("b", 5), send("c")), FOLLOW, "b", True, Route("b", True)),
        (journey(send("a"), wait("b", 5), send("c")), FOLLOW, "b", False, Route("b", False)),
        (journey(send("a"), send("c")), FOLLOW, "b", True, Stranded("gone")),
        (journey(send("a"), send("c")), move(b="c"), "b", True, Route("c", False)),
        (journey(send("a"), send("c")), move(b=LEAVE), "b", True, Route(None, False)),
        (journey(send("a"), wait("p"), send("c")), move(b="p"), "b", True, Route("p", True)),
        (journey(send("a"), send("b"), send("c")), FOLLOW, "b", True, Stranded("another kind")),
        (journey(send("a"), send("b"), send("c")), FOLLOW, "b", False, Route("b", False)),
        (journey(send("a"), send("b"), send("c")), move(b="b"), "b", True, Route("b", False)),
        (journey(wait("b"), send("a"), send("c")), FOLLOW, "b", True, Stranded("again", ("a",))),
        (journey(send("c"), send("a"), wait("b")), FOLLOW, "a", False, Stranded("skipped", ("c",))),
        (
            journey(wait("b"), send("a"), send("c")),
            move(b="b"),
            "b",
            True,
            Route("b", True, again=("a",)),
        ),
        (
            journey(send("z"), wait("b"), send("c")),
            move(a="z"),
            "c",
            False,
            Route("c", True),
        ),
        (
            journey(wait("b"), send("c"), send("z")),
            move(a="z"),
            "c",
            False,
            Stranded("again", ("z",)),
        ),
    ],
)
def test_where_people_go(
    new: Journey, rule: InFlight, step: str, waiting: bool, expected: Route | Stranded
) -> None:
    assert routes(OLD, new, rule)[step, waiting] == expected


def test_nobody_goes_anywhere_if_they_are_to_stay() -> None:
    assert routes(OLD, journey(send("z")), InFlight()) == {}


def test_a_step_without_an_id_is_not_taken_for_its_neighbour() -> None:
    old = journey(when("w", (unnamed("t/1"), unnamed("t/2"))))
    new = journey(when("w", (unnamed("t/0"), unnamed("t/1"), unnamed("t/2"))))
    assert routes(old, new, FOLLOW)["w.case-1.2", False] == Stranded("shifted")
    longer = journey(when("w", (unnamed("t/1"), unnamed("t/2"), unnamed("t/3"))))
    assert routes(old, longer, FOLLOW)["w.case-1.2", False] == Route("w.case-1.2", True)


def test_what_stands_within_a_renamed_step_goes_with_it() -> None:
    old = journey(when("w", (unnamed("t/1"), unnamed("t/2"))), send("z"))
    new = journey(when("v", (unnamed("t/1"), unnamed("t/2"))), send("z"))
    table = routes(old, new, move(w="v"))
    assert table["w.case-1.2", False] == Route("v.case-1.2", True)
    late = journey(send("y"), send("z"), when("v", (unnamed("t/1"),)))
    assert routes(old, late, move(w="v"))["z", False] == Stranded("again", ("v", "v.case-1.1"))


def test_the_way_back_is_known_unless_two_steps_became_one() -> None:
    assert reverse(OLD, move(b="p")) == move(p="b")
    assert reverse(OLD, move(a="p", b="p")) == InFlight({})
    assert reverse(OLD, move(b="c")) == InFlight({})
    assert reverse(OLD, move(b=LEAVE)) == InFlight({})


def standing(step: str, **more: object) -> Enrollment:
    known = {"due_at": NOON + timedelta(hours=1), **more}
    return Enrollment("j", "1", 1, "active", step, entered_at=NOON, **known)  # type: ignore[arg-type]


def test_who_waits_keeps_what_they_wait_for() -> None:
    here = standing("b", waiting=Waiting("time", NOON, 1))
    new = journey(wait("p", 5), version="2")
    there = moved(here, OLD, new, move(b="p"), Route("p", True), None, NOON)
    assert there == replace(here, version="2", step="p")


def test_who_had_not_begun_is_due_by_the_new_version_and_never_in_the_past() -> None:
    here = standing("c", ran_at=NOON - timedelta(hours=3), ran_step="a")
    for at, due in [("2 10:00", NOON + timedelta(hours=22)), ("1 10:00", NOON)]:
        new = journey(send("a"), send("c", at), version="2")
        there = moved(here, OLD, new, FOLLOW, Route("c", False), "UTC", NOON)
        assert (there.due_at, there.waiting) == (due, None)


def test_the_last_step_that_ran_keeps_its_new_name() -> None:
    here = standing("c", ran_at=NOON, ran_step="a")
    new = journey(send("z"), wait("b"), send("c"), version="2")
    assert moved(here, OLD, new, move(a="z"), Route("c", True), None, NOON).ran_step == "z"
