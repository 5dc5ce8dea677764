"""Why somebody did or did not get a message, told from what really happened."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest
import pytest_asyncio

from orchestrator.cli.explain import answer, told
from orchestrator.core.contact import ContactClass, Reason
from orchestrator.core.effects import SendMessage
from orchestrator.core.engine import decide
from orchestrator.core.errors import OutreachError
from orchestrator.core.events import TimerDue
from orchestrator.core.explain import RULES, STATES, Explanation, Record, explain, rule_text
from orchestrator.core.model import Consent, Enrollment, State
from orchestrator.core.scene import Halt, Scene
from orchestrator.runtime.context import Context
from tests.cli.shell import outreach
from tests.core.world import ann, journey_text, project_of
from tests.runtime.installation import FILES, NOON, at, do, happened, installed, people, turns

PICKY = """
journey: picky
class: promotion
enter:
  - on: order.placed
    if: event.sum > 10 and subscriber.city == 'Xi an'
steps:
  - id: thanks
    send: hello
    via: [sms]
"""

HELD_OUT = """
journey: held-out
class: promotion
control: 100%
enter: [{on: subscriber.activated}]
steps:
  - id: hi
    send: hello
"""

LATER = """
journey: later
class: promotion
enter: [{on: tea.asked}]
steps:
  - id: hi
    at: day 3 12:00
    send: hello
"""

BY_CHAT = """
journey: by-chat
class: promotion
enter: [{on: chat.asked}]
steps:
  - id: hi
    send: hello
    via: [chat]
