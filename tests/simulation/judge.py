"""The judge: a model of its own of what may become of people, held against what became of them.

It knows the journeys as they were drawn, what was said to us and when that was committed, and what
the carrier was handed; it uses nothing of the engine, the contact policy or the store. From the
database it takes what is on record, and holds it against that: each step once and in an order that
the journey leads to, none early, each branch for a reason, each message's state true of the
screens.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from orchestrator.runtime.deliver import LEASE
from tests.simulation.campaign import (
    CLASSES,
    CLOSES,
    COST_POINTS,
    JOURNEYS,
    OPENS,
    PER_DAY,
    TOP_UP_POINTS,
    ZONE,
    labelled,
)
from tests.simulation.carrier import Handed
from tests.simulation.purchases import HOLDS, Purchases
from tests.simulation.world import World

# Every change of a message's state is kept, so that none can be a step back and be made good later,
# with the attempt it was in; and every claim of an attempt, known by when its lease ends.
WITNESS = """
CREATE TABLE witness (
    number bigserial, subscriber_id bigint, message_id bigint, before text, after text,
    channel_before text, channel text, attempt_id bigint, carrier_id text);
CREATE INDEX ON witness (subscriber_id);
CREATE TABLE witness_claims (attempt_id bigint, lease_until timestamptz);
CREATE INDEX ON witness_claims (attempt_id);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness VALUES (DEFAULT, NEW.subscriber_id, NEW.id, OLD.state, NEW.state,
        OLD.channel, NEW.channel, NEW.attempt_id, NEW.carrier_id);
    RETURN NULL; END $$;
CREATE FUNCTION witness_claim() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO witness_claims VALUES (NEW.id, NEW.lease_until);
    RETURN NULL; END $$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION witness();
CREATE TRIGGER witness AFTER UPDATE OF claimed_by ON attempts FOR EACH ROW
    WHEN (NEW.claimed_by IS NOT NULL) EXECUTE FUNCTION witness_claim()
"""

MESSAGES = """
SELECT id, subscriber_id, journey, run, step, contact_class, state, channel, may_duplicate,
    queued_at, reason, attempt_id, carrier_id, template
FROM messages WHERE subscriber_id = ANY($1::bigint[]) ORDER BY queued_at, id
"""
SUPPRESSIONS = """
SELECT subscriber_id, at, journey, step, reason, until FROM suppressions
WHERE subscriber_id = ANY($1::bigint[]) ORDER BY at
"""
ENTRIES = """
SELECT subscriber_id, key, points, at FROM entries WHERE subscriber_id = ANY($1::bigint[])
"""
RUNS = """
SELECT subscriber_id, journey, run, status, reason, entered_at, ended_at FROM enrollments
WHERE subscriber_id = ANY($1::bigint[])
UNION ALL SELECT subscriber_id, journey, run, status, reason, entered_at, ended_at
FROM past_enrollments WHERE subscriber_id = ANY($1::bigint[])
"""
EVENTS = """
SELECT id, subscriber_id, kind, name, source_id, at, taken_at, tries, properties ->> 'text' AS text
FROM events WHERE subscriber_id = ANY($1::bigint[])
"""
WITNESSED = "SELECT * FROM witness WHERE subscriber_id = ANY($1::bigint[]) ORDER BY number"
CLAIMS = """
SELECT DISTINCT c.attempt_id, c.lease_until FROM witness_claims c
JOIN witness w USING (attempt_id) WHERE w.subscriber_id = ANY($1::bigint[])
"""
CONSENTS = """
SELECT subscriber_id, at, granted FROM consent_records
WHERE subscriber_id = ANY($1::bigint[]) ORDER BY at, ctid
"""
PEOPLE = """
SELECT s.id, s.key, a.balance_points,
    (SELECT min(f.what || ': ' || f.error) FROM failures f WHERE f.subscriber_id = s.id) AS failure
