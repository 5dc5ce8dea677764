"""The judge of what was bought: from what people said to us, and from when that was committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from tests.simulation.campaign import REWARD

if TYPE_CHECKING:
    from tests.simulation.judge import Judge

# Every claim of an item, with its codes.
HOLDS = """
SELECT h.subscriber_id, h.key, h.state, h.at, h.expires_at, h.ended_at,
    (SELECT count(*) FROM codes c
     WHERE c.subscriber_id = h.subscriber_id AND c.hold = h.key) AS codes
FROM holds h WHERE h.subscriber_id = ANY($1::bigint[]) ORDER BY h.at, h.key
"""

ASKING = f"redeem {REWARD}"
_ENDING = {"sold": {"YES"}, "released": {"NO", "STOP", ASKING}}
_NEVER = 1 << 60


class Purchases:
    """Never was more claimed than there is; each claim was asked for and ended as its person then
    said, or in its time; each purchase is one: one code, one message that says so, paid once."""

    def __init__(self, judge: Judge, holds: Sequence[asyncpg.Record]) -> None:
        self._judge, self._holds = judge, holds

    def judge(self) -> None:
        """What is wrong is told to the judge."""
        for hold in self._holds:
            self._claim(hold)
        self._stock()
        for who in self._judge.people:
            told = [it for name, it in self._judge.messages.items() if name[0] == who]
            said_so = sum(it["template"] == "bot/redeemed" for it in told)
            if said_so != len(self.of(who)):
                self._wrong(who, f"bought {len(self.of(who))}, and was told so {said_so} times")

    def of(self, who: int) -> list[asyncpg.Record]:
        """What this person bought."""
        return [it for it in self._holds if it["subscriber_id"] == who and it["state"] == "sold"]

    def _wrong(self, who: int, what: str) -> None:
        self._judge.wrong(who, what)

    def _stock(self) -> None:
        """More was never claimed than there is, and nobody sent away while there was."""
        judge, items = self._judge, self._judge.world.items
        claims = Counter(judge.step(it["at"]) for it in self._holds)
        given_back = Counter(
            self._free_again(it["ended_at"]) for it in self._holds if it["state"] == "released"
        )
        claimed = 0
        for step in sorted({*claims, *given_back}):
            claimed += claims[step] - given_back[step]
            if claimed > items:
                judge.problems.append(f"{claimed} were claimed of {items}")
        for (who, _), row in judge.messages.items():
            if row["template"] != "bot/sold-out":
                continue
            # Others of the same turn may have claimed before, and what expired need not have been
            # noticed yet.
            order = judge.step(row["queued_at"])
            so_far = sum(count for step, count in claims.items() if step <= order)
            if so_far < items:
                self._wrong(who, f"was told sold out with {so_far} ever claimed of {items}")

    def _claim(self, hold: asyncpg.Record) -> None:
        who, state, ended_at = hold["subscriber_id"], hold["state"], hold["ended_at"]
        said = [it for it in self._judge.said[who] if it["kind"] == "reply"]
        asked = [it for it in said if hold["key"] == f"{it['name']}:{it['source_id']}"]
        if [it["text"] for it in asked] != [ASKING]:
            self._wrong(who, "claimed what nobody had asked for")
        if ended_at is None:
            self._wrong(who, "has a claim that never ended")
            return
        if hold["codes"] != (state == "sold"):
            self._wrong(who, f"has {hold['codes']} codes of what is {state}")
        then = [it["text"] for it in said if it["taken_at"] == ended_at]
        in_time = ended_at < hold["expires_at"]
        if state == "sold" and not in_time:
            self._wrong(who, "bought what had been given back")
        if (state == "sold" or in_time) and not _ENDING[state].intersection(then):
            self._wrong(who, f"a claim was {state} when they had said {then}")
        if state == "sold":
            same = [it for it in self.of(who) if it["ended_at"] == ended_at]
            if len(same) > then.count("YES"):
                self._wrong(who, f"bought {len(same)} with {then.count('YES')} YES")
        elif any(it["text"] == "YES" and self._within(it, hold) for it in said):
            self._wrong(who, "a YES was not heard")

    def _within(self, reply: asyncpg.Record, hold: asyncpg.Record) -> bool:
        """The reply was looked at after the claim, and before what ended it."""
        taken = self._judge.step(reply["taken_at"])
        return self._judge.step(hold["at"]) < taken < self._free_again(hold["ended_at"])

    def _free_again(self, ended_at: datetime) -> int:
        """The step at which what was claimed could be so again: what expires does so at its own
        time, and whichever turn is the first to be after that may notice."""
        commits = self._judge.commits
        if ended_at in commits:
            return commits[ended_at][0]
        return min((step for at, (step, _) in commits.items() if at >= ended_at), default=_NEVER)
