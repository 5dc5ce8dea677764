"""The two evaluators of the condition language agree, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from orchestrator.core.area import Area, Outline
from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import Condition, subscriber_scope
from orchestrator.core.model import Subscriber

WORDS = [
    "a",
    "b",
    "ab",
    "A",
    "é",
    "e\u0301",
    "😀",
    "\uffff",
    "\ue000",
    "中",
    "ß",
    "İ",
    "",
    "0",
    "1",
    " ",
]
NUMBERS: list[int | float] = [
    *(0, 1, -1, 2, 3, 7, 10, 0.1, 0.2, 0.3, -0.0, 1.0, 2.5, -2.5, 1e-7, 1e16, 1e23, 10**23, 2**53),
    *(2**53 + 1, float(2**53), 10**17, 10**18, -(10**18), 10**18 - 1, 10**40, 1e100, 5e-324, 0.5),
    *(1.7976931348623157e308, 999999999999.9999, 123456789.123456789, 1e-12, 5e-13, 4.9e-13),
]
KEYS = ["a", "b", "c", "n", "key", "0"]

ROOTS = [
    *("subscriber.a", "subscriber.b", "subscriber.c", "subscriber.n", "subscriber.a.b"),
    *("subscriber['0']", "subscriber.b[0]", "subscriber.a[-1].b", "usage.a", "usage.n"),
    *("usage.b[1]", "subscriber.usage", "subscriber.key", "subscriber.locale", "points.earned"),
    *("subscriber.timezone", "subscriber.tags", "subscriber.tags[0]", "subscriber.key.a"),
    *("points.balance", "subscriber.created_at", "subscriber.key[0]"),
]


LISTS = {"callers": {1, 7, 10**14, 8613800138000}, "nobody": set[int]()}
AREAS = {
    "campus": Area(frozenset({"a", "7", "中", "460-00-1"})),
    "airport": Area(
        frozenset({"ab"}), Outline(((0.0, 0.0), (3.0, 0.0), (3.0, 2.5), (1.0, 1.0), (0.0, 2.5)))
    ),
    "line": Area(frozenset(), Outline(((0.0, 1.0), (2.0, 1.0), (3.0, 1.0)))),
}
PLACES = ["campus", "airport", "airport", "line", "atlantis"]
NUMBERED = ["+8613800138000", "8613800138000", "+7", "007", "1", "+", "13800138000x", "７"]
COORDINATES: list[int | float] = [
    *(0, 1, 2, 2.5, 3, 0.5, 1.5, 0.1, 1e-13, -1, 180, 181, 90, 91, 2.9999999999, 10**400),
]


PARTS = {
    "root": ROOTS,
    "order": ["<", "<=", ">", ">="],
    "same": ["==", "!="],
    "in": ["in", "not in"],
    "of": ["lower", "upper", "length"],
    "kind": ["defined", "none", "not none", "number", "string", "boolean"],
    "plus": ["+", "-"],
    "places": ["0", "1", "3", "12"],
    "into": ["//", "%"],
    "divisor": ["1", "3", "2.5", "100"],
    "list": [*LISTS, "old", "lost"],
    "area": PLACES,
}
FORMS = [
    *("(<it>) <order> (<it>)", "(<it>) <order> (<it>)"),
    *("(<it>) <same> (<it>)", "<root> == <literal>"),
    *("(<it>) <in> (<it>)", "(<it>) in [<literals>]"),
    *("(<it>) in [<it>, <it>]", "(<it>) and (<it>)", "(<it>) or (<it>)", "not (<it>)"),
    *("<root> <= <root> < <root>", "[<it>, <it>]", "[<literals>]"),
    *("((<it>) if (<it>) else (<it>))", "((<it>) if (<it>))", "(<it>)|default(<it>)"),
    *("(<it>)|<of>", "(<it>)|length"),
    *("(<it>) is <kind>", "(<it>) <plus> (<it>)", "-(<it>)"),
    *("(<it>) * (<it>)", "(<it>) / (<it>)", "(<it>)|round(<places>)"),
    *("(<it>) <in> list('callers')", "in_list('callers')"),
    *("in_list('<list>', <it>)", "in_list('lost')"),
    *("in_area('<area>', <it>)", "in_area('airport', [<it>, <it>])"),
    "in_area('<area>', <root>)",
    *("(<it>) <into> <divisor>", "(<it>)|round"),
]
"""What may be written, with holes for what is drawn: only what a form has is drawn."""


class Row(Struct, frozen=True):
    subscriber: Subscriber
    balance: int
    earned: int


class Author:
    """Writes expressions and makes subscribers up. The same seed gives the same ones: hypothesis
    chooses seeds, because its own trees of this size overrun its buffer and come out empty."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def text(self) -> str:
        draw = self._random.random()
        if draw < 0.15:
            return self._random.choice(NUMBERED)
        if draw < 0.85:
            return self._random.choice(WORDS)
        letters = [self._random.choice([0x7F, 0x7FF, 0xD7FF, 0x10FFFF]) for _ in range(3)]
        drawn = [chr(self._random.randint(1, most)) for most in letters]
        return "".join(c for c in drawn if not "\ud800" <= c <= "\udfff")

    def number(self) -> int | float:
        draw = self._random.random()
        if draw < 0.6:
            return self._random.choice(NUMBERS)
        if draw < 0.8:
            return self._random.randint(-(10 ** self._random.randint(1, 40)), 10**12)
        return (
            self._random.choice([1, -1])
            * self._random.random()
            * 10 ** self._random.randint(-20, 40)
        )

    def value(self, depth: int = 3) -> Any:
        draw = self._random.random()
        if draw < 0.1:
            return self._random.choice([None, True, False])
        if draw < 0.4 or not depth:
            return self.number()
        if draw < 0.65:
            return self.text()
        if draw < 0.72:
            return [self._random.choice(COORDINATES) for _ in range(2)]
        size = range(self._random.randint(0, 3))
        if draw < 0.85:
            return [self.value(depth - 1) for _ in size]
        return {self._random.choice([*KEYS, self.text()]): self.value(depth - 1) for _ in size}

    def row(self) -> Row:
        kept = [key for key in [*KEYS, "usage"] if self._random.random() < 0.8]
        days = timedelta(days=self._random.uniform(-2000, 2000))
        subscriber = Subscriber(
            id=1,
            key=self.text(),
            shard=0,
            locale=self.text(),
            timezone=self._random.choice([None, self.text()]),
            attributes={key: self.value() for key in kept},
            tags=frozenset(self.text() for _ in range(self._random.randint(0, 3))),
            addresses=self._random.choice([{}, {"telegram": "7"}, {"sms": self.text()}]),
            consents={},
            created_at=datetime(2026, 1, 1, tzinfo=UTC) + days,
        )
        points = [self._random.choice([0, 1, 20, 2**63 - 1, 10**18]) for _ in range(2)]
        return Row(subscriber, *points)

    def literal(self) -> str:
        value = self.value(0)
        if isinstance(value, str):
            return "'" + value.encode("unicode-escape").decode().replace("'", "\\'") + "'"
        if isinstance(value, bool | None):
            return "none" if value is None else str(value).lower()
        return repr(value if abs(value) < 1e299 else 1)

    def expression(self, depth: int = 4) -> str:
        draw = self._random.random()
        if not depth or (draw < 0.25 and depth < 4):
            return self._random.choice(ROOTS)
        if draw < 0.35 and depth < 4:
            return self.literal()
        form = self._random.choice(FORMS)
        return re.sub(r"<(\w+)>", lambda hole: self._part(hole[1], depth), form)

    def _part(self, name: str, depth: int) -> str:
        if name == "it":
            return self.expression(depth - 1)
        if name == "literal":
            return self.literal()
        if name == "literals":
            return ", ".join(self.literal() for _ in range(self._random.randint(0, 4)))
        return self._random.choice(PARTS[name])

    def condition(self) -> Condition:
        while True:
            try:
                return Condition.parse(self.expression())
            except GrammarError:
                continue  # e.g. 'a' * 2


