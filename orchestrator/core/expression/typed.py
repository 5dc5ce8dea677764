"""Pieces of SQL with their PostgreSQL types, and the parameters that they name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

_SHORT = 120


class Sql(Struct, frozen=True):
    """An expression and its PostgreSQL type. JSON null is always SQL NULL here."""

    text: str
    type: Literal["jsonb", "text", "numeric", "boolean"]


class Sheet:
    """What one condition is written on: its parameters are numbered, what is long is bound."""

    def __init__(self) -> None:
        self.parameters: dict[str, int] = {}
        self._bound = 0

    def parameter(self, value: str) -> str:
        """Its mark; the same for the same text."""
        number = self.parameters.setdefault(value, len(self.parameters) + 1)
        return f"${number}::text"

    def json(self, value: Sql) -> str:
        """jsonb; null is NULL."""
        return value.text if value.type == "jsonb" else f"to_jsonb({value.text})"

    def number(self, value: Sql) -> str:
        """numeric, NULL for what is no number."""
        if value.type == "numeric":
            return value.text
        return self._typed(value, "number", lambda v: f"({v})::numeric")

    def string(self, value: Sql) -> str:
        """text, NULL for what is no string."""
        if value.type == "text":
            return value.text
        return self._typed(value, "string", lambda v: f"({v} #>> '{{}}')")

    def _typed(self, value: Sql, kind: str, read: Callable[[str], str]) -> str:
        if value.type != "jsonb":
            return "NULL::numeric" if kind == "number" else "NULL::text"
        return self.bind(
            value.text, lambda v: f"CASE WHEN jsonb_typeof({v}) = '{kind}' THEN {read(v)} END"
        )

    def bind(self, text: str, build: Callable[[str], str], short: int = _SHORT) -> str:
        """`build` may name its argument often: what is long is computed once, so that neither the
        text nor the work doubles at every level."""
        if len(text) <= short:
            return f"({build(text)})"
        self._bound += 1
        name = f"v{self._bound}"
        return f"(SELECT {build(name)} FROM (SELECT {text} AS {name} OFFSET 0) AS q{self._bound})"


def cast(v: str) -> str:
    """numeric, also where PostgreSQL works out what is constant before it looks at the test
    around it."""
    return f"(CASE jsonb_typeof({v}) WHEN 'number' THEN ({v})::numeric END)"
