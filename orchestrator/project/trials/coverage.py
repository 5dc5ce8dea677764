"""Which steps and branches of each journey the tests have gone through."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from orchestrator.core.journey import Journey, Placed
from orchestrator.core.project import Project
from orchestrator.core.scene import Passed
from orchestrator.core.steps.when import When


class Covered(Struct, frozen=True):
    """How much of one journey was gone through: steps and branches, `passed` of `all`; and those
    that were `missed`, a branch with the label of its way."""

    journey: str
    steps_passed: int
    steps_all: int
    branches_passed: int
    branches_all: int
    missed: tuple[Passed, ...]

    @property
    def share(self) -> float:
        """From 0 to 1, over steps and branches together."""
        passed, whole = self.steps_passed + self.branches_passed, self.steps_all + self.branches_all
        return passed / whole if whole else 1.0


def covered(project: Project, passed: Collection[Passed]) -> tuple[Covered, ...]:
    """For each journey, by name."""
    return tuple(_covered(project.journeys[name], passed) for name in sorted(project.journeys))


def _covered(journey: Journey, passed: Collection[Passed]) -> Covered:
    steps = [Passed(journey.name, name) for name in journey.steps]
    branches = [
        Passed(journey.name, name, way) for name, it in journey.steps.items() for way in ways(it)
    ]
    missed = [it for it in (*steps, *branches) if it not in passed]
    order = {name: number for number, name in enumerate(journey.steps)}
    return Covered(
        journey.name,
        len(steps) - sum(not it.way for it in missed),
        len(steps),
        len(branches) - sum(bool(it.way) for it in missed),
        len(branches),
        tuple(sorted(missed, key=lambda it: (order[it.step], it.way))),
    )


def ways(placed: Placed) -> Iterator[str]:
    """Every way on from a step that has several: its branches, and, for a `when` without an
    `else`, the way past it."""
    yield from placed.blocks
    step = placed.step
    if isinstance(step, When) and all(case.else_ is None for case in step.when):
        yield "next"
