"""What a process counts of its own work, for Prometheus. Counters begin at nothing when the
process starts, as Prometheus expects; names and labels never hold anything about a person."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from channels.base import Channel, Lined
from orchestrator.core.delivery import Outcome
from orchestrator.core.effects import Suppress
from orchestrator.core.standing import Fired
from orchestrator.runtime.reports import Taken
from orchestrator.store.decisions import Decided

if TYPE_CHECKING:
    from orchestrator.runtime.streams import Backlog

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000)


class Meters:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._turn_s = Histogram(
            "outreach_turn_seconds",
            "Real seconds from locking a batch of subscribers to its commit.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._turn_size = Histogram(
            "outreach_turn_subscribers",
            "Subscribers of one batch of turns.",
            buckets=_SIZES,
            registry=self.registry,
        )
        self._turns_failed = Counter(
            "outreach_failed_turns",
            "Subscribers whose turn failed and was put off.",
            registry=self.registry,
        )
        self._suppressed = Counter(
            "outreach_suppressed",
            "Messages that did not go, or not then, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self._submitted = Counter(
            "outreach_submissions",
            "Messages handed to a channel, by what it said: accepted, rejected, unknown, unsent.",
            ["channel", "result"],
            registry=self.registry,
        )
        self._delivery_s = Histogram(
            "outreach_submission_seconds",
            "Real seconds a channel took over one batch of messages.",
            ["channel"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._lapsed = Counter(
            "outreach_lapsed_messages",
            "Messages of gateways that fell silent while submitting: unknown, or sent again.",
            registry=self.registry,
        )
        self._retained = Counter(
            "outreach_retention_rows",
            "Rows that were deleted or emptied because they had been kept long enough, by kind.",
            ["kind"],
            registry=self.registry,
        )
        self._events = Counter(
            "outreach_feed_events",
            "Reported events: stored, known, queued, unmatched, set_aside, stranger.",
            ["outcome"],
            registry=self.registry,
        )
        self._fired = Counter(
            "outreach_fired_triggers",
            "Triggers that fired and are committed, by journey.",
            ["journey"],
            registry=self.registry,
        )
        self._nobody = Counter(
            "outreach_fired_for_strangers",
            "Triggers that fired for a number that is no subscriber's.",
            registry=self.registry,
        )
        self._late = Counter(
            "outreach_late_events",
            "Events that came too late to begin what they would have begun.",
            registry=self.registry,
        )
        self._commit_s = Histogram(
            "outreach_matching_commit_seconds",
            "Real seconds that a matcher took to commit what fired and what changed.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._partitions = Gauge(
            "outreach_matching_partitions",
            "Partitions of the feed that this process's matcher has.",
            registry=self.registry,
        )
        self._waits = Gauge(
            "outreach_waiting_triggers",
            "Triggers that wait for their time in this process's partitions.",
            registry=self.registry,
        )
        self._backlog = Gauge(
            "outreach_matching_backlog_events",
            "Events that wait for matchers, of all partitions.",
            registry=self.registry,
        )
        self._feed_lag_s = Gauge(
            "outreach_matching_lag_seconds",
            "For how long the first event of this process's partitions has waited for its matcher.",
            registry=self.registry,
        )
        self._up = Gauge(
            "outreach_channel_up",
            "1 while this process's channel is bound to its carrier.",
            ["channel"],
            registry=self.registry,
        )
        self._line_up = Gauge(
            "outreach_line_up",
            "1 while this one of a channel's connections is bound to its carrier.",
            ["channel", "line"],
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "outreach_window_in_flight",
            "Submits that wait for their carrier's answer.",
            ["channel"],
            registry=self.registry,
        )

    def turn_taken(self, subscribers: int, seconds: float, decided: Iterable[Decided]) -> None:
        """A batch of turns is committed."""
        self._turn_s.observe(seconds)
        self._turn_size.observe(subscribers)
        reasons = Tally(
            reason_of(effect.reason)
            for decision in decided
            for effect in decision.effects
            if isinstance(effect, Suppress)
        )
        for reason, count in reasons.items():
            self._suppressed.labels(reason).inc(count)

    def turns_failed(self, subscribers: int) -> None:
        """The turns of so many subscribers failed."""
        self._turns_failed.inc(subscribers)

    def submitted(self, channel: str, outcomes: Iterable[Outcome], seconds: float) -> None:
        """A channel has said what became of a batch."""
        self._delivery_s.labels(channel).observe(seconds)
        for result, count in Tally(outcome.result for outcome in outcomes).items():
            self._submitted.labels(channel, result).inc(count)

    def lapsed(self, messages: int) -> None:
        """So many messages were found whose gateway never answered for them."""
        self._lapsed.inc(messages)

    def retained(self, kind: str, rows: int) -> None:
        """So many rows of this kind are gone, or empty."""
        self._retained.labels(kind).inc(rows)

    def reported(self, taken: Taken) -> None:
        """A batch of events has been dealt with."""
        for outcome, count in taken.outcomes.items():
            if count:
                self._events.labels(outcome).inc(count)

    def matching(
        self, *, partitions: int, waits: int, late: int, backlog: Backlog | None = None
    ) -> None:
        """How the matcher of this process stands; so many more events came too late. `backlog` is
        as it was said last, if none is given."""
        self._partitions.set(partitions)
        self._waits.set(waits)
        self._late.inc(late)
        if backlog is not None:
            self._backlog.set(backlog.events)
            self._feed_lag_s.set(backlog.lag_s)

    def waiting(self, events: float) -> None:
        """So many events wait for matchers, whether one runs or not."""
        self._backlog.set(events)

    def fired(self, fired: Iterable[Fired], nobody: int, seconds: float) -> None:
        """What fired is committed; `nobody` of it for somebody we know."""
        self._commit_s.observe(seconds)
        for journey, count in Tally(it.journey for it in fired).items():
            self._fired.labels(journey).inc(count)
        self._nobody.inc(nobody)

    def watch(self, channel: Channel) -> None:
        """From now on this channel's state is read whenever somebody looks."""
        self._up.labels(channel.name).set_function(lambda: float(channel.health() == "up"))
        in_flight: Callable[[], int] | None = getattr(channel, "in_flight", None)
        if in_flight is not None:
            self._in_flight.labels(channel.name).set_function(in_flight)
        if isinstance(channel, Lined):
            for line in channel.lines():
                bound = partial(_is_bound, channel, line)
                self._line_up.labels(channel.name, line).set_function(bound)


def _is_bound(channel: Lined, line: str) -> float:
    return float(channel.lines()[line] == "up")


def reason_of(reason: str) -> str:
    """A reason without its particulars, so that there are few of them:
    `render_failed: …` → `render_failed`, `fallback: opted_out` → `fallback_opted_out`."""
    first, _, rest = reason.partition(": ")
    return f"fallback_{reason_of(rest)}" if first == "fallback" and rest else first
