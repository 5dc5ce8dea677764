"""All tests of a project, lived and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from orchestrator.core.errors import OutreachError
from orchestrator.core.journey import lay_out
from orchestrator.core.project import Project
from orchestrator.core.scene import Passed
from orchestrator.project import load
from orchestrator.project.findings import Mark
from orchestrator.project.life import Answer
from orchestrator.project.trials.compare import Line, compared, differing
from orchestrator.project.trials.forms import Trial
from orchestrator.project.trials.read import Trials
from orchestrator.project.trials.story import Story, lived


class Result(Struct, frozen=True):
    """One test: where it stands, what came of it beside what was expected, or the `problem` that
    kept it from being lived. `stale`: it expects something else than what came, or nothing yet."""

    mark: Mark
    trial: Trial
    lines: tuple[Line, ...] = ()
    problem: str = ""
    story: Story | None = None
    seconds: float = 0.0
    stale: bool = False

    @property
    def passed(self) -> bool:
        """Everything came as expected."""
        return not self.problem and all(line.sign == " " for line in self.lines)


def run(
    trials: Trials,
    project: Project,
    answer: Answer,
    wanted: Callable[[Mark, Trial], bool] = lambda mark, trial: True,
) -> Iterator[Result]:
    """A result for each wanted test, in the order of the files."""
    for mark, trial in trials.trials:
        if not wanted(mark, trial):
            continue
        began_at = time.perf_counter()
        try:
            story = lived(trial, trials.people, project, answer, trials.lists)
        except OutreachError as error:
            yield Result(mark, trial, problem=str(error))
            continue
        if trial.expect is None and trial.ends is None:
            problem = "it expects nothing yet: write `expect`, or let `--update` write it"
            yield Result(mark, trial, problem=problem, story=story, stale=True)
            continue
        lines = compared(trial.expect, story) if trial.expect is not None else ()
        stale = any(line.sign != " " for line in lines)
        lines = (*lines, *differing(trial.ends, story.ends))
        yield Result(mark, trial, lines, "", story, time.perf_counter() - began_at, stale)


def places(files: Mapping[str, str]) -> dict[tuple[str, str], Mark]:
    """Where each step of each journey stands, by journey and step."""
    draft = load.read(files)
    marks: dict[tuple[str, str], Mark] = {}
    for form in draft.journeys.values():
        for name, placed in lay_out(form.steps)[1].items():
            marks[form.journey, name] = draft.places.mark(placed.step)
    return marks


def passed(results: list[Result]) -> frozenset[Passed]:
    """All that the tests went through."""
    return frozenset().union(*(it.story.passed for it in results if it.story is not None))