class Table:
    """Answers of PostgreSQL for many conditions over many rows, in one query."""

    def __init__(self, url: str) -> None:
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url, statement_cache_size=0))
        self._runner.run(self._load())

    async def _load(self) -> None:
        """The lists are in force, and one that has expired."""
        for version, (name, numbers) in enumerate([*LISTS.items(), ("old", {7})], 1):
            await self._connection.execute(
                "INSERT INTO lists (name, version, numbers, source, loaded_at, expired)"
                " VALUES ($1, $2, $3, 'test', now(), $4)",
                *(name, version, len(numbers), name == "old"),
            )
            rows = [(version, number) for number in numbers]
            await self._connection.copy_records_to_table("listed", records=rows)

    def close(self) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def holds(self, found: Sequence[Condition], people: Sequence[Row]) -> list[list[bool]]:
        parameters: list[Any] = [
            [r.subscriber.key for r in people],
            [r.subscriber.locale for r in people],
            [r.subscriber.timezone for r in people],
            [json.dumps(r.subscriber.attributes) for r in people],
            [json.dumps(list(r.subscriber.tags)) for r in people],
            [r.balance for r in people],
            [r.earned for r in people],
            [r.subscriber.created_at for r in people],
            [json.dumps(r.subscriber.addresses) for r in people],
        ]
        columns = []
        for condition in found:
            sql = condition.sql(len(parameters) + 1, AREAS)
            parameters.extend(sql.parameters)
            columns.append(f"({sql.text}) IS TRUE")
        query = f"""
            SELECT ARRAY[{", ".join(columns)}] FROM (
              SELECT key, locale, timezone, attributes::jsonb AS attributes,
                     ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) AS tags,
                     balance_points, earned_points, created_at, addresses::jsonb AS addresses,
                     number
              FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                          $6::bigint[], $7::bigint[], $8::timestamptz[], $9::text[])
                WITH ORDINALITY
                AS r(key, locale, timezone, attributes, tags, balance_points, earned_points,
                     created_at, addresses, number)
              OFFSET 0) AS s
            ORDER BY number"""
        records = self._runner.run(self._connection.fetch(query, *parameters))
        return [record[0] for record in records]


