"""When the steps of a journey come, as far as that is known before anybody enters it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from orchestrator.core.steps.ask import Ask
from orchestrator.core.steps.base import Block, Step
from orchestrator.core.steps.hand_over import HandOver
from orchestrator.core.steps.leave import Leave
from orchestrator.core.steps.send import Send
from orchestrator.core.steps.split import Split
from orchestrator.core.steps.wait import Wait
from orchestrator.core.steps.wait_for import WaitFor
from orchestrator.core.steps.when import When

DAY_S = 86400
A_MOMENT = 1 / DAY_S
"""The least that a wait for somebody takes, in days."""


_MESSAGES = (Send, Ask, HandOver)
_BRANCHING = (Ask, HandOver, WaitFor, When, Split)


class Moment(Struct, frozen=True):
    """A step, in days since the midnight before its journey was entered: it comes from `earliest`
    to `latest`, if nothing puts it off. `soonest` are the days that have passed at least since
    entering. `sure`: whoever does not leave comes by it; `answer`: it answers a reply at once."""

    step: Step
    earliest: float
    latest: float
    soonest: float = 0.0
    sure: bool = True
    answer: bool = False


ENTERING = Moment(Step(), 0.0, 1.0)


def moments(block: Block) -> Iterator[Moment]:
    """Every step of a journey, in every branch, in reading order."""
    found, _ = _walked(block, ENTERING, most=False)
    return iter(found)


def most_messages(block: Block) -> list[Moment]:
    """The messages on the way through a journey on which there are the most of them."""
    found, _ = _walked(block, ENTERING, most=True)
    return [moment for moment in found if is_message(moment.step)]


def is_message(step: Step) -> bool:
    return isinstance(step, _MESSAGES)


def _walked(block: Block, came: Moment, most: bool) -> tuple[list[Moment], Moment | None]:
    """The steps of a block that is come to so, and how it is left; None if nobody goes on."""
    found: list[Moment] = []
    now: Moment | None = came
    for step in block:
        if now is None:
            break
        now = _held_back(step, now)
        found.append(now)
        inner, now = _through(step, now, most)
        found += inner
    return found, now


def _held_back(step: Step, now: Moment) -> Moment:
    earliest, latest, soonest = now.earliest, now.latest, now.soonest
    if step.at is not None:
        due = step.at.day - 1 + clock(step.at.time.hour, step.at.time.minute)
        earliest, latest = max(earliest, due), max(latest, due)
        soonest = max(soonest, due - 1)
    answer = now.answer and step.at is None
    return Moment(step, earliest, latest, soonest, now.sure, answer)


def clock(hour: int, minute: int) -> float:
    """A time of day, in days."""
    return (hour * 60 + minute) / 1440


def _through(step: Step, now: Moment, most: bool) -> tuple[list[Moment], Moment | None]:
    if isinstance(step, Leave):
        return [], None
    if isinstance(step, Wait):
        return [], _waited(step, now)
    walked = [_walked(inner, came, most) for inner, came in _branches(step, now)]
    if not walked:
        return [], now
    left = [after for _, after in walked if after is not None]
    if most:
        steps = max((found for found, _ in walked), key=_messages)
    else:
        steps = [moment for found, _ in walked for moment in found]
    if not left:
        return steps, None
    return steps, Moment(
        step,
        min(it.earliest for it in left),
        max(it.latest for it in left),
        min(it.soonest for it in left),
        now.sure and len(left) == len(walked),
    )


def _messages(found: Iterable[Moment]) -> int:
    return sum(is_message(moment.step) for moment in found)


def _waited(step: Wait, now: Moment) -> Moment:
    pause = step.wait
    if pause.time is None:
        days = pause.span.total_seconds() / DAY_S
        return _later(now, days, days)
    return _later(now, A_MOMENT, 1 if pause.weekday is None else 7)


def _later(now: Moment, least: float, most: float, *, sure: bool = True) -> Moment:
    return Moment(
        now.step,
        now.earliest + least,
        now.latest + most,
        now.soonest + least,
        now.sure and sure,
    )


def _branches(step: Step, now: Moment) -> Iterator[tuple[Block, Moment]]:
    """Each branch, its empty ones as well, and how it is come to."""
    if not isinstance(step, _BRANCHING):
        return
    maybe = Moment(now.step, now.earliest, now.latest, now.soonest, False, now.answer)
    if isinstance(step, Ask | HandOver):
        within = step.within.total_seconds() / DAY_S
        spoken = _later(maybe, A_MOMENT, within)
        for label, inner in step.blocks():
            if label == "silence":
                # A question that may not go is not waited for.
                yield inner, Moment(step, now.earliest, now.latest + within, now.soonest, False)
            else:
                yield (
                    inner,
                    Moment(
                        step,
                        spoken.earliest,
                        spoken.latest,
                        spoken.soonest,
                        False,
                        isinstance(step, Ask),
                    ),
                )
    elif isinstance(step, WaitFor):
        within = step.within.total_seconds() / DAY_S
        yield step.then, _later(maybe, A_MOMENT, within)
        yield step.else_, _later(maybe, within, within)
    elif isinstance(step, When | Split):
        for _, inner in step.blocks():
            yield inner, maybe
        if isinstance(step, When) and not any(case.else_ is not None for case in step.when):
            yield (), maybe
