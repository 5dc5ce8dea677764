"""What is said never to hold never does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.expression import Condition
from orchestrator.project.holding import fault, fits

TERMS = ("subscriber.a", "usage.mb", "subscriber.usage.mb", "subscriber.tags", "points.balance")
CONSTANTS = ("1", "2", "2.5", "0", "'a'", "'b'", "''", "true", "false", "none")
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [1, 2, 2.5, 0, "a", "b", "", True, False, None, []]
)


def atoms() -> st.SearchStrategy[str]:
    term, constant = st.sampled_from(TERMS), st.sampled_from(CONSTANTS)
    compared = st.builds(
        "{} {} {}".format, term, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), constant
    )
    turned = st.builds("{} {} {}".format, constant, st.sampled_from(["==", "<", ">="]), term)
    among = st.builds("{} in [{}, {}]".format, term, constant, constant)
    inside = st.builds("{} {} {}".format, constant, st.sampled_from(["in", "not in"]), term)
    kind = st.builds("{} is {}".format, term, st.sampled_from(["number", "string", "none"]))
    filtered = st.builds(
        "{}|{} == {}".format, term, st.sampled_from(["default(1)", "length", "lower"]), constant
    )
    return st.one_of(term, constant, compared, turned, among, inside, kind, filtered)


CONDITIONS = st.recursive(
    atoms(),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
    ),
    max_leaves=5,
).map(Condition.parse)

SCOPES = st.builds(
    lambda a, mb, tags, balance: {
        "subscriber": {"a": a, "usage": {"mb": mb}, "tags": tags},
        "usage": {"mb": mb},
        "points": {"balance": balance, "earned": balance},
    },
    VALUES,
    VALUES,
    st.lists(st.sampled_from(["a", "b", ""]), max_size=2),
    st.integers(min_value=0, max_value=3),
)


@settings(max_examples=300)
@given(CONDITIONS, SCOPES)
def test_nobody_fulfils_a_condition_that_has_a_fault(condition: Condition, scope: Any) -> None:
    if fault(condition) is not None:
        assert not condition.holds(scope)


@settings(max_examples=300)
@given(st.lists(CONDITIONS, max_size=2), st.lists(CONDITIONS, max_size=2), SCOPES)
def test_what_somebody_is_can_be(
    hold: list[Condition], not_hold: list[Condition], scope: Any
) -> None:
    if all(it.holds(scope) for it in hold) and not any(it.holds(scope) for it in not_hold):
        assert fits(hold, not_hold)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("points.balance == '30'", "points.balance is a number, and '30' is a text"),
        ("usage.mb > 3 and subscriber.usage.mb <= 3", "all that it asks of usage.mb"),
        ("subscriber.a in ['x', 'y'] and subscriber.a == 'z'", "all that it asks of subscriber.a"),
        ("'x' in subscriber.tags and 'x' not in subscriber.tags", "subscriber.tags"),
        ("subscriber.a|lower == 'ABC'", "subscriber.a"),
        ("points.balance < 0", "points.balance"),
        ("not subscriber.a and subscriber.a == 'x'", "subscriber.a"),
        ("subscriber.a < true", "subscriber.a"),
        ("1 > 2", "this"),
    ],
)
def test_why_a_condition_never_holds_is_said(text: str, why: str) -> None:
    assert why in (fault(Condition.parse(text)) or "")


@pytest.mark.parametrize(
    "text",
    [
        "usage.mb >= 3 and usage.mb <= 3",
        "subscriber.a == 1 or subscriber.a == 2",
        "usage.mb|default(0) < 30",
        "subscriber.a != none",
        "'a' in subscriber.a and 'b' in subscriber.a",
    ],
)
def test_a_condition_that_can_hold_has_no_fault(text: str) -> None:
    assert fault(Condition.parse(text)) is None
