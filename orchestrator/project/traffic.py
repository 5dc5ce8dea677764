"""A contact policy over messages that really went: which of them would have gone under it, when,
and which rule would have kept the others back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from orchestrator.core import verdict
from orchestrator.core.model import Sent, Subscriber
from orchestrator.core.project import Project

MOST_PUT_OFF = verdict.MOST_LATER


class Letter(Struct, frozen=True, gc=False):
    """A message as it was decided then: it went, or, with a `reason`, it was withheld."""

    sent: Sent
    run: int
    reason: str = ""


class Sums(Struct):
    """What would have become of the messages that went (`before` are those that were withheld):
    went as they did, went later, or not at all."""

    messages: int = 0
    as_before: int = 0
    later: int = 0
    late_h: float = 0.0
    never: int = 0
    withheld_before: int = 0
    withheld_now_go: int = 0


class Replay:
    """The new policy, and what it has said so far."""

    def __init__(self, project: Project, since: datetime, until: datetime) -> None:
        self.people = 0
        self.sums = Sums()
        self.journeys: dict[str, Sums] = {}
        self.put_off: Counter[str] = Counter()
        self.withheld: Counter[str] = Counter()
        self._project, self._since = project, since
        self._lists = dict.fromkeys(project.contact.lists, until)

    def judge(self, who: Subscriber, listed: frozenset[str], letters: Sequence[Letter]) -> None:
        """One person's messages, oldest first, are put before the policy in the order of their
        time. What went before the span counts, as it went."""
        self.people += 1
        began: dict[tuple[str, int], datetime] = {}
        for it in letters:
            began.setdefault((it.sent.journey, it.run), it.sent.at)
        recent = [it.sent for it in letters if it.sent.at < self._since and not it.reason]
        coming = [
            (it.sent.at, number, 0)
            for number, it in enumerate(letters)
            if it.sent.at >= self._since
        ]
        heapify(coming)
        while coming:
            at, number, times = heappop(coming)
            letter = letters[number]
            said = self._asked(who, listed, letter, began, recent, at)
            if isinstance(said, verdict.Later) and times < MOST_PUT_OFF and not _lacks(said):
                if not times and not letter.reason:
                    self.put_off[said.reason] += 1
                heappush(coming, (said.until, number, times + 1))
                continue
            goes = isinstance(said, verdict.Go)
            if goes:
                recent.append(replace(letter.sent, at=at))
            self._count(letter, at, "" if goes else getattr(said, "reason", "never_open"))

    def _asked(
        self,
        who: Subscriber,
        listed: frozenset[str],
        letter: Letter,
        began: dict[tuple[str, int], datetime],
        recent: Sequence[Sent],
        at: datetime,
    ) -> verdict.Verdict:
        sent, policy = letter.sent, self._project.contact
        journey = self._project.journeys.get(sent.journey)
        name = journey.contact_class if journey is not None else sent.contact_class
        rules = policy.classes.get(name)
        if rules is None:
            return verdict.Never("no_class")
        entered_at = min(began[sent.journey, letter.run], at)
        avoid = journey.avoid if journey is not None else ()
        around = policy.around(name, who, entered_at, avoid, self._lists, listed)
        horizon = [it for it in recent if it.at > at - policy.memory]
        counted = policy.counted(horizon)
        return verdict.may_go(rules, who, counted, sent.template, sent.journey, at, around)

    def _count(self, letter: Letter, at: datetime, reason: str) -> None:
        for sums in (self.sums, self.journeys.setdefault(letter.sent.journey, Sums())):
            if letter.reason:
                sums.withheld_before += 1
                sums.withheld_now_go += not reason
                continue
            sums.messages += 1
            if reason:
                sums.never += 1
            elif at > letter.sent.at:
                sums.later += 1
                sums.late_h += (at - letter.sent.at).total_seconds() / 3600
            else:
                sums.as_before += 1
        if reason and not letter.reason:
            self.withheld[reason] += 1

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "people": self.people,
            **to_builtins(self.sums),
            "put_off": dict(self.put_off.most_common()),
            "withheld": dict(self.withheld.most_common()),
            "journeys": to_builtins(dict(sorted(self.journeys.items()))),
        }


def _lacks(said: verdict.Later) -> bool:
    """Whether it waits for what nobody will bring."""
    return said.reason.partition(":")[0] in verdict.LACKING