FROM subscribers s LEFT JOIN accounts a ON a.subscriber_id = s.id
WHERE s.id = ANY($1::bigint[]) ORDER BY s.id
"""

_FINAL = {"accepted", "rejected", "unknown", "delivered", "undelivered", "expired", "suppressed"}
_NOT_SENT = {"rejected", "undelivered", "expired", "suppressed"}
_STEPS: Mapping[str | None, set[str]] = {
    None: {"queued"},
    "queued": {"queued", "accepted", "rejected", "unknown", "expired", "suppressed"},
    "unknown": {"queued", "accepted", "rejected", "suppressed"},
    "accepted": {"delivered", "undelivered", "expired", "rejected"},
}
_MOVES_ON = {"rejected", "undelivered", "expired"}
"""States in which a message may begin again, on another channel."""

NEVER = datetime.max.replace(tzinfo=UTC)
_ZONE = ZoneInfo(ZONE)
_SPANS = {"h": "hours", "m": "minutes"}


class LeftError(Exception):
    """The run ended here."""


class Judge:
    """What became of the people of one world."""

    def __init__(self, world: World, found: dict[str, list[asyncpg.Record]]) -> None:
        self.world, self.problems = world, [*world.broken]
        self.found = found
        self.people = {row["id"]: row for row in found["people"]}
        self.commits = {
            world.domain(read): (step, world.domain(at))
            for read, (step, at) in world.schedule.commits.items()
        }
        self.said: dict[int, list[asyncpg.Record]] = defaultdict(list)
        for row in found["events"]:
            self.said[row["subscriber_id"]].append(row)
        self.outs = {who: self._outs(rows) for who, rows in self.said.items()}
        self.messages = {(row["subscriber_id"], row["id"]): row for row in found["messages"]}
        self.suppressed: dict[tuple[int, str, str], list[asyncpg.Record]] = defaultdict(list)
        for row in found["suppressions"]:
            if not row["reason"].startswith("fallback"):
                self.suppressed[row["subscriber_id"], row["journey"], row["step"]].append(row)
        self.purchases = Purchases(self, found["holds"])

    def wrong(self, who: int, what: str) -> None:
        """This person has that to complain of."""
        self.problems.append(f"{self.people[who]['key']}: {what}")

    def _outs(self, events: list[asyncpg.Record]) -> list[tuple[datetime, datetime]]:
        """From when until when this person wanted nothing, by what they said."""
        spans: list[tuple[datetime, datetime]] = []
        said = [row for row in events if row["text"] in ("STOP", "START") and row["taken_at"]]
        for row in sorted(said, key=lambda it: (self.step(it["taken_at"]), it["at"], it["id"])):
            out = bool(spans) and spans[-1][1] == NEVER
            if out and row["text"] == "START":
                spans[-1] = (spans[-1][0], row["taken_at"])
            elif not out and row["text"] == "STOP":
                spans.append((row["taken_at"], NEVER))
        return spans

    def committed(self, at: datetime) -> tuple[int, datetime]:
        """The step and the time at which what was done at `at` was committed."""
        return self.commits.get(at, (0, at))

    def judge(self) -> list[str]:
        """Everything that is wrong, as lines for people."""
        self.inputs()
        self.states()
        self.screens()
        self.policy()
        self.purchases.judge()
        self.journeys()
        return self.problems

    def inputs(self) -> None:
        """What was said to us is stored once, and every turn that it needed has been taken."""
        stored = Counter(row["source_id"] for row in self.found["events"] if row["kind"] == "reply")
        for reply in self.world.carrier.brought:
            if stored[reply.source_id] != 1:
                self.problems.append(f"a reply was stored {stored[reply.source_id]} times")
        reported = Counter(
            row["source_id"] for row in self.found["events"] if row["kind"] == "event"
        )
        for source_id, times in reported.items():
            if times != 1:
                self.problems.append(f"the event {source_id} was stored {times} times")
        if missing := self.world.told - reported.keys():
            self.problems.append(f"events never stored: {sorted(missing)}")
        for who, person in self.people.items():
            for row in self.said[who]:
                if row["taken_at"] is None:
                    self.wrong(who, f"the {row['kind']} {row['name']} was never looked at")
            if person["failure"]:
                self.wrong(who, f"a turn failed: {person['failure']}")
            out = bool(self.outs.get(who)) and self.outs[who][-1][1] == NEVER
            last = [row["granted"] for row in self.found["consents"] if row["subscriber_id"] == who]
            if out == (last[-1] if last else True):
                self.wrong(who, "what was last said of STOP and START is not on record")

    def states(self) -> None:
        """No message's state went back, and each has come to rest."""
        for row in self.found["witness"]:
            before, after = row["before"], row["after"]
            elsewhere = row["channel_before"] != row["channel"] or before == "expired"
            onward = before in _MOVES_ON and after == "queued" and elsewhere
            if before != after and after not in _STEPS.get(before, set()) and not onward:
                self.wrong(row["subscriber_id"], f"a message went from {before} to {after}")
        for (who, _), row in self.messages.items():
            if row["state"] not in _FINAL:
                self.wrong(who, f"the message of {row['journey']} {row['step']} is {row['state']}")

    def screens(self) -> None:
        """What the states say is true of the screens: each attempt was handed over once at most,
        and what is on record of a message was said of the attempt it was in."""
        attempts: dict[tuple[int, int], set[int]] = defaultdict(set)
        for row in self.found["witness"]:
            attempts[row["subscriber_id"], row["message_id"]].add(row["attempt_id"])
        claims: dict[datetime, set[int]] = defaultdict(set)
        for row in self.found["claims"]:
            claims[row["lease_until"]].add(row["attempt_id"])
        handed: dict[tuple[int, int, int], Handed] = {}
        copies: Counter[tuple[int, int]] = Counter()
        for it in self.world.carrier.handed:
            who, name = it.subscriber_id, (it.subscriber_id, it.message_id)
            copies[name] += it.arrived
            lease_until = datetime.fromtimestamp(it.claimed[1], UTC) + LEASE
            within = claims[lease_until] & attempts[name]
            if name not in self.messages:
                self.wrong(who, "got a message that is not on record")
            elif len(within) != 1:
                self.wrong(who, f"a message was handed over by {len(within)} claims of it")
            elif (key := (*name, min(within))) in handed:
                self.wrong(who, f"{self.what(name)} was handed over twice in one attempt")
            else:
                handed[key] = it
        for row in self.found["witness"]:
            self._record(row, handed)
        for name, row in self.messages.items():
            count, who, what = copies[name], name[0], self.what(name)
            resend = CLASSES[row["contact_class"]].get("uncertain") == "resend"
            last = handed.get((*name, row["attempt_id"]))
            if row["may_duplicate"] and not resend:
                self.wrong(who, f"{what} may be a duplicate, under hold")
            if row["may_duplicate"] and len(attempts[name]) == 1:
                self.wrong(who, f"{what} may be a duplicate, and was tried once")
            if count > 1 and not row["may_duplicate"]:
                self.wrong(who, f"{what} arrived {count} times, not flagged")
            surely = (last is not None and last.arrived) or (count and not row["may_duplicate"])
            if row["state"] in _NOT_SENT and surely:
                self.wrong(who, f"{what} arrived all the same")

    def _record(self, row: asyncpg.Record, handed: Mapping[tuple[int, int, int], Handed]) -> None:
        """What was recorded then was said of the attempt that the message was in."""
        before, after, name = row["before"], row["after"], (row["subscriber_id"], row["message_id"])
        if before == after:
            return
        it = handed.get((*name, row["attempt_id"]))
        what = f"{self.what(name)}: {after} was recorded, and the carrier said"
        if after in ("accepted", "rejected") and before in ("queued", "unknown"):
            if it is None:
                self.wrong(name[0], f"{what} nothing of that attempt")
            elif (it.said, it.carrier_id) != (after, row["carrier_id"] or ""):
                self.wrong(name[0], f"{what} {it.said} of that attempt")
        elif before == "accepted" and (it is None or it.fate != after):
            self.wrong(name[0], f"{what} {it.fate if it else 'nothing'} later")

    def what(self, name: tuple[int, int]) -> str:
        """Which message that is, for people."""
        row = self.messages[name]
        return f"the message of {row['journey'] or 'the bot'} {row['step']} ({row['state']})"

    def policy(self) -> None:
        """Nothing after an opt-out, nothing outside its hours, no more than its cap."""
        days: dict[tuple[int, object], list[asyncpg.Record]] = defaultdict(list)
        for (who, _), row in self.messages.items():
            if row["contact_class"] == "answer":
                continue
            queued = self.committed(row["queued_at"])[0]
            if any(self.out(queued, *span) for span in self.outs.get(who, ())):
                self.wrong(who, f"{row['journey']} {row['step']} was queued after the opt-out")
            days[who, row["queued_at"].astimezone(_ZONE).date()].append(row)
            if _bound(row) and not OPENS <= row["queued_at"].astimezone(_ZONE).hour < CLOSES:
                self.wrong(who, f"{row['journey']} {row['step']} was queued outside its hours")
        for (who, day), rows in days.items():
            for row in rows:
                earlier = [it for it in rows if it["queued_at"] < row["queued_at"]]
                beside = [it for it in rows if it["queued_at"] == row["queued_at"] and _bound(it)]
                if _bound(row) and len(earlier) + len(beside) > PER_DAY:
                    self.wrong(who, f"{row['journey']} {row['step']} was one too many on {day}")
        for handed in self.world.carrier.handed:
            who = handed.subscriber_id
            row = self.messages.get((who, handed.message_id))
            if row is None or row["contact_class"] == "answer":
                continue
            step, read = handed.claimed
            if any(self.out(step, *span) for span in self.outs.get(who, ())):
                self.wrong(who, f"{row['journey']} {row['step']} was claimed after the opt-out")
            claimed_at = self.world.domain(read)
            if claimed_at < row["queued_at"]:
                self.wrong(who, f"{row['journey']} {row['step']} was claimed before it was queued")
            if _bound(row) and not OPENS <= claimed_at.astimezone(_ZONE).hour < CLOSES:
                self.wrong(who, f"{row['journey']} {row['step']} was claimed outside its hours")

    def out(self, step: int, since: datetime, until: datetime) -> bool:
        """What was committed at that step was so after the opt-out, and before the next opt-in:
        times do not tell, because a turn that waited for another goes by an earlier one."""
        return 0 < self.step(since) < step < self.step(until)

    def journeys(self) -> None:
        """Every run took each step once, in an order that its journey allows; the points add up."""
        runs: dict[tuple[int, str], list[asyncpg.Record]] = defaultdict(list)
        for row in sorted(self.found["runs"], key=lambda row: row["run"]):
            runs[row["subscriber_id"], row["journey"]].append(row)
        actions: dict[tuple[int, str, int], dict[str, list[datetime]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for row in self.found["messages"]:
            if row["journey"]:
                key = row["subscriber_id"], row["journey"], row["run"]
                actions[key][row["step"]].append(row["queued_at"])
        points: Counter[int] = Counter()
        earned: Counter[int] = Counter()
        for row in self.found["entries"]:
            points[row["subscriber_id"]] += row["points"]
            if row["key"].startswith("journey:"):
                _, journey, run, step = row["key"].split(":")
                key = row["subscriber_id"], journey, int(run)
                actions[key][step].append(row["at"])
        for who, person in self.people.items():
            begun = Counter(row["name"] for row in self.said[who] if row["kind"] == "event")
            earned[who] = TOP_UP_POINTS * begun["card.topped"]
            earned[who] -= COST_POINTS * len(self.purchases.of(who))
            asks = [name for name in JOURNEYS if begun[f"begin.{name}"] and _asks(name)]
            for name, journey in JOURNEYS.items():
                mine, times = runs[who, name], begun[f"begin.{name}"]
                most = min(times, 1) if journey["again"] == "never" else times
                if [row["run"] for row in mine] != [*range(1, len(mine) + 1)]:
                    self.wrong(who, f"the runs of {name} are not numbered 1, 2, …")
                if len(mine) > most or (times and not mine):
                    self.wrong(who, f"{len(mine)} runs of {name} after {times} events")
                self._entries(who, name, mine)
                for run in mine:
                    walk = Walk(self, run, actions[who, name, run["run"]], len(asks) == 1)
                    earned[who] += walk.walk()
            if (person["balance_points"] or 0) != earned[who]:
                have = person["balance_points"]
                self.wrong(who, f"has {have} points, and should have {earned[who]}")
        for (who, name, step), left in self.suppressed.items():
            if any(row["until"] is None for row in left):
                self.wrong(who, f"{name} {step}: left out once too often")

    def _entries(self, who: int, name: str, runs: list[asyncpg.Record]) -> None:
        """Each run began when its journey's `again` let it, and none is missing."""
        again = JOURNEYS[name]["again"]
        apart = _span(again.removeprefix("after ")) if again.startswith("after") else timedelta()
        for run, after in pairwise(runs):
            began, ended = self.step(after["entered_at"]), self.step(run["ended_at"])
            if began < ended or after["entered_at"] < run["entered_at"] + apart:
                self.wrong(who, f"{name} run {after['run']} began early")
        for event in self.said[who]:
            at = event["taken_at"]
            if event["name"] != f"begin.{name}" or at is None:
                continue
            before = [run for run in runs if self.step(run["entered_at"]) <= self.step(at)]
            last = before[-1] if before else None
            if last is None or not (
                last["entered_at"] == at
                or last["entered_at"] + apart > at
                or self.step(last["ended_at"]) >= self.step(at)
                or again == "never"
            ):
                self.wrong(who, f"{name} did not begin at {at}")

    def step(self, at: datetime | None) -> int:
        """At which step what was done at `at` was committed; after all others, if it never was."""
        return self.committed(at)[0] if at is not None and at < NEVER else 1 << 60


class Walk:
    """One run of a journey, followed along what is on record of it."""

    def __init__(
        self,
        judge: Judge,
        run: asyncpg.Record,
        actions: Mapping[str, list[datetime]],
        alone: bool,
    ) -> None:
        self._judge, self._run = judge, run
        self._who, self._journey = run["subscriber_id"], run["journey"]
        self._left = {step: sorted(times) for step, times in actions.items()}
        self._alone = alone
        self._at: datetime = run["entered_at"]
        """Nothing that follows may be earlier."""
        self._last: datetime | None = None
        """When the last thing was done."""
        self._points = 0

    def walk(self) -> int:
        """The points that this run has given."""
        run = self._run
        if run["ended_at"] is None:
            self._wrong("never ended")
        try:
            self._block(JOURNEYS[self._journey]["steps"], "")
            if run["status"] != "finished":
                self._wrong(f"came to its end and is {run['status']}")
            elif run["ended_at"] is not None and run["ended_at"] < self._at:
                self._wrong("ended early")
        except LeftError:
            order, ended = self._judge.step, self._judge.step(run["ended_at"])
            outs = self._judge.outs.get(self._who, [])
            since = [span for span in outs if order(span[0]) <= ended <= order(span[1])]
            if run["status"] != "left" or run["reason"] != "opted_out" or not since:
                self._wrong(f"is {run['status']} ({run['reason']}), and not at its end")
            elif self._last is not None and self._judge.out(order(self._last), *since[-1]):
                self._wrong("went on after the opt-out")
        for step, times in self._left.items():
            if times:
                self._wrong(f"took {step} {len(times)} times more than it may")
        return self._points

    def _wrong(self, what: str) -> None:
        self._judge.wrong(self._who, f"{self._journey} run {self._run['run']} {what}")

    def _block(self, steps: list[dict[str, Any]], prefix: str) -> None:
        for number, step in enumerate(steps, 1):
            self._step(step, step.get("id") or f"{prefix}.{number}")

    def _step(self, step: Mapping[str, Any], name: str) -> None:
        if "send" in step:
            self._message(name)
        elif "award" in step:
            self._act(name)
            self._points += step["award"]
        elif "wait" in step:
            self._at += _span(step["wait"])
        elif "when" in step:
            person = self._judge.world.level(self._judge.people[self._who]["key"])
            way = "case-1" if person == "gold" else "case-2"
            self._block(labelled(step)[way], f"{name}.{way}")
        elif "wait_for" in step:
            self._wait_for(step, name)
        else:
            self._ask(step, name)

    def _act(self, name: str) -> None:
        times = self._left.get(name)
        if not times:
            raise LeftError
        at = times.pop(0)
        if at < self._at:
            self._wrong(f"took {name} at {at}, before {self._at}")
        self._at = self._last = at

    def _message(self, name: str) -> bool:
        """A message was queued, or left out for a reason; whether it was queued."""
        run = self._run
        key = self._who, self._journey, name
        if self._left.get(name):
            self._act(name)
            for row in self._judge.suppressed[key]:
                until = row["until"]
                if until is not None and run["entered_at"] <= row["at"] < self._at < until:
                    self._wrong(f"took {name} at {self._at}, put off to {until}")
            return True
        for row in self._judge.suppressed[key]:
            order = self._judge.step
            within = order(run["entered_at"]) <= order(row["at"]) <= order(run["ended_at"])
            if row["until"] is None and within:
                self._judge.suppressed[key].remove(row)
                if row["reason"] != "no_channel":
                    self._wrong(f"left {name} out: {row['reason']}")
                if row["at"] < self._at:
                    self._wrong(f"left {name} out at {row['at']}, before {self._at}")
                self._at = self._last = row["at"]
                return False
        raise LeftError

    def _way(self, step: Mapping[str, Any], name: str) -> tuple[str, datetime]:
        """The one branch that was taken, and when."""
        taken = [label for label in labelled(step) if self._left.get(f"{name}.{label}.1")]
        if len(taken) > 1:
            self._wrong(f"took more than one way at {name}: {taken}")
        if not taken:
            raise LeftError
        return taken[0], self._left[f"{name}.{taken[0]}.1"][0]

    def _wait_for(self, step: Mapping[str, Any], name: str) -> None:
        began, until = self._at, self._at + _span(step["within"])
        way, at = self._way(step, name)
        events = [row["at"] for row in self._judge.said[self._who] if row["name"] == "data.used"]
        if way == "then":
            if not any(began < it <= until and it <= self._judge.committed(at)[1] for it in events):
                self._wrong(f"{name}: nothing had happened")
        else:
            if at < until:
                self._wrong(f"{name}: gave up at {at}, before {until}")
            if any(self._surely(it, began, until) for it in events):
                self._wrong(f"{name}: what happened was not seen")
        self._block(labelled(step)[way], f"{name}.{way}")

    def _ask(self, step: Mapping[str, Any], name: str) -> None:
        queued = self._message(name)
        asked, until = self._at, self._at + _span(step["within"])
        way, at = self._way(step, name)
        replies = {
            text: [row["at"] for row in self._judge.said[self._who] if row["text"] == text]
            for text in ("1", "2")
        }
        if way == "silence":
            if queued and at < until:
                self._wrong(f"{name}: gave up at {at}, before {until}")
            if queued and self._alone:
                said = [it for times in replies.values() for it in times]
                if any(self._surely(it, asked, until) for it in said):
                    self._wrong(f"{name}: an answer was not seen")
        elif not queued:
            self._wrong(f"{name}: took an answer to what was never asked")
        elif not any(asked < it for it in replies[way[-1]]):
            self._wrong(f"{name}: nobody had said {way[-1]}")
        self._block(labelled(step)[way], f"{name}.{way}")

    def _surely(self, at: datetime, began: datetime, until: datetime) -> bool:
        """What happened at `at` was committed after the wait's beginning was, and in its time."""
        step, committed_at = self._judge.committed(at)
        return at > began and step > self._judge.committed(began)[0] > 0 and committed_at <= until


def _span(text: str) -> timedelta:
    return timedelta(**{_SPANS[text[-1]]: int(text[:-1])})


def _bound(row: asyncpg.Record) -> bool:
    """Its hours and caps hold for this message: it is no answer to what somebody wrote."""
    return row["contact_class"] == "promo" and ".reply-" not in row["step"]


def _asks(name: str) -> bool:
    return any("ask" in step for step in JOURNEYS[name]["steps"])


async def verdict(world: World, connection: asyncpg.Connection) -> list[str]:
    """Everything that is wrong with what became of this world."""
    queries = {
        "people": PEOPLE,
        "consents": CONSENTS,
        "claims": CLAIMS,
        "messages": MESSAGES,
        "suppressions": SUPPRESSIONS,
        "entries": ENTRIES,
        "holds": HOLDS,
        "runs": RUNS,
        "events": EVENTS,
        "witness": WITNESSED,
    }
    found = {name: await connection.fetch(query, world.ids) for name, query in queries.items()}
    return Judge(world, found).judge()
