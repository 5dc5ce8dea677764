"""`when`: the first branch whose condition holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct, field

from orchestrator.core.expression import Condition
from orchestrator.core.steps.base import Block, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.here import Here


class Case(Struct, frozen=True, kw_only=True):
    """One branch: `if` with `do`, or, last, `else`."""

    if_: Condition | None = field(default=None, name="if")
    do: Block = ()
    else_: Block | None = field(default=None, name="else")


class When(Step, frozen=True, kw_only=True):
    """Do the first branch whose `if` holds, else `else`, else nothing."""

    when: tuple[Case, ...]

    def blocks(self) -> Iterable[tuple[str, Block]]:
        for number, case in enumerate(self.when, 1):
            yield f"case-{number}", case.do if case.else_ is None else case.else_

    def start(self, here: Here) -> Outcome:
        for number, case in enumerate(self.when, 1):
            if case.if_ is None or here.holds(case.if_):
                return here.into(f"case-{number}")
        return here.next()
