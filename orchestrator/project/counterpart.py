"""What an author may have meant whose new version lacks a step that people stand at."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from orchestrator.core.journey import Journey
from orchestrator.core.steps.base import Step
from orchestrator.project.costs import message_of
from orchestrator.project.findings import closest

Renamed = tuple[str, str]
"""A step of the old version, and what it may be called in the new one."""


def renamed(old: Journey, new: Journey, step: str) -> Renamed | None:
    """What `step`, or the step it stands within, is called in the new version, if that is clear:
    there is one step more that does just the same, or says the same message, or has such a name."""
    placed = old.steps[step].step
    if not placed.id:
        around = step.rpartition(".")[0].rpartition(".")[0]
        gone = around in old.steps and around not in new.steps
        return renamed(old, new, around) if gone else None
    more = {
        name: there.step
        for name, there in new.steps.items()
        if name not in old.steps and there.step.id and type(there.step) is type(placed)
    }
    for alike in (_same, _says_the_same):
        found = [name for name, there in more.items() if alike(placed, there)]
        if len(found) == 1:
            return step, found[0]
    return next(((step, name) for name in closest(step, more)), None)


def misspelt(old: Journey, move: Mapping[str, str], step: str) -> str:
    """The name in `move` that may be a slip of this step's, or ''."""
    return next(iter(closest(step, [name for name in move if name not in old.steps])), "")


def _same(one: Step, other: Step) -> bool:
    return replace(one, id="") == replace(other, id="")


def _says_the_same(one: Step, other: Step) -> bool:
    return message_of(one) == message_of(other) != ""
