"""What a journey costs for one person, on the cheapest and on the dearest way through it.

Each message is priced on the first channel of its `via`, in the project's locale, for somebody
made up: what a fallback or a long name adds is not in it, nor what leaving early or a message that
is withheld saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from orchestrator.core.cost import Prices
from orchestrator.core.errors import RenderError
from orchestrator.core.journey import Journey, Placed
from orchestrator.core.links import rendered
from orchestrator.core.model import word_of
from orchestrator.core.project import Project
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.base import Step
from orchestrator.core.steps.hand_over import HandOver
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.send import Send
from orchestrator.core.steps.when import When

_WORD, _NUMBER = "Name Name", 100
"""What somebody made up has wherever a message asks."""


def message_of(step: Step) -> str:
    """The message that a step sends, or ''."""
    match step:
        case Send():
            return step.send
        case Ask():
            return step.ask
        case HandOver():
            return step.hand_over
    return ""


def ahead(journey: Journey, step: str, waiting: bool) -> set[str]:
    """The steps that may still be started by somebody who stands at `step`."""
    found: set[str] = set()
    open_ends = [*_following(journey, step)] if waiting else [step]
    while open_ends:
        one = open_ends.pop()
        if one not in found and one in journey.steps:
            found.add(one)
            open_ends += _following(journey, one)
    return found


class Cost(Struct, frozen=True):
    """What one person costs on the cheapest and on the dearest way, as people write it."""

    least: str
    most: str


class Tariff(Struct, frozen=True):
    """What messages cost, and the `languages` in whose national tables SMS may be written."""

    prices: Prices
    languages: Sequence[str] = ()


def shown(journey: Journey, project: Project, tariff: Tariff) -> Cost | None:
    """What one person costs; None if nothing has a price, or a message cannot be said to somebody
    made up."""
    if tariff.prices == Prices(currency=tariff.prices.currency):
        return None
    found = extremes(journey, project, tariff)
    return Cost(*(f"{amount.normalize():f}" for amount in found)) if found else None


def extremes(journey: Journey, project: Project, tariff: Tariff) -> tuple[Decimal, Decimal] | None:
    """What the cheapest way through costs, and the dearest; None if a message on any way cannot be
    priced."""
    least: dict[str | None, Decimal] = {None: Decimal(0)}
    most = {**least}
    for step, placed in reversed([*journey.steps.items()]):
        own = _price(placed.step, project, tariff)
        if own is None:
            return None
        ways = _ways_on(placed)
        least[step] = own + min(least[it] for it in ways)
        most[step] = own + max(most[it] for it in ways)
    return least[journey.first], most[journey.first]


def _ways_on(placed: Placed) -> list[str | None]:
    """What may come next: None is the journey's end. One of its branches is taken, unless there are
    only conditions of which none may hold."""
    step = placed.step
    if isinstance(step, Leave):
        return [None]
    passes = isinstance(step, When) and all(case.if_ is not None for case in step.when)
    return [*placed.blocks.values(), *([placed.next] if passes or not placed.blocks else [])]


def _following(journey: Journey, step: str) -> list[str]:
    placed = journey.steps.get(step)
    if placed is None or isinstance(placed.step, Leave):
        return []
    return [it for it in (*placed.blocks.values(), placed.next) if it is not None]


def _price(step: Step, project: Project, tariff: Tariff) -> Decimal | None:
    name = message_of(step)
    if not name:
        return Decimal(0)
    wordings = project.messages.get(name)
    if wordings is None:
        return None
    has = wordings.channels(project.locale)
    via = (step.to,) if isinstance(step, HandOver) else getattr(step, "via", ())
    word = next((it for it in via or has if word_of(it) in has), None)
    if word is None:
        return None
    for value in (_WORD, _NUMBER):
        try:
            content = rendered(wordings, word, project.locale, _made_up(wordings.names(), value))
        except RenderError:
            continue
        return tariff.prices.of(word, content, tariff.languages)
    return None


def _made_up(names: frozenset[str], value: object) -> dict[str, Any]:
    """Variables in which each of these dotted names has `value`."""
    found: dict[str, Any] = {}
    for name in sorted(names):
        *groups, last = name.split(".")
        inner = found
        for group in groups:
            deeper = inner.setdefault(group, {})
            inner = deeper if isinstance(deeper, dict) else {}
        inner.setdefault(last, value)
    return found
