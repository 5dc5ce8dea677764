"""People in flight and a new version of their journey: who goes where, so that nobody skips a step
or meets one twice.

A step's counterpart in the new version is the one with the same id, unless the author maps it to
another (`in_flight: {move: {old: new}}`). A step without an id of its own has one only if its
block begins as before, up to it. Steps that are mapped to one that is new were *renamed*, and what
stands within them with them; else the mapping only leads those who stand there elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import fields, replace

from orchestrator.core.due import due_at
from orchestrator.core.journey import InFlight, Journey, Placed
from orchestrator.core.model import Enrollment
from orchestrator.core.steps.base import Block, Step, StepName
from orchestrator.core.steps.hand_over import HandOver
from orchestrator.core.steps.leave import Leave

LEAVE = "leave"
"""What a step may be mapped to besides a step: who stands there leaves the journey."""

Why = Literal["gone", "shifted", "another kind", "again", "skipped", "handed over"]
"""Why nobody can move from a step: it has no counterpart; it has no id of its own, and its block is
another now; it is of another kind, and was started; what they have done would come again; what is
to come would be passed over; a person of ours has them, and will speak of the step by its name."""

Place = tuple[str, bool]
"""A step, and whether it has started and waits."""

History = Mapping[str, frozenset[str]]
"""By step of a version, what somebody there may have done in versions they came from, by the names
of this version."""

NO_HISTORY: History = {}
_NONE: frozenset[str] = frozenset()


class Route(Struct, frozen=True):
    """People who stand at one place go to step `to`, or leave (None). With `keep` what they wait
    for, or when they are due, stays as it is; else the step is due anew. `again` and `skipped` are
    steps that they meet twice or never, because the author maps this one so."""

    to: str | None
    keep: bool
    again: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


class Stranded(Struct, frozen=True):
    """People who stand at one place cannot move; `steps` are those that would come again, or be
    skipped."""

    why: Why
    steps: tuple[str, ...] = ()


def routes(
    old: Journey, new: Journey, rule: InFlight, history: History = NO_HISTORY
) -> dict[Place, Route | Stranded]:
    """Where people go from each place of `old`. Nobody goes anywhere if the rule is `stay`."""
    if rule.move is None:
        return {}
    moving = _Moving(old, new, rule.move, history)
    return {
        (step, waiting): moving.route(placed, waiting)
        for step, placed in old.steps.items()
        for waiting in (False, True)
    }


def carried(old: Journey, new: Journey, rule: InFlight, history: History) -> History:
    """What somebody who came to `new` this way may have done before, by step of `new`."""
    if rule.move is None:
        return NO_HISTORY
    moving = _Moving(old, new, rule.move, history)
    found: dict[str, frozenset[str]] = {}
    for (step, waiting), route in routes(old, new, rule, history).items():
        if isinstance(route, Route) and route.to is not None:
            done = moving.done(old.steps[step], waiting)
            found[route.to] = found.get(route.to, _NONE) | done - {route.to}
            for reached in moving.new_reach[route.to]:
                found[reached] = found.get(reached, _NONE) | done
    return found


def joined(first: History, second: History) -> History:
    """Both histories."""
    return {step: first.get(step, _NONE) | second.get(step, _NONE) for step in {**first, **second}}


def reverse(old: Journey, rule: InFlight) -> InFlight:
    """The rule by which those whom `rule` moved from `old` can go back: renamed steps get their old
    names. Where several became one, the way back is not known, and none is given."""
    if rule.move is None:
        return rule
    back: dict[str, StepName] = {}
    targets = [*rule.move.values()]
    for before, after in rule.move.items():
        if after != LEAVE and after not in old.steps and targets.count(after) == 1:
            back[after] = StepName(before)
    return InFlight(back)


def moved(
    enrollment: Enrollment,
    old: Journey,
    new: Journey,
    rule: InFlight,
    route: Route,
    timezone: str | None,
    now: datetime,
) -> Enrollment:
    """The enrollment in `new`, where `route` leads. Who was held out stays so, and is measured for
    as long as `new` says."""
    if enrollment.status == "control":
        within = new.goal.within if new.goal else None
        until = enrollment.entered_at + within if within else None
        return replace(enrollment, version=new.version, due_at=until)
    if route.to is None:
        return replace(
            enrollment,
            version=new.version,
            status="left",
            step=None,
            due_at=None,
            waiting=None,
            ended_at=now,
            reason="in_flight",
        )
    ran = enrollment.ran_step
    there = replace(
        enrollment,
        version=new.version,
        step=route.to,
        ran_step=_renamed(old, rule.move or {}).get(ran, ran) if ran else ran,
    )
    if route.keep:
        return there
    there = replace(there, waiting=None)
    due = due_at(new, there, new.steps[route.to], timezone, now)
    return replace(there, due_at=max(due, now))


STAYS_HELD_OUT = Route(None, True)
"""The route of who is held out: they stand at no step."""


class _Moving:
    """One version on its way to another."""

    def __init__(
        self, old: Journey, new: Journey, move: Mapping[str, str], history: History
    ) -> None:
        self._old, self._new, self._move, self._history = old, new, move, history
        self._old_reach, self.new_reach = _reach(old), _reach(new)
        self._rename = _renamed(old, move)
        self._same_rules = (old.contact_class, old.avoid) == (new.contact_class, new.avoid)

    def route(self, placed: Placed, waiting: bool) -> Route | Stranded:
        target = self._move.get(placed.id)
        if target == LEAVE:
            return Route(None, False)
        named = target is not None
        to = target or self._called(placed.id)
        there = self._new.steps.get(to)
        if there is None:
            return Stranded("gone")
        if not named and not _begins_alike(self._old, placed, self._new, to):
            return Stranded("shifted")
        keep = self._keeps(placed, there, waiting)
        if waiting and not keep and not named:
            return Stranded("another kind")
        if waiting and keep and isinstance(placed.step, HandOver) and to != placed.id:
            return Stranded("handed over")
        ahead = self.new_reach[to]
        meets = ahead if waiting and keep else ahead | {to}
        begun = {to} if waiting else _NONE  # begun anew, because the author says so
        again = tuple(sorted((self.done(placed, waiting) & meets) - begun))
        coming = (self._names(step) for step in self._old_reach[placed.id])
        skipped = tuple(
            sorted({min(names) for names in coming if names and not names & (ahead | {to})})
        )
        if named:
            return Route(to, keep, again, skipped)
        if again:
            return Stranded("again", again)
        return Stranded("skipped", skipped) if skipped else Route(to, keep)

    def done(self, placed: Placed, waiting: bool) -> frozenset[str]:
        """What somebody here may have done, by the names of the new version. What is not in it
        keeps its old name: it may come back."""
        behind = {step for step, ahead in self._old_reach.items() if placed.id in ahead}
        steps = behind | self._history.get(placed.id, _NONE) | ({placed.id} if waiting else _NONE)
        there = (self._names(step) for step in steps)
        gone = (it for it in steps if it not in self._new.steps and not self._names(it))
        return _NONE.union(gone, *there)

    def _keeps(self, placed: Placed, there: Placed, waiting: bool) -> bool:
        if waiting:
            return type(placed.step) is type(there.step)
        alike = replace(placed.step, id="") == replace(there.step, id="")
        return alike and self._same_rules

    def _called(self, step: str) -> str:
        """The id that a step would have in the new version: its own, the one it was renamed to, or,
        without an id of its own, its place in a step that was."""
        placed = self._old.steps.get(step)
        parent, _, place = step.rpartition(".")
        parent, _, label = parent.rpartition(".")
        if (
            step in self._rename
            or placed is None
            or placed.step.id
            or parent not in self._old.steps
        ):
            return self._rename.get(step, step)
        return f"{self._called(parent)}.{label}.{place}"

    def _names(self, step: str) -> frozenset[str]:
        """What a step of the old version is called in the new one; none if it is not there. One
        without an id may be any in its block that does the same."""
        name, placed = self._called(step), self._old.steps.get(step)
        if step in self._rename or placed is None or placed.step.id:
            return frozenset([name]) if name in self._new.steps else _NONE
        if name in self._new.steps and _begins_alike(self._old, placed, self._new, name):
            return frozenset([name])
        block = name.rpartition(".")[0]
        return frozenset(
            other
            for other, there in self._new.steps.items()
            if other.rpartition(".")[0] == block and _mark(there.step) == _mark(placed.step)
        )


def _renamed(old: Journey, move: Mapping[str, str]) -> Mapping[str, str]:
    return {was: name for was, name in move.items() if name != LEAVE and name not in old.steps}


def _reach(journey: Journey) -> Mapping[str, frozenset[str]]:
    """By step, every step that may come after it. What follows a step stands below it."""
    found: dict[str, frozenset[str]] = {}
    for step, placed in reversed([*journey.steps.items()]):
        following = () if isinstance(placed.step, Leave) else (*placed.blocks.values(), placed.next)
        found[step] = _NONE.union(*({it} | found[it] for it in following if it))
    return found


def _begins_alike(old: Journey, placed: Placed, new: Journey, to: str) -> bool:
    """Whether the step `to` of the new version is the one that `placed` is in the old: surely so if
    the author named it, else if its block begins as before, up to it."""
    if placed.step.id:
        return True
    before, after = _block_to(old, placed.id), _block_to(new, to)
    return [_mark(it) for it in before] == [_mark(it) for it in after]


def _block_to(journey: Journey, step_id: str) -> Block:
    """The steps of a nested step's block, up to and including it."""
    parent, _, place = step_id.rpartition(".")
    parent, _, label = parent.rpartition(".")
    if parent not in journey.steps:
        return (journey.steps[step_id].step,)
    return dict(journey.steps[parent].step.blocks())[label][: int(place)]


def _mark(step: Step) -> tuple[Any, ...]:
    """What tells a step from its neighbours."""
    own = {field.name for field in fields(Step)}
    work = next(field.name for field in fields(type(step)) if field.name not in own)
    return type(step), step.id, None if any(True for _ in step.blocks()) else getattr(step, work)