"""


@pytest_asyncio.fixture
async def office(database_url: str, redis_url: str) -> AsyncIterator[Context]:
    extra = {"picky": PICKY, "held-out": HELD_OUT, "by-chat": BY_CHAT, "later": LATER}
    files = {**FILES, **{f"journeys/{name}.yaml": text for name, text in extra.items()}}
    async with installed(database_url, redis_url, files) as context:
        yield context


async def why(context: Context, who: str, journey: str) -> Explanation:
    """What is told of one journey, which can also be printed."""
    async with context.pool.acquire() as connection:
        found = await answer(connection, who, journey, context.clock.now())
    assert "\n".join(told(found))
    return found.journeys[0]


async def test_who_never_entered_is_told_from_whom_the_condition_kept_out(office: Context) -> None:
    await people(office, range(2), attributes={"city": "Beijing"})
    said = await why(office, "0", "picky")
    assert said.standing == "never entered: the event order.placed never came"
    await happened(office, ["0"], "order.placed", sum=12)
    await turns(office)
    said = await why(office, "0", "picky")
    assert (
        "but `event.sum > 10 and subscriber.city == 'Xi an'` with event.sum = 12" in said.standing
    )
    assert "subscriber.city = 'Beijing' is not true" in said.standing


async def test_a_message_that_went_says_how_it_fared(office: Context) -> None:
    await people(office, ["0"])
    await happened(office, ["0"])
    await turns(office)
    (sent,) = (await why(office, "0", "welcome")).messages
    assert (sent.step, sent.outcome) == ("hello", "queued")
    await do(office, "UPDATE messages SET state = 'rejected', code = 'ESME_RINVDSTADR'")
    (sent,) = (await why(office, "0", "welcome")).messages
    assert sent.why == "by sms: the carrier refused it (ESME_RINVDSTADR)"


@pytest.mark.parametrize("share", ["5%", "0.5%", "12.5%", "7%"])
def test_the_share_of_a_control_group_is_told_as_its_author_wrote_it(share: str) -> None:
    text = journey_text("held", [{"id": "hi", "send": "hi"}], control=share)
    project = project_of({"held": text})
    held = Enrollment("held", project.journeys["held"].version, 1, "control", None, None, NOON)
    scene = Scene(project=project, subscriber=ann(), enrollments={"held": held})
    standing = explain(scene, Record(), "held", NOON).standing
    assert standing.startswith(f"in the control group ({share}) since")


async def test_the_control_group_is_named(office: Context) -> None:
    await people(office, ["0"])
    await happened(office, ["0"])
    await turns(office)
    said = await why(office, "0", "held-out")
    assert said.standing.startswith("in the control group (100%)")
    assert said.messages == ()


async def test_what_is_put_off_says_by_which_rule_until_when_and_what_holds_now(
    office: Context,
) -> None:
    night = at(office, NOON + timedelta(hours=10))
    await people(night, ["0"])
    await happened(night, ["0"])
    await turns(night)
    said = await why(night, "0", "welcome")
    opening = NOON + timedelta(hours=21)
    before, now = said.messages
    assert (before.outcome, before.rule, before.until) == ("put_off", "outside_hours", opening)
    assert (now.outcome, now.rule, now.until) == ("put_off", "outside_hours", opening)
    morning = await why(at(office, opening), "0", "welcome")
    assert morning.messages[-1].outcome == "goes_now"
    assert morning.standing.startswith("due at hello since")


@pytest.mark.parametrize(
    ("halted", "vip", "outcome", "why"),
    [
        ({}, False, "goes_now", "now: the contact policy allows it"),
        ({}, True, "not_sent", "now: they leave the journey, for `subscriber.vip` holds"),
        ({"held": "paused"}, False, "put_off", "now: an operator paused the journey"),
        ({"held": "cancelled"}, False, "not_sent", "now: an operator cancelled the journey"),
    ],
)
def test_a_message_goes_now_only_if_a_turn_would_send_it(
    halted: Mapping[str, Halt], vip: bool, outcome: str, why: str
) -> None:
    text = journey_text("held", [{"id": "hi", "send": "hi"}], leave=[{"if": "subscriber.vip"}])
    project = project_of({"held": text})
    due = Enrollment("held", project.journeys["held"].version, 1, "active", "hi", NOON, NOON)
    person, enrollments = ann(attributes={"vip": vip}), {"held": due}
    scene = Scene(project=project, subscriber=person, enrollments=enrollments, halted=halted)
    (said,) = explain(scene, Record(), "held", NOON).messages
    assert (said.outcome, said.why) == (outcome, why)
    sends = [it for it in decide(scene, TimerDue(), NOON).effects if isinstance(it, SendMessage)]
    assert bool(sends) == (outcome == "goes_now")


async def test_a_message_whose_time_has_not_come_waits_for_it(office: Context) -> None:
    await people(office, ["0"])
    await happened(office, ["0"], "tea.asked")
    await turns(office)
    (said,) = (await why(office, "0", "later")).messages
    assert (said.outcome, said.until) == ("to_come", NOON + timedelta(days=2))
    assert said.why == "it waits for its time; the contact policy would let it go now"


async def test_an_opt_out_and_a_missing_channel_are_told(office: Context) -> None:
    refused = {"marketing": Consent(False, NOON)}
    await people(office, ["0"], consents=refused)
    await happened(office, ["0"])
    await turns(office)
    said = await why(office, "0", "welcome")
    assert said.standing.endswith(": opted_out")
    await people(office, ["1"])
    await happened(office, ["1"], "chat.asked")
    await turns(office)
    (missing,) = (await why(office, "1", "by-chat")).messages
    assert (missing.outcome, missing.rule) == ("not_sent", "no_channel")


async def test_who_is_not_known_and_what_is_not_a_journey_are_said_so(office: Context) -> None:
    await people(office, ["0"])
    with pytest.raises(OutreachError, match="there is no subscriber 9"):
        await why(office, "9", "welcome")
    with pytest.raises(OutreachError, match="there are: by-chat, held-out, later, picky, welcome"):
        await why(office, "0", "farewell")


@pytest.mark.parametrize("reason", Reason.__args__)
def test_every_reason_of_the_contact_policy_has_its_words(reason: str) -> None:
    assert reason in RULES


def test_every_state_has_its_words() -> None:
    assert set(STATES) == set(State.__args__)


def test_a_reason_that_nobody_knows_is_told_as_it_is() -> None:
    assert rule_text("brand_new", None) == "brand_new"
    assert rule_text("fallback: no_channel", None).startswith("its channel failed, and")


def test_the_figures_of_a_rule_are_told_as_its_author_wrote_them() -> None:
    rules = ContactClass("care", same_message=timedelta(days=30), gap=timedelta(hours=4), per_day=2)
    assert rule_text("same_message", rules) == "they had the same message less than 30d ago"
    assert rule_text("gap", rules) == "the last message was less than 4h ago"
    assert rule_text("per_day", rules) == "they had 2 that day, the class's cap"
    assert rule_text("per_week", rules) == "per_week", "the rule is gone since"


def test_a_program_can_read_it(applied: Mapping[str, str], tmp_path: object) -> None:
    path = f"{tmp_path}/people.csv"
    with open(path, "w") as file:
        file.write("key,phone\nann,+8613800138000\n")
    outreach("import", path, env=applied)
    found = json.loads(outreach("explain", "ann", "--json", env=applied).stdout)
    assert found["subscriber"] == "ann"
    assert found["journeys"][0]["standing"].startswith("never entered: ")
    shown = outreach("explain", "+8613800138000", "--journey", "hello", env=applied)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "hello: never entered" in shown.stdout