@pytest.fixture
def table(database_url: str) -> Iterator[Table]:
    opened = Table(database_url)
    yield opened
    opened.close()


def _scope(row: Row) -> dict[str, Any]:
    told = subscriber_scope(row.subscriber, balance_points=row.balance, earned_points=row.earned)
    return {**told, "lists": LISTS, "areas": AREAS}


def _differences(
    table: Table, found: Sequence[Condition], people: Sequence[Row]
) -> list[tuple[str, Row, bool]]:
    """Where Python and PostgreSQL differ. With every condition its opposite is asked, so that
    false and unknown are told apart."""
    both = [*found, *(Condition.parse(f"not ({c.source})") for c in found)]
    answers = table.holds(both, people)
    return [
        (condition.source, row, answer)
        for row, scope, line in zip(people, map(_scope, people), answers, strict=True)
        for condition, answer in zip(both, line, strict=True)
        if (condition.holds(scope) is True) is not answer
    ]


def test_python_and_postgresql_agree_on_whatever_authors_may_write(table: Table) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, 2**64))
    def agree(seed: int) -> None:
        author = Author(seed)
        found = [author.condition() for _ in range(50)]
        people = [author.row() for _ in range(20)]
        assert _differences(table, found, people) == []

    agree()


def _with(**values: Any) -> Row:
    """Somebody with these attributes; `sms` is their number."""
    number = values.pop("sms", None)
    addresses = {} if number is None else {"sms": number}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    it = Subscriber(1, "k", 0, "en", None, values, frozenset(), addresses, {}, at)
    return Row(it, 0, 0)


def test_every_place_is_inside_for_both_or_for_neither(table: Table) -> None:
    points = [[lon, lat] for lon in COORDINATES for lat in COORDINATES]
    others = [*NUMBERED, *NUMBERS, "a", "ab", "中", True, None, {}, [], [1], [1, 2, 3], [1, "2"]]
    people = [_with(a=place) for place in (*points, *others)]
    found = [Condition.parse(f"in_area('{name}', subscriber.a)") for name in dict.fromkeys(PLACES)]
    assert _differences(table, found, people) == []
    inside = [row for row in people if found[1].holds(_scope(row))]
    assert len(inside) > 10


def test_every_number_is_on_a_list_for_both_or_for_neither(table: Table) -> None:
    values = [*NUMBERED, *NUMBERS, 7.0, 8613800138000, True, None, [7], {}]
    people = [_with(a=value, sms=value) if isinstance(value, str) else _with(a=value)
              for value in values]  # fmt: skip
    sources = [f"subscriber.a in list('{name}')" for name in (*LISTS, "old", "lost")]
    found = [Condition.parse(source) for source in (*sources, "in_list('callers')")]
    assert _differences(table, found, people) == []
    listed = {str(row.subscriber.attributes["a"]) for row in people if found[0].holds(_scope(row))}
    assert listed == {"+8613800138000", "8613800138000", "+7", "7", "7.0", "1", "1.0"}


def test_what_is_constant_is_worked_out_no_earlier_than_its_test(table: Table) -> None:
    found = [
        Condition.parse(source)
        for source in (
            "(false|default(1)) > [subscriber.a]",
            "(false|default(1)) in list('callers')",
            "in_area('airport', false|default([1, 2]))",
        )
    ]
    assert _differences(table, found, [_with(a=1)]) == []
