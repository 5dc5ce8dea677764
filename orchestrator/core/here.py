"""Where a step works, and what it may do there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.core.effects import EmitEvent
from orchestrator.core.expression import Condition
from orchestrator.core.grammar import TagChange
from orchestrator.core.journey import Placed
from orchestrator.core.model import Enrollment, Waiting
from orchestrator.core.scene import Passed
from orchestrator.core.steps.base import Go, Outcome, Step

if TYPE_CHECKING:
    from orchestrator.core.stage import Stage


class Here:
    """Where a step works: one enrollment, at one step. A step may do what this offers."""

    def __init__(
        self,
        stage: Stage,
        enrollment: Enrollment,
        placed: Placed,
        properties: Mapping[str, Any],
    ) -> None:
        self._stage = stage
        self._enrollment = enrollment
        self._placed = placed
        self._properties = properties
        self.journey, self.run = enrollment.journey, enrollment.run
        self.step_id = placed.id
        self.definition = stage.project.versions[enrollment.version]
        self.now = stage.now
        self.sent = False
        """Whether the last `send` queued a message."""

    @property
    def entered_at(self) -> datetime:
        """When this run of the journey began."""
        return self._enrollment.entered_at

    @property
    def placed_step(self) -> Step:
        return self._placed.step

    @property
    def subscriber_id(self) -> int:
        return self._stage.subscriber.id

    @property
    def timezone(self) -> str | None:
        return self._stage.subscriber.timezone

    @property
    def waiting(self) -> Waiting:
        """What this step waits for; only a started step asks."""
        waiting = self._enrollment.waiting
        assert waiting is not None
        return waiting

    @property
    def until(self) -> datetime:
        """When this step's wait ends; only a started step asks."""
        until = self._enrollment.due_at
        assert until is not None
        return until

    def begin(self) -> Outcome:
        """The step's work is done, or begun."""
        self._stage.path.append(Passed(self.journey, self.step_id))
        return self._placed.step.start(self)

    def next(self) -> Go:
        self._stage.path.append(Passed(self.journey, self.step_id, "next"))
        return Go(self._placed.next)

    def into(self, label: str) -> Go:
        """Into the branch of that label; an empty one leads to what follows this step."""
        self._pass(label)
        return Go(self._placed.blocks[label])

    def _pass(self, way: str) -> None:
        self._stage.path.append(Passed(self.journey, self.step_id, way))

    def scope(self, of_use: bool) -> Mapping[str, Any]:
        """See `Stage.scope`."""
        return self._stage.scope(self._properties, of_use)

    def holds(
        self, condition: Condition, properties: Mapping[str, Any] | None = None
    ) -> bool | None:
        """See `Stage.holds`; of these properties, or those of the event at hand."""
        return self._stage.holds(condition, self._properties if properties is None else properties)

    def send(self, template: str, via: Iterable[str]) -> datetime | None:
        """See `Stage.send`."""
        return self._stage.send(self, template, via)

    def award(self, award_points: int, reason: str, expires: timedelta | None) -> None:
        key = f"journey:{self.journey}:{self.run}:{self.step_id}"
        self._stage.award(award_points, reason, key, expires)

    def set(self, attributes: Mapping[str, Any], tags: Iterable[TagChange]) -> None:
        self._stage.set(attributes, tags)

    def emit(self, name: str, properties: Mapping[str, Any]) -> None:
        source = f"journey:{self.journey}:{self.run}:{self.step_id}"
        self._stage.effects.append(EmitEvent(name, properties, source))

    def enroll(self, name: str) -> None:
        """The subscriber is in that journey too, if it lets them in and still exists: an older
        version of this one may name one that is gone."""
        journey = self._stage.project.journeys.get(name)
        if journey is not None:
            self._stage.enter(journey)

    def run_aside(self, label: str) -> None:
        """The branch's steps are done at once, while the enrollment stays where it is. The loader
        allows only steps that do not wait there."""
        self._pass(label)
        step = self._placed.blocks[label]
        while step is not None and step != self._placed.next:
            placed = self.definition.steps[step]
            Here(self._stage, self._enrollment, placed, self._properties).begin()
            step = placed.next
