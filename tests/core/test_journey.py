"""Journeys laid flat: every step stands once, in reading order, and knows what comes next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.expression import Condition
from orchestrator.core.journey import every_step, lay_out
from orchestrator.core.steps.base import Block, Step
from orchestrator.core.steps.emit import Emit
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.when import Case, When

YES = Condition.parse("true")


def emit(name: str, id: str = "") -> Emit:
    return Emit(id=id, emit=name)  # type: ignore[arg-type]


def when(id: str, *blocks: Block) -> When:
    return When(id=id, when=tuple(Case(if_=YES, do=block) for block in blocks))


def test_steps_follow_each_other_to_the_end() -> None:
    first, steps = lay_out((emit("one", "a"), emit("two", "b")))
    assert first == "a"
    assert [(s.id, s.next) for s in steps.values()] == [("a", "b"), ("b", None)]


def test_an_empty_journey_has_no_first_step() -> None:
    assert lay_out(()) == (None, {})


def test_branches_join_what_follows_their_step() -> None:
    first, steps = lay_out((when("w", (emit("one"), emit("two")), ()), emit("after", "z")))
    assert first == "w"
    assert steps["w"].blocks == {"case-1": "w.case-1.1", "case-2": "z"}
    assert steps["w.case-1.1"].next == "w.case-1.2"
    assert steps["w.case-1.2"].next == "z"


def test_the_last_branch_of_a_journey_leads_to_its_end() -> None:
    _, steps = lay_out((when("w", (when("", (emit("deep"),)),)),))
    assert steps["w.case-1.1.case-1.1"].next is None


def test_a_nested_step_with_an_id_keeps_it() -> None:
    _, steps = lay_out((when("w", (emit("one", "mine"), emit("two"))),))
    assert list(steps) == ["w", "mine", "w.case-1.2"]


def test_steps_stand_in_reading_order() -> None:
    block = (when("w", (emit("one"),), (emit("two"), emit("three"))), emit("four", "z"))
    _, steps = lay_out(block)
    assert [placed.step for placed in steps.values()] == list(every_step(block))


blocks = st.recursive(
    st.just(()) | st.lists(st.just(Leave(leave="x")) | st.just(emit("e")), max_size=3).map(tuple),
    lambda inner: st.lists(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: when("", *each)), max_size=3
    ).map(tuple),
    max_leaves=12,
)


@given(blocks)
def test_every_step_is_laid_once_and_leads_forward(block: Block) -> None:
    """A journey is a tree: nobody comes twice to a step, however the branches go."""
    first, steps = lay_out(block)
    written = list(every_step(block))
    assert [placed.step for placed in steps.values()] == written
    assert (first is None) == (not written)
    place = {id: number for number, id in enumerate(steps)}
    for id, placed in steps.items():
        following = [placed.next, *placed.blocks.values()]
        assert all(to is None or place[to] > place[id] for to in following)
    reached = {first} | {to for p in steps.values() for to in (p.next, *p.blocks.values())}
    assert set(steps) <= reached


def test_no_step_type_has_another_s_word() -> None:
    words = [cls.word() for cls in Step.__subclasses__()]
    assert len(words) == len(set(words))
