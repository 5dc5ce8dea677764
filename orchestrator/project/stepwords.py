"""What a step does, in few words, for whoever looks at a journey drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from orchestrator.core.expression import Condition
from orchestrator.core.grammar import WEEKDAYS, span
from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.award import Award
from orchestrator.core.steps.base import Step
from orchestrator.core.steps.hand_over import HandOver
from orchestrator.core.steps.send import Send
from orchestrator.core.steps.set import Set
from orchestrator.core.steps.split import Split
from orchestrator.core.steps.wait import Pause, Wait
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.core.steps.when import When
from orchestrator.project.reader import keys

Said = tuple[str, tuple[str, ...]]

ARROW = " → "
OTHERWISE = "otherwise"


def at(step: Step) -> str:
    """`day 2 10:00`, or nothing."""
    return f"day {step.at.day} {step.at.time:%H:%M}" if step.at else ""


def message(step: Step) -> str:
    """The message that the step sends, or nothing."""
    return next((getattr(step, it) for it in ("send", "ask", "hand_over") if hasattr(step, it)), "")


def said(step: Step) -> Said:
    """What the step does, and how, line by line. A step type that is not known here is told by its
    own keys."""
    known = _SAID.get(type(step))
    return known(step) if known else _by_keys(step)


def branches(step: Step) -> Iterator[tuple[str, str]]:
    """What leads into each branch, by its label in `Step.blocks`; beside these, under labels that
    no branch has, what leads on past all of them."""
    match step:
        case Ask():
            for number, answer in enumerate(step.reply, 1):
                yield f"reply-{number}", _answer(answer.is_, answer.if_, f"up to {step.tries}×")
            yield "silence", f"no answer in {span(step.within)}"
        case HandOver():
            for number, result in enumerate(step.outcome, 1):
                yield f"outcome-{number}", _answer(result.is_, None, "")
            yield "silence", f"no outcome in {span(step.within)}"
            if step.outcome and all(it.else_ is None for it in step.outcome):
                yield "", OTHERWISE
        case When():
            for number, case in enumerate(step.when, 1):
                yield f"case-{number}", case.if_.source if case.if_ else OTHERWISE
            if all(it.else_ is None for it in step.when):
                yield "", OTHERWISE
        case Split():
            whole = sum(way.weight for way in step.split.ways)
            for way in step.split.ways:
                yield way.name, f"{way.name} · {_share(way.weight, whole)}"
        case WaitFor():
            yield "then", "it happens"
            yield "else", f"not within {span(step.within)}"


def _answer(words: Iterable[str], condition: Condition | None, tries: str) -> str:
    if condition is not None:
        return condition.source
    if words := [*words]:
        return " / ".join(word.replace("_", " ") for word in words)
    return f"anything else{f', {tries}' if tries else ''}"


def _share(weight: int, whole: int) -> str:
    return f"{100 * weight / whole:.0f} %" if whole else "0 %"


def _send(step: Send) -> Said:
    return f"send {step.send}", _via(step.via)


def _ask(step: Ask) -> Said:
    return f"ask {step.ask}", (*_via(step.via), f"waits {span(step.within)} for the answer")


def _via(words: Iterable[str]) -> tuple[str, ...]:
    return (f"by {ARROW.join(words)}",) if words else ()


def _hand_over(step: HandOver) -> Said:
    return f"hand over to {step.to}", (step.hand_over, f"within {span(step.within)}")


def _wait(step: Wait) -> Said:
    return f"wait {pause(step.wait)}", ()


def pause(it: Pause) -> str:
    """`3d`, `until monday 10:00`."""
    if it.time is None:
        return span(it.span)
    day = f" {WEEKDAYS[it.weekday]}" if it.weekday is not None else ""
    return f"until{day} {it.time:%H:%M}"


def _wait_for(step: WaitFor) -> Said:
    condition = (f"if {step.if_.source}",) if step.if_ else ()
    return f"wait for {step.wait_for}", (*condition, f"within {span(step.within)}")


def _award(step: Award) -> Said:
    expires = f", expire after {span(step.expires)}" if step.expires else ""
    return f"award {step.award} points", (f"for {step.for_}{expires}",)


def _set(step: Set) -> Said:
    changes = step.set_
    tags = " ".join(f"{'+' if it.add else '−'}{it.tag}" for it in changes.tags)
    lines = tuple(f"{name} = {_value(value)}" for name, value in changes.attributes.items())
    return (f"set {tags}" if tags else "set", lines)


def _value(value: Any) -> str:
    return "nothing" if value is None else str(value)


def _by_keys(step: Step) -> Said:
    """`leave: is a regular now`, and its other plain keys."""
    own = [(key, getattr(step, it.name)) for key, it in keys(type(step)).items()]
    plain = [(key, it) for key, it in own if isinstance(it, str | int | float) and it]
    word = step.word()
    first = next((f" {it}" for key, it in plain if key == word), "")
    rest = tuple(f"{key} {it}" for key, it in plain if key not in (word, "id"))
    return f"{word.replace('_', ' ')}{first}", rest


_SAID: Mapping[type[Struct], Callable[[Any], Said]] = {
    Send: _send,
    Ask: _ask,
    HandOver: _hand_over,
    Wait: _wait,
    WaitFor: _wait_for,
    Award: _award,
    Set: _set,
}
