"""The condition language: what it means, and what it says to authors who slip."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.area import Area
from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import Condition, reading, subscriber_scope
from orchestrator.core.model import Subscriber

ATTRIBUTES: dict[str, Any] = {
    "name": "Wei",
    "network": "4g",
    "age": 17,
    "spent": 0.1,
    "saved": 0.2,
    "vip": False,
    "nothing": None,
    "interests": ["music", "news"],
    "phone": {"brand": "Nokia", "screens": [240, 320]},
    "key": "an attribute cannot hide a built-in name",
    "usage": {"mb_7d": 31, "zero": 0},
}


def _scope() -> dict[str, Any]:
    subscriber = Subscriber(
        id=1,
        key="c-1",
        shard=0,
        locale="zh-CN",
        timezone=None,
        attributes=ATTRIBUTES,
        tags=frozenset({"beta", "alpha"}),
        addresses={},
        consents={},
        created_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    )
    scope = subscriber_scope(subscriber, balance_points=250, earned_points=1000)
    return {**scope, "event": {"mb": 30}}


@pytest.mark.parametrize(
    "source",
    [
        "subscriber.network in ['3g', '4g'] and usage.mb_7d >= 30",
        "event.mb >= 30",
        "points.balance >= 200 and points.earned // 100 == 10",
        "'alpha' in subscriber.tags and 'gamma' not in subscriber.tags",
        "subscriber.tags[0] == 'alpha'",
        "subscriber.key == 'c-1'",
        "subscriber.created_at < '2026-02-01'",
        "subscriber.phone.brand|lower == 'nokia'",
        "subscriber.phone['screens'][-1] == 320",
        "subscriber.interests|length == 2",
        "'mus' in subscriber.interests[0]",
        "'brand' in subscriber.phone",
        "subscriber.spent + subscriber.saved == 0.3",
        "subscriber.age == 17.0",
        "10 / 4 == 2.5 and 7 % 3 == 1 and -7 // 2 == -4 and -7 % 2 == 1",
        "(2.345)|round(2) == 2.35 and (-2.5)|round == -3",
        "1 / 3 * 3 == 0.999999999999",
        "16 < subscriber.age <= 17",
        "(subscriber.age if subscriber.vip else 99) == 99",
        "subscriber.missing|default('x') == 'x'",
        "subscriber.missing is none and subscriber.nothing is not defined",
        "subscriber.missing != '3g' and subscriber.missing not in ['3g']",
        "subscriber.name is string and subscriber.age is number and subscriber.vip is boolean",
        "not subscriber.vip and not subscriber.missing and not usage.zero",
        "subscriber.interests == ['music', 'news']",
        "'😀' > '\\uffff'",
    ],
)
def test_a_true_condition_holds(source: str) -> None:
    assert Condition.parse(source).holds(_scope())
    assert not Condition.parse(f"not ({source})").holds(_scope())


@pytest.mark.parametrize(
    "source",
    [
        "subscriber.missing > 1",
        "subscriber.missing <= 1",
        "subscriber.name < 1",
        "subscriber.vip < 1",
        "subscriber.interests < 1",
        "subscriber.name.first > 'a'",
        "subscriber.name * 2 > 0",
        "subscriber.age / 0 > 0",
        "(subscriber.age|length) > 0",
        "event.mb > 10 and subscriber.missing > 1",
        "event.mb < 10 or subscriber.missing > 1",
    ],
)
def test_neither_an_unknown_condition_nor_its_opposite_holds(source: str) -> None:
    assert not Condition.parse(source).holds(_scope())
    assert not Condition.parse(f"not ({source})").holds(_scope())
    assert Condition.parse(f"({source}) is none").holds(_scope())


@pytest.mark.parametrize(
    "source",
    [
        "1 == '1'",
        "1 == true",
        "0 == false",
        "subscriber.nothing == false",
        "[1] == [true]",
        "'a' == 'A'",
        "'é' == 'e\\u0301'",
        "subscriber.age in subscriber.name",
        "subscriber.name in subscriber.age",
        "subscriber.missing in subscriber.interests",
        "9007199254740993 == 9007199254740992.0",
    ],
)
def test_values_of_different_kinds_are_different_and_their_opposite_holds(source: str) -> None:
    assert not Condition.parse(source).holds(_scope())
    assert Condition.parse(f"not ({source})").holds(_scope())


def test_an_event_is_null_where_nothing_has_happened() -> None:
    assert not Condition.parse("event.mb > 1").holds({"subscriber": {}})
    assert Condition.parse("event.mb is none").holds({"subscriber": {}})


def test_an_event_cannot_be_asked_of_the_database() -> None:
    with pytest.raises(GrammarError, match=r"only allowed in an entry's if.*wait_for"):
        Condition.parse("event.mb > 1 and subscriber.vip").sql()


def test_its_names_are_known_for_linting() -> None:
    condition = Condition.parse(
        "subscriber.a.b[0].c > 1 and not (usage.mb|default(points.balance))"
    )
    assert condition.names() == {"subscriber.a.b", "usage.mb", "points.balance"}


def test_nothing_an_author_writes_becomes_sql() -> None:
    hostile = "x'; DROP TABLE subscribers; --"
    condition = Condition.parse(
        f'subscriber["{hostile}"] == "{hostile}" and "{hostile}" in subscriber.a'
    )
    sql = condition.sql(first_parameter=7)
    assert "DROP" not in sql.text
    assert sql.parameters.count(hostile) == 1
    assert "$7::text" in sql.text
    assert f"${6 + len(sql.parameters)}::text" in sql.text


@pytest.mark.parametrize(
    "grow",
    [
        "({0} + (subscriber.b|default(1)))|default('x')",
        "({0}) < subscriber.b",
        "(({0}) if usage.c else 1) == 'a'",
        "({0}) in subscriber.b",
        "subscriber.b in ({0})",
        "subscriber.a < ({0})|default(subscriber.b)",
        "[{0}, 'a']|length",
        "({0}) in ['a', subscriber.b]",
    ],
)
def test_sql_grows_with_the_condition_not_faster(grow: str) -> None:
    source = "subscriber.a"
    for _ in range(12):
        source = grow.format(source)
    assert len(Condition.parse(source).sql().text) < 100 * len(source)


@pytest.mark.parametrize(
    ("source", "column", "message", "hint"),
    [
        ("subscriber.network = '3g'", 20, "unexpected '='", "write == to compare"),
        ("subscriber.a === 1", 16, "unexpected '='", "write == to compare"),
        ("subscriber.a && usage.b", 14, "unexpected char '&'", "write and"),
        ("subscriber.a || usage.b", 15, "expected token 'name'", "write or"),
        ("!subscriber.a", 1, "unexpected char '!'", "write not"),
        ("subscriber.a AND usage.b", 14, "unexpected 'AND'", "write and"),
        ("subscriber.a == null", 17, "unknown name null", "write none"),
        ("subscriber.a == yes", 17, "unknown name yes", "write true"),
        ("1 < subscribr.age", 5, "unknown name subscribr", "did you mean subscriber?"),
        ("network == '3g'", 1, "unknown name network", "subscriber.network"),
        ("points.balanc > 1", 1, "points has no balanc", "did you mean balance?"),
        ("subscriber == 1", 1, "subscriber alone is no value", "subscriber.name"),
        ("subscriber.a|lowr == 'a'", 14, "unknown filter: lowr", "did you mean lower?"),
        ("subscriber.a is strin", 17, "unknown test: is strin", "did you mean string?"),
        ("subscriber.a.upper()", 19, "functions cannot be called", "write a condition like"),
        ("subscriber.a ~ 'b' == 'ab'", 14, "texts cannot be joined", "one by one"),
        ("subscriber.a ** 2 > 4", 14, "** is not allowed", "x * x"),
        ("subscriber.a + 'b'", 16, "'b' is not a number", "only numbers"),
        ("subscriber.a % 0", 14, "% needs a number from 1 on", "% 100"),
        ("subscriber[subscriber.b]", 11, "a key must be written out", "subscriber['name']"),
        ("'\\ud800' == subscriber.a", 1, "holds a character", "leave it out"),
        ("subscriber.a == ", 17, "unexpected 'end of template'", "write a condition like"),
        ("subscriber.a == 'b", 17, "unexpected char", "quotation mark"),
        ("{{ subscriber.a }}", 1, "in braces", "without {{ }}"),
        ("subscriber.a }} {% if 1 %}", 14, "unexpected '}}'", "write a condition like"),
    ],
)
def test_a_slip_is_found_where_it_stands_with_its_mend(
    source: str, column: int, message: str, hint: str
) -> None:
    with pytest.raises(GrammarError) as raised:
        Condition.parse(source)
    assert raised.value.message.startswith(f"column {column}: ")
    assert message in raised.value.message
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    "source",
    [
        *("", " ", "(" * 500, "not " * 900 + "true", "1 + " * 200 + "1", "a" * 5000, "1" * 4000),
        *("[" * 90 + "]" * 90, "-" * 3000 + "1", "1e999 == 1"),
    ],
)
def test_what_is_empty_or_monstrous_is_a_mistake_not_a_crash(source: str) -> None:
    with pytest.raises(GrammarError) as raised:
        Condition.parse(source)
    assert raised.value.hint


def test_a_condition_of_many_parts_is_one() -> None:
    source = " or ".join(f"subscriber.a == {number}" for number in range(100))
    assert len(Condition.parse(source).sql().parameters) == 1


def test_a_condition_that_is_no_text_is_a_mistake() -> None:
    with pytest.raises(GrammarError, match="True is not a condition"):
        Condition.parse(True)  # type: ignore[arg-type]


_PIECES = [
    "subscriber",
    ".a",
    "['b']",
    "[0]",
    "==",
    "<",
    "in",
    "not ",
    "and ",
    "or ",
    "(",
    ")",
    "[",
    "]",
]
_PIECES += [
    "'x'",
    "1",
    "0.5",
    "none",
    "|default(",
    "|length",
    " is ",
    "none",
    "if ",
    "else ",
    "-",
    "/",
]
_PIECES += [
    ",",
    "usage.a",
    "event.b",
    "points.balance",
    "{{",
    "%}",
    "#",
    "\\",
    "'",
    "\n",
    "~",
    "**",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(" ".join) | st.text(max_size=20))
def test_any_text_is_a_condition_or_a_grammar_error(source: str) -> None:
    try:
        condition = Condition.parse(source)
    except GrammarError:
        return
    assert condition.holds(_scope()) in (True, False)


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
_ASKED = [
    Condition.parse(f"(subscriber.a {operator} subscriber.b) == 1 or subscriber.a[0].b")
    for operator in ["==", "<", ">=", "in", "and", "or", "+", "-", "*", "/"]
] + [Condition.parse(f"subscriber.a|{name}") for name in ("lower", "length", "round(2)")]


@given(_anything, _anything)
def test_holding_never_raises_whatever_the_values(a: Any, b: Any) -> None:
    for condition in _ASKED:
        for scope in ({"subscriber": {"a": a, "b": b}}, {"subscriber": a}, {}):
            assert condition.holds(scope) in (True, False)


PLACES: dict[str, Any] = {
    "lists": {"callers": {8613800138000}, "nobody": set()},
    "areas": {"campus": Area(frozenset({"a1"}))},
    "number": 8613800138000,
    "state": {"cell": "a1", "power": "on"},
    "event": {"peer": "+8613800138000", "other": "8613900139000", "cell": "b1"},
}


@pytest.mark.parametrize(
    "source",
    [
        "in_list('callers') and not in_list('nobody')",
        "event.peer in list('callers') and event.other not in list('callers')",
        "in_list('callers', event.peer) and not in_list('callers', event.nothing)",
        "in_area('campus') and not in_area('campus', event.cell)",
        "in_area('campus', 'a1' if state.power == 'on' else 'b1')",
        "event.cell|default('x') not in ['a1'] and event.peer in list('callers')",
    ],
)
def test_lists_and_areas_are_asked(source: str) -> None:
    assert Condition.parse(source).holds(PLACES)
    assert not Condition.parse(f"not ({source})").holds(PLACES)


@pytest.mark.parametrize(
    "source",
    [
        *("in_list('lost')", "event.peer in list('lost')", "in_area('moon', event.cell)"),
        *("in_area('campus', event.nothing)", "in_area('campus', [1, 2])"),
    ],
)
@pytest.mark.parametrize("scope", [PLACES, {"event": {"cell": "a1", "peer": "1"}}])
def test_what_nobody_knows_neither_holds_nor_does_its_opposite(
    source: str, scope: dict[str, Any]
) -> None:
    assert not Condition.parse(source).holds(scope)
    assert not Condition.parse(f"not {source}").holds(scope)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("list('a')", "column 1: list(…) is no value"),
        ("1 in list('a') in list('b')", "column 6: only a number can be in a list"),
        ("(1 == 1) in list('a')", "column 13: only a number can be in a list"),
        ("event.peer in in_list('users')", "column 15: nothing is in in_list(…), which is true"),
        ("in_list(event.name)", "column 1: the name must be written out, in quotes"),
        ("in_list('a', 'b', 'c')", "column 1: in_list takes other arguments"),
        ("in_area(name='a')", "column 1: in_area takes other arguments"),
        ("in_area('a', 1 == 1)", "column 1: in_area takes a value"),
        ("in_aria('a')", "column 1: functions cannot be called in a condition"),
        ("event.x == 1 and (state.a or subscriber.b)", "column 19: one part of the condition"),
        ("in_area('a') or usage.mb > 1", "column 1: one part of the condition asks about both"),
    ],
)
def test_a_slip_with_lists_and_areas_is_told(source: str, message: str) -> None:
    with pytest.raises(GrammarError) as error:
        Condition.parse(source)
    assert error.value.message.startswith(message)
    assert error.value.hint


def test_the_parts_of_a_condition_are_what_its_ands_join() -> None:
    test = Condition.parse(
        "in_list('a') and event.peer in list('b') and (in_area('c', event.cell) and"
        " (event.x or event.y)) and subscriber.plan == 'basic' and state.power == 'on'"
    )
    parts = test.parts()
    assert [part.hot for part in parts] == [True, True, True, True, False, True]
    assert [sorted(part.names()) for part in parts] == [
        *([], ["event.peer"], ["event.cell"], ["event.x", "event.y"]),
        *(["subscriber.plan"], ["state.power"]),
    ]
    assert test.lists() == {"a", "b"}
    assert test.areas() == {"c"}
    assert [part.areas() for part in parts[:3]] == [frozenset(), frozenset(), {"c"}]


@pytest.mark.parametrize("seed", range(16))
def test_a_condition_holds_if_and_only_if_its_parts_do(seed: int) -> None:
    test = Condition.parse("event.a and (event.b or event.c > 1) and not event.d")
    values = [bool(seed & 1), bool(seed & 2), "x" if seed & 4 else 2, bool(seed & 8)]
    scope = {"event": dict(zip("abcd", values, strict=True))}
    hot = reading(test.parts()[:1])(scope) is True and reading(test.parts()[1:])(scope) is True
    assert hot == (test.holds(scope) is True)
    assert reading([])(scope) is True


def test_in_area_alone_asks_where_they_are_now() -> None:
    assert Condition.parse("in_area('campus')").names() == {"state.cell"}
