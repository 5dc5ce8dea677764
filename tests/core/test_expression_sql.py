"""The two evaluators of the condition language agree, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

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
ORDER = ["<", "<=", ">", ">="]
TESTS = ["defined", "none", "not none", "number", "string", "boolean"]
KEYS = ["a", "b", "c", "n", "key", "0"]

ROOTS = [
    *("subscriber.a", "subscriber.b", "subscriber.c", "subscriber.n", "subscriber.a.b"),
    *("subscriber['0']", "subscriber.b[0]", "subscriber.a[-1].b", "usage.a", "usage.n"),
    *("usage.b[1]", "subscriber.usage", "subscriber.key", "subscriber.locale", "points.earned"),
    *("subscriber.timezone", "subscriber.tags", "subscriber.tags[0]", "subscriber.key.a"),
    *("points.balance", "subscriber.created_at", "subscriber.key[0]"),
]


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
        if self._random.random() < 0.8:
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
            addresses={},
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
        pick = self._random.choice
        a, b, c = (self.expression(depth - 1) for _ in range(3))
        literals = ", ".join(self.literal() for _ in range(self._random.randint(0, 4)))
        form: str = pick(
            [
                *(f"({a}) {pick(ORDER)} ({b})", f"({a}) {pick(ORDER)} ({b})"),
                *(f"({a}) {pick(['==', '!='])} ({b})", f"{pick(ROOTS)} == {self.literal()}"),
                *(f"({a}) {pick(['in', 'not in'])} ({b})", f"({a}) in [{literals}]"),
                *(f"({a}) in [{b}, {c}]", f"({a}) and ({b})", f"({a}) or ({b})", f"not ({a})"),
                *(
                    f"{pick(ROOTS)} <= {pick(ROOTS)} < {pick(ROOTS)}",
                    f"[{a}, {b}]",
                    f"[{literals}]",
                ),
                *(f"(({a}) if ({b}) else ({c}))", f"(({a}) if ({b}))", f"({a})|default({b})"),
                *(f"({a})|{pick(['lower', 'upper', 'length'])}", f"({a})|length"),
                *(f"({a}) is {pick(TESTS)}", f"({a}) {pick(['+', '-'])} ({b})", f"-({a})"),
                *(f"({a}) * ({b})", f"({a}) / ({b})", f"({a})|round({pick([0, 1, 3, 12])})"),
                *(f"({a}) {pick(['//', '%'])} {pick([1, 3, 2.5, 100])}", f"({a})|round"),
            ]
        )
        return form

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
        ]
        columns = []
        for condition in found:
            sql = condition.sql(len(parameters) + 1)
            parameters.extend(sql.parameters)
            columns.append(f"({sql.text}) IS TRUE")
        query = f"""
            SELECT ARRAY[{", ".join(columns)}] FROM (
              SELECT key, locale, timezone, attributes::jsonb AS attributes,
                     ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) AS tags,
                     balance_points, earned_points, created_at, number
              FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
                          $6::bigint[], $7::bigint[], $8::timestamptz[]) WITH ORDINALITY
                AS r(key, locale, timezone, attributes, tags, balance_points, earned_points,
                     created_at, number)
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
    return subscriber_scope(row.subscriber, balance_points=row.balance, earned_points=row.earned)


def _differences(
    table: Table, found: Sequence[Condition], people: Sequence[Row]
) -> list[tuple[str, Row, bool]]:
    """Where Python and PostgreSQL differ. With every condition its opposite is asked, so that
    false and unknown are told apart."""
    both = [*found, *(Condition.parse(f"not ({c.source})") for c in found)]
    answers = table.holds(both, people)
    return [
        (condition.source, row, answer)
        for row, line in zip(people, answers, strict=True)
        for condition, answer in zip(both, line, strict=True)
        if condition.holds(_scope(row)) is not answer
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
