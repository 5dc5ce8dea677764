"""A journey, compiled: its steps laid flat, each knowing the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar, NewType

from msgspec import Struct, field

from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import Condition
from orchestrator.core.feed import Feed
from orchestrator.core.grammar import Again, Pace, Schedule, Share, Window
from orchestrator.core.steps.base import Block, EventName, Step, StepName

SegmentName = NewType("SegmentName", str)
"""A segment of program/segments.yaml."""


class Unless(Struct, frozen=True):
    """What ends the wait of a trigger without anybody entering: the event `on`, for which `if`
    holds. `phone.off` alone is short for `{on: phone.off}`."""

    keyed: ClassVar[Any] = EventName
    """What may stand here in place of keys."""

    on: EventName
    condition: Condition | None = field(default=None, name="if")

    @classmethod
    def parse(cls, text: str) -> Unless:
        return cls(EventName(text))


class Entry(Struct, frozen=True):
    """Who enters: on an event (`on`), or everyone in a `segment` on a schedule (`every`); with
    `if`, only those for whom it holds.

    The rest makes it a trigger, which is judged where events arrive by the hundred thousand.
    `hours` is when the event must have happened, by the subscriber's clock; they enter `after` so
    long, `unless` one of these events happens meanwhile, and only if `still` holds at the end of
    that wait. `once_per` is the least time from one such entering to the next; `sample` is the
    share of subscribers, always the same ones, that it is for.
    """

    on: EventName | None = None
    condition: Condition | None = field(default=None, name="if")
    segment: SegmentName | None = None
    every: Schedule | None = None
    hours: Window | None = None
    after: timedelta | None = None
    unless: tuple[Unless, ...] = ()
    still: Condition | None = None
    once_per: timedelta | None = None
    sample: Share | None = None

    def is_trigger(self, feed: Feed) -> bool:
        """Whether the matcher judges it, and not the turn that an event brings about."""
        return self.on is not None and (self.on in feed.matching or bool(self.trigger_keys()))

    def trigger_keys(self) -> tuple[str, ...]:
        """Those of the keys that only triggers have which it has."""
        return tuple(key for key in TRIGGER_KEYS if getattr(self, key) not in (None, ()))


TRIGGER_KEYS = ("hours", "after", "unless", "still", "once_per", "sample")
"""The keys of an entry that make it a trigger."""


class Goal(Struct, frozen=True):
    """What the journey is for: the event `on`, for which `if` holds, `within` so long after
    entering."""

    on: EventName
    condition: Condition | None = field(default=None, name="if")
    within: timedelta | None = None


class LeaveRule(Struct, frozen=True):
    """Who leaves early: on an event (`on`), or as soon as a condition (`if`) holds before a
    step."""

    on: EventName | None = None
    condition: Condition | None = field(default=None, name="if")


class InFlight(Struct, frozen=True):
    """What becomes of people who are in an older version of the journey when this one is applied:
    `stay` (they remain on theirs), `follow` (they go on in this one, at the step with the same id),
    or `{move: {old-step: new-step}}` (likewise, and whoever stands at a step that was renamed or
    removed goes where it says; `leave` ends the journey for them). `move` is None for `stay`."""

    keyed: ClassVar[tuple[str, ...]] = ("stay", "follow")
    """Words that may stand here in place of keys."""

    move: Mapping[str, StepName] | None = None

    @classmethod
    def parse(cls, text: str) -> InFlight:
        if text == "stay":
            return cls(None)
        if text == "follow":
            return cls({})
        raise GrammarError(
            f"{text!r} does not say what becomes of people in flight",
            "write stay, follow, or {move: {old-step: new-step}}",
        )

    @property
    def word(self) -> str:
        """`stay`, `follow` or `move`."""
        return "stay" if self.move is None else "move" if self.move else "follow"


class Placed(Struct, frozen=True):
    """A step in its place: `next` follows it, `blocks` maps each of its branches to that
    branch's first step. A None is the journey's end."""

    id: str
    step: Step
    next: str | None
    blocks: Mapping[str, str | None]


class Journey(Struct, frozen=True, dict=True):
    """One version of one journey. `control` is the share, 0 to 1, that is held out; `avoid` are
    times of day at which nothing of it goes; `pace` is how fast its messages are handed to
    carriers: that of the newest version holds for all; `in_flight` says what becomes of people in
    older versions."""

    name: str
    version: str
    contact_class: str
    enter: tuple[Entry, ...]
    first: str | None
    steps: Mapping[str, Placed]
    summary: str = ""
    again: Again = Again()
    control: float = 0.0
    goal: Goal | None = None
    leave: tuple[LeaveRule, ...] = ()
    avoid: tuple[Window, ...] = ()
    pace: Pace | None = None
    in_flight: InFlight = InFlight()

    @cached_property
    def leave_if(self) -> tuple[Condition, ...]:
        """What makes people leave before a step, whatever happens."""
        rules = [rule.condition for rule in self.leave if rule.on is None]
        return tuple(condition for condition in rules if condition is not None)


def lay_out(block: Block) -> tuple[str | None, dict[str, Placed]]:
    """The first step's id and every step by id, in reading order, nested ones under
    `parent.branch.number`."""
    placed: dict[str, Placed] = {}

    def lay(block: Block, prefix: str, after: str | None) -> str | None:
        following = after
        for number, step in reversed([*enumerate(block, 1)]):
            name = step.id or (f"{prefix}.{number}" if prefix else str(number))
            starts = {
                label: lay(inner, f"{name}.{label}", following)
                for label, inner in reversed([*step.blocks()])
            }
            placed[name] = Placed(name, step, following, dict(reversed(starts.items())))
            following = name
        return following

    first = lay(block, "", None)
    return first, dict(reversed(placed.items()))


def every_step(block: Block) -> Iterator[Step]:
    """Each step of a block and of the blocks within, in reading order."""
    for step in block:
        yield step
        for _, inner in step.blocks():
            yield from every_step(inner)
