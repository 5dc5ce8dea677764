"""People in flight and an edit: they stay, follow or are moved, and nobody is stranded."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchestrator.cli import apply
from orchestrator.cli.apply import Applied, apply_files, told
from orchestrator.core.errors import OutreachError
from orchestrator.project.plan import JourneyPlan, Plan
from orchestrator.runtime import applying, moving
from orchestrator.runtime.context import Context
from orchestrator.runtime.going_back import Back
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.settings import Settings
from orchestrator.runtime.sweep import sweep
from orchestrator.store import projects
from orchestrator.store.checks import examine
from tests.runtime.installation import (
    FILES,
    at,
    do,
    happened,
    installed,
    people,
    rows,
    turns,
    value,
)

SPANS = ("wait: 5h", "wait: 6h")
HEAD = """
journey: tour
class: urgent
enter: [{on: tour.asked}]
"""
FIRST = (
    HEAD
    + """
steps:
  - {id: first, send: hello, via: [sms]}
  - {id: rest, wait: 2h}
  - {id: second, send: hello, via: [sms]}
  - {id: later, at: day 3 10:00, send: hello, via: [sms]}
  - {id: last, at: day 5 10:00, send: hello, via: [sms]}
"""
)
STANDS = """
SELECT s.key, version, step, status FROM enrollments e
JOIN subscribers s ON s.id = e.subscriber_id WHERE journey = 'tour' ORDER BY 1
"""
SENT = """
SELECT s.key, array_agg(step ORDER BY m.id) FROM messages m
JOIN subscribers s ON s.id = m.subscriber_id WHERE journey = 'tour' GROUP BY 1 ORDER BY 1
"""


def written(tour: str, **more: str) -> dict[str, str]:
    return {**FILES, "journeys/tour.yaml": tour, **more}


def edited(*changes: tuple[str, str], in_flight: str = "follow", text: str = FIRST) -> str:
    """The journey, changed, and what it says of people in flight."""
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text.replace("class:", f"in_flight: {in_flight}\nclass:")


def tour_of(plan: Plan) -> JourneyPlan:
    return next(it for it in plan.journeys if it.journey == "tour")


async def hear(office: Context) -> None:
    """The process knows of the newest project."""
    async with office.pool.acquire() as connection:
        await office.projects.follow(connection)


def later(context: Context, **span: float) -> Context:
    return at(context, context.clock.now() + timedelta(**span))


class Place:
    """One installation, its database, and who applies projects to it."""

    def __init__(self, office: Context, database_url: str, folder: Path) -> None:
        self.office, self.database_url = office, database_url
        env = {"DATABASE_URL": database_url, "OUTREACH_SECRET": "the secret of this test only"}
        self.settings = Settings.from_env(env, folder)

    async def apply(self, tour: str, context: Context | None = None, **means: Any) -> Applied:
        settings = msgspec.structs.replace(self.settings, clock=(context or self.office).clock)
        files = means.pop("files", None) or written(tour)
        return await apply_files(settings, self.database_url, files, **means)

    async def plan(self, tour: str, context: Context | None = None) -> Plan:
        async with self.office.pool.acquire() as connection:
            now = (context or self.office).clock.now()
            return await applying.foresee(connection, written(tour), now)


@pytest.fixture
async def place(database_url: str, redis_url: str, tmp_path: Path) -> Any:
    async with installed(database_url, redis_url, written(FIRST)) as office:
        yield Place(office, database_url, tmp_path)


async def enter(office: Context, count: int) -> None:
    await people(office, range(count))
    await happened(office, [str(n) for n in range(count)], "tour.asked")
    await turns(office)


async def sound(office: Context) -> None:
    async with office.pool.acquire() as connection:
        assert [it for it in await examine(connection, office.clock.now()) if it.found] == []


async def test_people_stay_on_the_version_they_entered_unless_the_edit_says_otherwise(
    place: Place,
) -> None:
    await enter(place.office, 1)
    (before,) = await rows(place.office, STANDS)
    applied = await place.apply(edited(("wait: 2h", "wait: 5h"), in_flight="stay"))
    assert applied.edited == ["tour"]
    assert applied.moved == 0
    assert await rows(place.office, STANDS) == [before]


async def test_a_class_of_contact_is_not_taken_from_those_who_stay_with_it(place: Place) -> None:
    await enter(place.office, 2)
    contact = "journeys/program/contact.yaml"
    renamed = {contact: FILES[contact].replace("urgent:", "pressing:")}
    tour = FIRST.replace("class: urgent", "class: pressing")
    lacks = "2 people stay in versions whose class the contact policy lacks: 2 in tour"
    with pytest.raises(OutreachError, match=lacks):
        await place.apply("", files=written(tour, **renamed))
    follows = tour.replace("class:", "in_flight: follow\nclass:")
    assert (await place.apply("", files=written(follows, **renamed))).moved == 2
    await hear(place.office)
    assert (await turns(later(place.office, hours=3))).failed == 0


async def test_who_waits_goes_on_waiting_in_the_new_version(place: Place) -> None:
    await enter(place.office, 3)
    due = "SELECT DISTINCT due_at, waiting::text FROM enrollments WHERE journey = 'tour'"
    before = await rows(place.office, due)
    text = edited(
        ("- {id: second, send: hello", "- {id: extra, send: hello}\n  - {id: second, send: hello")
    )
    assert (await place.apply(text)).moved == 3
    assert await rows(place.office, due) == before
    await turns(later(place.office, hours=3))
    assert await rows(place.office, SENT) == [
        (str(n), ["first", "extra", "second"]) for n in range(3)
    ]
    await sound(place.office)


async def test_a_step_that_was_not_started_is_due_by_the_new_version(place: Place) -> None:
    await enter(place.office, 2)
    await turns(later(place.office, hours=3))
    due = "SELECT DISTINCT step, due_at FROM enrollments WHERE journey = 'tour'"
    ((_, third_day),) = await rows(place.office, due)
    await place.apply(edited(("day 3 10:00", "day 4 11:30")), later(place.office, hours=4))
    assert await rows(place.office, due) == [("later", third_day + timedelta(days=1, hours=1.5))]
    text = edited(("day 3 10:00", "day 1 12:30"))
    plan = await place.plan(text, later(place.office, hours=5))
    assert (plan.moving, plan.now) == (2, 2)
    await place.apply(text, later(place.office, hours=5))
    await turns(later(place.office, hours=5))
    assert (await rows(place.office, SENT))[0][1] == ["first", "second", "later"]


async def test_who_stands_at_a_step_that_is_gone_is_stranded_and_nothing_is_applied(
    place: Place,
) -> None:
    await enter(place.office, 2)
    text = edited(("  - {id: rest, wait: 2h}\n", ""))
    plan = await place.plan(text)
    (stranded,) = tour_of(plan).stranded
    assert (stranded.step, stranded.people, stranded.why) == ("rest", 2, "gone")
    with pytest.raises(OutreachError, match=r"2 people would be stranded: 2 at tour/rest \(gone\)"):
        await place.apply(text)
    assert await value(place.office, "SELECT count(*) FROM projects") == 1


async def test_a_mapping_says_where_those_go_whose_step_was_renamed_or_removed(
    place: Place,
) -> None:
    await enter(place.office, 1)
    renamed = edited(
        ("id: rest, wait: 2h", "id: pause, wait: 9h"), in_flight="{move: {rest: pause}}"
    )
    assert (await place.apply(renamed)).moved == 1
    await turns(later(place.office, hours=3))  # they wait on as they began to
    assert await rows(place.office, SENT) == [("0", ["first", "second"])]


async def test_a_mapping_to_leave_ends_the_journey_for_who_stands_there(place: Place) -> None:
    await enter(place.office, 1)
    await place.apply(edited(("  - {id: rest, wait: 2h}\n", ""), in_flight="{move: {rest: leave}}"))
    assert [row[2:] for row in await rows(place.office, STANDS)] == [(None, "left")]
    await sound(place.office)


async def test_who_has_done_a_step_does_not_meet_it_again(place: Place) -> None:
    await enter(place.office, 1)
    text = edited(
        ("  - {id: first, send: hello, via: [sms]}\n", ""),
        ("- {id: last,", "- {id: first, at: day 4 10:00, send: hello}\n  - {id: last,"),
    )
    plan = await place.plan(text)
    (stranded,) = tour_of(plan).stranded
    assert (stranded.why, stranded.again) == ("again", ("first",))


async def test_a_step_that_comes_back_is_known_to_who_did_it_two_versions_ago(place: Place) -> None:
    await enter(place.office, 1)
    await turns(later(place.office, hours=3))
    second = "  - {id: second, send: hello, via: [sms]}\n"
    await place.apply(edited((second, "")))
    text = edited((second, ""), ("- {id: last,", second.strip() + "\n  - {id: last,"))
    plan = await place.plan(text)
    (stranded,) = tour_of(plan).stranded
    assert (stranded.step, stranded.why, stranded.again) == ("later", "again", ("second",))


async def test_who_is_held_out_follows_and_is_measured_by_the_new_goal(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    held_out = FIRST.replace("class:", "control: 100%\ngoal: {on: bought, within: 2d}\nclass:")
    async with installed(database_url, redis_url, written(held_out)) as office:
        place = Place(office, database_url, tmp_path)
        await enter(office, 1)
        assert (await place.apply(edited(("2d", "3d"), text=held_out))).moved == 1
        due = await value(office, "SELECT due_at FROM enrollments WHERE journey = 'tour'")
        assert due == office.clock.now() + timedelta(days=3)


async def test_a_kept_plan_is_applied_exactly_or_not_at_all(place: Place) -> None:
    await enter(place.office, 2)
    text = edited(("wait: 2h", "wait: 5h"))
    kept = msgspec.json.decode(msgspec.json.encode(await place.plan(text)), type=Plan)
    other = edited(("wait: 2h", "wait: 6h"))
    with pytest.raises(OutreachError, match="the files are not those it was made of"):
        await place.apply(other, planned=kept)
    await turns(later(place.office, hours=3))  # they stand at `later` by now
    with pytest.raises(OutreachError, match=r"2 people stand in tour at later .* did not foresee"):
        await place.apply(text, planned=kept)
    kept = await place.plan(text)
    assert (await place.apply(text, planned=kept)).moved == 2
    with pytest.raises(OutreachError, match="another project has been applied since"):
        await place.apply(text, planned=kept)


async def test_a_rollback_takes_back_who_was_moved(place: Place) -> None:
    await enter(place.office, 2)
    (first,) = {row[1] for row in await rows(place.office, STANDS)}
    text = edited(("id: rest, wait", "id: pause, wait"), in_flight="{move: {rest: pause}}")
    await place.apply(text)
    back = await place.apply("", files=written(FIRST), back=Back(1))
    assert back.moved == 2
    assert await rows(place.office, STANDS) == [(str(n), first, "rest", "active") for n in range(2)]
    async with place.office.pool.acquire() as connection:
        listed = await projects.history(connection)
    assert [(it.id, it.copy_of, it.moved) for it in listed] == [
        (3, 1, 2),
        (2, None, 2),
        (1, None, 0),
    ]
    acts = "SELECT count(*) FROM acts WHERE entry LIKE '%project.rolled_back%'"
    assert await value(place.office, acts) == 1


async def test_a_rollback_strands_nobody_either(place: Place) -> None:
    extra = edited(("- {id: second,", "- {id: extra, wait: 3h}\n  - {id: second,"))
    await place.apply(extra)
    await hear(place.office)
    await enter(place.office, 1)
    await turns(later(place.office, hours=3))  # at `extra`
    with pytest.raises(OutreachError, match="1 at tour/extra"):
        await place.apply("", files=written(FIRST), back=Back(1))
    assert (await place.apply("", files=written(FIRST), back=Back(1, "none"))).moved == 0


async def test_a_rollback_is_told_where_those_go_whose_step_the_older_version_lacks(
    place: Place,
) -> None:
    extra = edited(("- {id: second,", "- {id: extra, wait: 3h}\n  - {id: second,"))
    await place.apply(extra)
    await hear(place.office)
    await enter(place.office, 2)
    await turns(later(place.office, hours=3))  # at `extra`
    back = Back(1, move={"tour": {"extra": "second"}})
    applied = await place.apply("", later(place.office, hours=3), files=written(FIRST), back=back)
    assert (applied.moved, applied.now) == (2, 2)
    await turns(later(place.office, hours=3))
    assert await rows(place.office, SENT) == [(str(n), ["first", "second"]) for n in range(2)]
    await sound(place.office)


async def test_who_began_in_what_is_taken_back_goes_back_only_if_all_do(place: Place) -> None:
    await place.apply(edited(("wait: 2h", "wait: 5h"), in_flight="stay"))
    await hear(place.office)
    await enter(place.office, 1)
    assert (await place.apply("", files=written(FIRST), back=Back(1))).moved == 0
    await place.apply("", files=written(edited(("wait: 2h", "wait: 6h"), in_flight="stay")))
    assert (await place.apply("", files=written(FIRST), back=Back(1, "all"))).moved == 1


async def test_who_was_moved_goes_back_also_if_the_journey_was_removed_since(place: Place) -> None:
    await enter(place.office, 2)
    (first,) = {row[1] for row in await rows(place.office, STANDS)}
    await place.apply(
        edited(("id: rest, wait", "id: pause, wait"), in_flight="{move: {rest: pause}}")
    )
    await place.apply("", files=FILES)
    assert (await place.apply("", files=written(FIRST), back=Back(1))).moved == 2
    assert {row[1:3] for row in await rows(place.office, STANDS)} == {(first, "rest")}


async def test_a_way_back_to_where_nobody_can_stand_is_refused(place: Place) -> None:
    await place.apply(edited(("wait: 2h", "wait: 5h")))
    back = Back(1, move={"tour": {"rest": "secnd"}})
    with pytest.raises(OutreachError, match="tour has no step secnd in project 1") as refused:
        await place.apply("", files=written(FIRST), back=back)
    assert "did you mean 'second'?" in refused.value.hint


async def test_a_sweep_goes_on_with_a_move_whose_command_died(place: Place) -> None:
    await enter(place.office, 3)
    await begun(place, edited(("wait: 2h", "wait: 5h")))
    unfinished = "SELECT planned, moved, done_at IS NULL FROM moves"
    assert await rows(place.office, unfinished) == [(3, 0, True)]
    await sweep(place.office)
    assert await rows(place.office, unfinished) == [(3, 3, False)]
    assert len({row[1] for row in await rows(place.office, STANDS)}) == 1


async def begun(place: Place, tour: str) -> None:
    """This is applied by a command that died before anybody moved."""
    files, now = written(tour), place.office.clock.now()
    async with place.office.pool.acquire() as connection, connection.transaction():
        plan = await applying.foresee(connection, files, now)
        await applying.carry_out(connection, plan, files, now)


async def test_a_move_that_another_project_overtook_is_over(place: Place) -> None:
    await enter(place.office, 2)
    await begun(place, edited(("wait: 2h", "wait: 5h")))
    await place.apply(edited(("wait: 2h", "wait: 6h")))
    async with place.office.pool.acquire() as connection:
        listed = await projects.history(connection)
    assert [(it.id, it.moved, it.unfinished) for it in listed] == [(3, 2, 0), (2, 0, 0), (1, 0, 0)]


async def test_an_apply_that_is_interrupted_or_overtaken_says_who_goes_on(
    place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: Counter[int] = Counter()

    @contextmanager
    def watched(people: int) -> Iterator[moving.Told]:
        yield lambda move, more: moved.update({move.project_id: more})

    monkeypatch.setattr(apply, "progress", watched)
    await enter(place.office, 2)
    async with place.office.pool.acquire() as busy, busy.transaction():
        await busy.execute("SELECT FROM subscribers WHERE key = '0' FOR NO KEY UPDATE")
        applies = []
        for number, span in enumerate(SPANS, 2):
            applies.append(asyncio.create_task(place.apply(edited(("wait: 2h", span)))))
            while moved[number] != 1:
                assert not applies[-1].done()
                await asyncio.sleep(0.01)
        first, second = applies
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
    assert "1 of 2 people have moved; sweeps go on with it" in capsys.readouterr().err
    assert "project 3 was applied meanwhile, and is the one that runs" in told(await first)


async def test_whom_a_process_lets_in_by_the_project_before_is_fetched_by_a_sweep(
    place: Place,
) -> None:
    await people(place.office, range(1))
    await happened(place.office, ["0"], "tour.asked")
    await place.apply(edited(("wait: 2h", "wait: 5h")))
    await turns(place.office)  # this process has not heard of the new project
    ((_, old, _, _),) = await rows(place.office, STANDS)
    await sweep(place.office)
    ((_, new, _, _),) = await rows(place.office, STANDS)
    assert old != new


async def test_whom_a_turn_has_in_hand_is_moved_after_it(place: Place) -> None:
    await enter(place.office, 2)
    files = written(edited(("wait: 2h", "wait: 5h")))
    now = place.office.clock.now()
    async with place.office.pool.acquire() as one, place.office.pool.acquire() as other:
        async with one.transaction():
            plan = await applying.foresee(one, files, now)
            await applying.carry_out(one, plan, files, now)
        async with one.transaction():
            await one.execute("SELECT FROM subscribers WHERE key = '0' FOR NO KEY UPDATE")
            passed = await moving.go_on(other, moving.Ways(Projects()), place.office.clock)
            assert (passed.moved, passed.busy) == (1, 1)
        passed = await moving.go_on(other, moving.Ways(Projects()), place.office.clock)
        assert (passed.moved, passed.busy) == (1, 0)


async def test_a_timer_that_was_given_up_is_tried_anew_where_it_is_due_anew(place: Place) -> None:
    await enter(place.office, 1)
    await turns(later(place.office, hours=3))
    await do(place.office, "UPDATE enrollments SET tries = 5, due_at = NULL WHERE journey = 'tour'")
    await place.apply(edited(("day 3 10:00", "day 2 10:00")))
    await turns(later(place.office, days=1))
    assert await rows(place.office, SENT) == [("0", ["first", "second", "later"])]


async def test_the_plan_counts_who_is_due_at_once(place: Place) -> None:
    await enter(place.office, 4)
    await turns(later(place.office, hours=3))
    text = edited(("day 3 10:00", "day 2 10:00"))
    then = later(place.office, days=1)  # the second day, noon
    plan = await place.plan(text, then)
    assert (plan.moving, plan.now) == (4, 4)
    assert (await place.apply(text, then)).now == 4


async def test_a_message_that_is_gone_is_told_of_who_stays(place: Place) -> None:
    extra = FIRST.replace("second, send: hello", "second, send: bye")
    bye: Mapping[str, str] = {"templates/bye.en.j2": "{% block sms %}Bye{% endblock %}"}
    await place.apply("", files=written(extra, **bye))
    await hear(place.office)
    await enter(place.office, 2)
    plan = await place.plan(FIRST)
    assert [(it.step, it.message, it.people) for it in tour_of(plan).lost] == [("second", "bye", 2)]
