"""One condition language: Jinja expressions, as a Python predicate and as PostgreSQL SQL.

**Names** are `subscriber.x`, `usage.x` (short for subscriber.usage.x), `points.balance`,
`points.earned`, and `event.x` where something has happened. Values are JSON values. What is
missing, leads nowhere or is JSON null is one and the same: null.

In the `if`, `still` and `unless` of a trigger there is also `state.x`, what its events last said
of the subscriber (`sets` in program/events.yaml).

**Truths** are true, false or unknown. A condition *holds* only if it is true.

- `==`, `!=`, `in`, `not in` and `is …` always know. Values of different types are never the same
  (`1 == '1'`, `1 == true` are false), null is the same as null only. Numbers are the same by value
  (1 == 1.0), texts by code points, arrays and objects part by part. `in` looks for an item of an
  array, a part of a text or a key of an object; nothing is in anything else.
- `<`, `<=`, `>`, `>=` compare two numbers, or two texts by code points; with anything else,
  null included, the answer is unknown.
- `in_list('name')` is whether the subscriber's own telephone number is on a list,
  `event.peer in list('name')` and `in_list('name', event.peer)` whether that number is: with its
  country code, `+` or not. What is no number is on no list. If no such list was loaded, the answer
  is unknown.
- `in_area('name', event.cell)` is whether a cell, or a point `[longitude, latitude]`, lies in an
  area of program/areas.yaml; `in_area('name')` is short for `in_area('name', state.cell)`. Where
  the place is null or no place, the answer is unknown: neither inside nor outside.
- `not` of unknown is unknown. `and` is false if anything is false, else unknown if anything is
  unknown; `or` is true if anything is true, else unknown if anything is unknown. They give truths,
  never one of their operands: use `|default(…)` for that.
- A value where a truth is wanted is false if it is null, false, 0, '', [] or {}, else true. So
  `not subscriber.vip` holds for somebody without `vip`, but `not subscriber.age < 18` does not hold
  for somebody without `age`. A truth where a value is wanted is true, false, or (unknown) null.
- `a if t else b` is b unless t is true.

**Numbers** are decimals: an integer is itself, a float is the shortest decimal that reads back as
it, which is how JSON writes it. Comparing is exact. Arithmetic is exact too, each result rounded to
12 places, half away from zero; so 0.1 + 0.2 == 0.3. Operands are first rounded likewise. An operand
that is no number or not below 10^18, and a division by zero, give null. `//` rounds down and `%`
is what that leaves; on their right stands a number from 1 on, written out.

**Filters**: `default(x)` replaces null. `lower` and `upper` change the letters a-z and A-Z only.
`length` counts code points, items or keys. `round(places)` rounds half away from zero. Each gives
null for what it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Literal

from msgspec import Struct

from orchestrator.core.area import NOWHERE, Area
from orchestrator.core.expression import tree
from orchestrator.core.expression.grammar import KNOWN_LATER, parse
from orchestrator.core.expression.predicate import Reading, Truth, holding, predicate
from orchestrator.core.expression.scope import BUILT_IN, asks_of_use, subscriber_scope
from orchestrator.core.expression.sql import SqlCondition, sql_condition

__all__ = [
    "BUILT_IN",
    "About",
    "Condition",
    "Part",
    "SqlCondition",
    "asks_of_use",
    "reading",
    "subscriber_scope",
]


About = Literal["event", "person", "use", "all but use", "all"]
"""What a condition asks about: the event alone; what we know of the person; what was counted of
them by its names, and the event; more than that."""


class Part(Struct, frozen=True):
    """One of the parts of a condition that its outermost `and`s join: the condition holds if and
    only if each of them does."""

    node: tree.Node

    def names(self) -> frozenset[str]:
        """Every dotted name it uses; `state.cell` for `in_area('name')`."""
        return tree.asked(self.node).names

    def lists(self) -> frozenset[str]:
        """Every list of numbers it asks about."""
        return tree.asked(self.node).lists

    def areas(self) -> frozenset[str]:
        """Every area it asks about."""
        return tree.asked(self.node).areas

    @property
    def hot(self) -> bool:
        """Whether it can be judged where events arrive: it asks about nothing of the subscriber
        but their number and `state`."""
        return not any(name.partition(".")[0] in KNOWN_LATER for name in self.names())


def reading(parts: Iterable[Part]) -> Reading:
    """A function of a scope that is True if all parts hold (at once if there are none), else False
    or None. It never raises."""
    return predicate(tree.All(tuple(part.node for part in parts)))


class Condition(Struct, frozen=True, dict=True):
    """A checked condition. `source` is what the author wrote."""

    source: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition, or GrammarError with the column and the fix."""
        _tree(text)
        return cls(text)

    @cached_property
    def holds(self) -> Truth:
        """A function of a scope: True if it is true there, else False or None. It never raises."""
        return _holding(self.source)

    def names(self) -> frozenset[str]:
        """Every dotted name it uses, e.g. `subscriber.network`."""
        return _asked(self.source).names

    @cached_property
    def about(self) -> About:
        """What it asks about, so that nothing else need be looked at."""
        return _about(self.source)

    def lists(self) -> frozenset[str]:
        """Every list of numbers it asks about."""
        return _asked(self.source).lists

    def areas(self) -> frozenset[str]:
        """Every area it asks about."""
        return _asked(self.source).areas

    def parts(self) -> tuple[Part, ...]:
        """What its outermost `and`s join: one part if there are none."""
        return tuple(Part(node) for node in tree.parts(_tree(self.source)))

    def parsed(self) -> tree.Node:
        """What it says, for whoever reasons about it."""
        return _tree(self.source)

    def sql(self, first_parameter: int = 1, areas: Mapping[str, Area] = NOWHERE) -> SqlCondition:
        """The same condition over a row `s` of subscribers (key, locale, timezone, attributes,
        tags, addresses, balance_points, earned_points, created_at), with the lists that are in
        force and these areas: true, false or null. Its parameters are numbered from
        `first_parameter`. GrammarError if it looks at an event or at state."""
        return sql_condition(_tree(self.source), first_parameter, areas)


@lru_cache(maxsize=4096)
def _tree(source: str) -> tree.Node:
    return parse(source)


@lru_cache(maxsize=4096)
def _asked(source: str) -> tree.Asked:
    return tree.asked(_tree(source))


@lru_cache(maxsize=4096)
def _about(source: str) -> About:
    asked = _asked(source)
    names = asked.names
    if not (asked.lists or asked.areas):
        if all(it.startswith("event.") for it in names):
            return "event"
        if all(it.startswith(("usage.", "event.")) for it in names):
            return "use"
        if all(it.startswith("subscriber.") for it in names) and not asks_of_use(names):
            return "person"
    return "all" if asks_of_use(names) else "all but use"


@lru_cache(maxsize=4096)
def _holding(source: str) -> Truth:
    return holding(tree.parts(_tree(source)))
