"""Numbers and spans are such as can be meant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import get_args

from msgspec import Struct
from msgspec.structs import FieldInfo

from orchestrator.core.steps.split import Split
from orchestrator.core.steps.wait import Pause
from orchestrator.project.draft import Draft
from orchestrator.project.findings import Finding
from orchestrator.project.reader import keys
from orchestrator.project.rules.base import Rule

LONGEST = timedelta(days=3650)
LARGEST = 1_000_000_000
FROM_ZERO = ("stock", "from_points")
"""Whole numbers that may be 0."""


class Amount(Rule):
    """{key} cannot be {value}"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for struct in draft.written():
            for field in _fields(type(struct), int):
                value = getattr(struct, field.name)
                least = 0 if field.name in FROM_ZERO else 1
                if type(value) is int and not least <= value <= LARGEST:
                    hint = f"write a whole number from {least} to {LARGEST}"
                    mark = draft.places.mark(struct, field.encode_name)
                    yield self.at(mark, hint, key=f"`{field.encode_name}`", value=value)


class Span(Rule):
    """`{key}` cannot be so long, or so short"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for struct in draft.written():
            for field in _fields(type(struct), timedelta, Pause):
                value = getattr(struct, field.name)
                if isinstance(value, Pause):
                    value = value.span if value.time is None else None
                if isinstance(value, timedelta) and not timedelta() < value <= LONGEST:
                    hint = f"write more than 0s and at most {LONGEST.days}d"
                    mark = draft.places.mark(struct, field.encode_name)
                    yield self.at(mark, hint, key=field.encode_name)


class SplitWays(Rule):
    """a split needs at least two ways"""

    def check(self, draft: Draft) -> Iterator[Finding]:
        for struct in draft.written():
            if isinstance(struct, Split) and len(struct.split.ways) < 2:
                yield self.at(
                    draft.places.key_mark(struct, "split"), "add a way, or write its steps"
                )


@cache
def _fields(struct: type[Struct], *kinds: type) -> tuple[FieldInfo, ...]:
    """Those that may hold such a value."""
    return tuple(
        field
        for field in keys(struct).values()
        if field.type in kinds or any(kind in get_args(field.type) for kind in kinds)
    )
