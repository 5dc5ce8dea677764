"""The frozen whole of what authors wrote: journeys, messages, policy, points, rewards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property

from msgspec import Struct, field

from orchestrator.core.area import Area
from orchestrator.core.contact import ContactPolicy
from orchestrator.core.cost import Prices
from orchestrator.core.expression import Condition
from orchestrator.core.feed import Feed
from orchestrator.core.grammar import Pace
from orchestrator.core.journey import Entry, Goal, Journey, LeaveRule
from orchestrator.core.render import MessageTemplate
from orchestrator.core.retention import Retention
from orchestrator.core.steps.base import EventName


class EarningRule(Struct, frozen=True):
    """`award` points, for the `reason` that the member reads, for every event `on` for which `if`
    holds, at most `per_day` times a UTC day."""

    on: EventName
    award: int
    reason: str
    condition: Condition | None = field(default=None, name="if")
    per_day: int | None = None


class Tier(Struct, frozen=True):
    """A level, and its `name`, that holds from `from_points` ever earned."""

    name: str
    from_points: int


class PointsProgram(Struct, frozen=True):
    """How points come, and when they go. `earn` says for what events; `tiers` are the levels they
    lead to; `expires` so long after they were earned (left out: never); `hold` is how long a
    purchase waits for its confirmation."""

    earn: tuple[EarningRule, ...] = ()
    tiers: tuple[Tier, ...] = ()
    expires: timedelta | None = None
    hold: timedelta = timedelta(minutes=15)

    def tier(self, earned_points: int) -> str:
        """The name of the highest tier reached, or ''."""
        reached = [t for t in self.tiers if t.from_points <= earned_points]
        return max(reached, key=lambda t: t.from_points).name if reached else ""


class Reward(Struct, frozen=True):
    """Something that `cost_points` points buy. `id` is what members write, `names` what they read,
    by locale; `stock` is how many there were at first; `per_member` limits purchases of one member
    (left out: no limit); `code` says whether the buyer gets a code to show."""

    id: str
    names: Mapping[str, str]
    cost_points: int
    stock: int
    per_member: int | None = None
    code: bool = True


Wanted = tuple[Goal | None, tuple[LeaveRule, ...]]
"""What a version of a journey wants of an event: its goal, if it is of that event, and its rules to
leave on it."""


class Heed(Struct, frozen=True):
    """All that comes of an event by itself: what it `earns`, each rule with its number among those
    of its reason; the versions of journeys that are `listening`, as they may reach their goal or
    end; and the journeys that are `entered`, on which conditions (None: always; one is enough).
    `impersonal`: no rule or goal asks who it happens to."""

    earns: tuple[tuple[int, EarningRule], ...] = ()
    listening: Mapping[str, Wanted] = {}
    entered: tuple[tuple[Journey, tuple[Condition | None, ...]], ...] = ()
    impersonal: bool = False


class Project(Struct, frozen=True, dict=True):
    """Everything authors wrote, compiled. `versions` holds journeys by version hash: the current
    ones and every older one that somebody still stands in."""

    journeys: Mapping[str, Journey]
    versions: Mapping[str, Journey]
    messages: Mapping[str, MessageTemplate]
    contact: ContactPolicy
    segments: Mapping[str, Condition]
    points: PointsProgram
    rewards: Mapping[str, Reward]
    locale: str
    timezone: str
    name: str = ""
    retention: Retention = Retention()
    prices: Prices = Prices()
    feed: Feed = Feed()
    areas: Mapping[str, Area] = {}

    @cached_property
    def triggers(self) -> tuple[tuple[Journey, int, Entry], ...]:
        """The entries that are judged where events arrive, each with its place in `enter`."""
        return tuple(
            (journey, number, entry)
            for journey in self.journeys.values()
            for number, entry in enumerate(journey.enter)
            if entry.is_trigger(self.feed)
        )

    @property
    def paces(self) -> Mapping[str, Pace]:
        """How fast messages are handed to carriers, of each journey that says so."""
        return {name: it.pace for name, it in self.journeys.items() if it.pace is not None}

    @cached_property
    def entering(self) -> Mapping[str, tuple[tuple[Journey, tuple[Entry, ...]], ...]]:
        """By event: the journeys that it may bring somebody into by itself, each with the entries
        of it. Triggers are none of them."""
        found: dict[str, list[tuple[Journey, tuple[Entry, ...]]]] = {}
        for journey in self.journeys.values():
            plain = [it for it in journey.enter if it.on and not it.is_trigger(self.feed)]
            for on in dict.fromkeys(entry.on for entry in plain if entry.on is not None):
                entries = tuple(entry for entry in plain if entry.on == on)
                found.setdefault(on, []).append((journey, entries))
        return {on: tuple(journeys) for on, journeys in found.items()}

    @cached_property
    def heeding(self) -> Mapping[str, Heed]:
        """What comes of each event of which anything comes."""
        names = {*self.earning, *self.listening, *self.entering}
        return {
            on: Heed(
                self.earning.get(on, ()),
                self.listening.get(on, {}),
                tuple(
                    (journey, tuple(entry.condition for entry in entries))
                    for journey, entries in self.entering.get(on, ())
                ),
                on in self.impersonal,
            )
            for on in names
        }

    @cached_property
    def earning(self) -> Mapping[str, tuple[tuple[int, EarningRule], ...]]:
        """By event: what it earns, each rule with its number among those of its reason."""
        found: dict[str, list[tuple[int, EarningRule]]] = {}
        numbers: Counter[str] = Counter()
        for rule in self.points.earn:
            found.setdefault(rule.on, []).append((numbers[rule.reason], rule))
            numbers[rule.reason] += 1
        return {on: tuple(rules) for on, rules in found.items()}

    @cached_property
    def listening(self) -> Mapping[str, Mapping[str, Wanted]]:
        """By event: the versions of journeys of which it may reach the goal, or that it may end."""
        found: dict[str, dict[str, Wanted]] = {}
        for version, it in self.versions.items():
            goals = [it.goal] if it.goal is not None else []
            asked = {goal.on for goal in goals} | {
                rule.on for rule in it.leave if rule.on is not None
            }
            for on in asked:
                goal = next((goal for goal in goals if goal.on == on), None)
                rules = tuple(rule for rule in it.leave if rule.on == on)
                found.setdefault(on, {})[version] = (goal, rules)
        return found

    @cached_property
    def impersonal(self) -> frozenset[str]:
        """The events of which no earning rule, goal or rule to leave asks anything but what they
        say: nothing of who they happen to, no list and no area."""
        asked = [(rule.on, rule.condition) for rule in self.points.earn]
        for journey in self.versions.values():
            if journey.goal is not None:
                asked.append((journey.goal.on, journey.goal.condition))
            asked += [(rule.on, rule.condition) for rule in journey.leave if rule.on is not None]
        personal = {
            on for on, condition in asked if condition is not None and condition.about != "event"
        }
        return frozenset(on for on, _ in asked) - personal
