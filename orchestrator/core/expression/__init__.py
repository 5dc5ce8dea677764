"""One condition language: Jinja expressions, as a Python predicate and as PostgreSQL SQL.

**Names** are `subscriber.x`, `usage.x` (short for subscriber.usage.x), `points.balance`,
`points.earned`, and `event.x` where something has happened. Values are JSON values. What is
missing, leads nowhere or is JSON null is one and the same: null.

**Truths** are true, false or unknown. A condition *holds* only if it is true.

- `==`, `!=`, `in`, `not in` and `is …` always know. Values of different types are never the same
  (`1 == '1'`, `1 == true` are false), null is the same as null only. Numbers are the same by value
  (1 == 1.0), texts by code points, arrays and objects part by part. `in` looks for an item of an
  array, a part of a text or a key of an object; nothing is in anything else.
- `<`, `<=`, `>`, `>=` compare two numbers, or two texts by code points; with anything else,
  null included, the answer is unknown.
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

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import tree
from orchestrator.core.expression.grammar import parse
from orchestrator.core.expression.predicate import Reading, predicate
from orchestrator.core.expression.scope import BUILT_IN, subscriber_scope
from orchestrator.core.expression.sql import SqlCondition, sql_condition

__all__ = ["BUILT_IN", "Condition", "SqlCondition", "subscriber_scope"]


class Condition(Struct, frozen=True):
    """A checked condition. `source` is what the author wrote."""

    source: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """The condition, or GrammarError with the column and the fix."""
        _tree(text)
        return cls(text)

    def holds(self, scope: Mapping[str, Any]) -> bool:
        """Whether it is true (neither false nor unknown) in this scope. Never raises."""
        return _predicate(self.source)(scope) is True

    def names(self) -> frozenset[str]:
        """Every dotted name it uses, e.g. `subscriber.network`."""
        return tree.names(_tree(self.source))

    def parsed(self) -> tree.Node:
        """What it says, for whoever reasons about it."""
        return _tree(self.source)

    def sql(self, first_parameter: int = 1) -> SqlCondition:
        """The same condition over a row `s` of subscribers (key, locale, timezone, attributes,
        tags, balance_points, earned_points, created_at): true, false or null. Its parameters are
        numbered from `first_parameter`. GrammarError if it looks at an event."""
        return sql_condition(_tree(self.source), first_parameter)


@lru_cache(maxsize=4096)
def _tree(source: str) -> tree.Node:
    return parse(source)


@lru_cache(maxsize=4096)
def _predicate(source: str) -> Reading:
    return predicate(_tree(source))
