"""The programme that comes with us: it loads, fits its channels, and can be lived through."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from channels.wap_push import carriage
from channels.wap_push.documents import Indication, encode
from orchestrator.core import short_message
from orchestrator.core.effects import SendMessage
from orchestrator.core.expression import subscriber_scope
from orchestrator.core.media import pictures_in
from orchestrator.core.model import Consent, Content
from orchestrator.core.project import Project
from orchestrator.project import shipped
from orchestrator.project.load import check, load
from tests.core.world import World, ann, lived

ATTRIBUTES: dict[str, Any] = {
    "network": "4g",
    "phone_os": "android",
    "phone_brand": "Motorola",
    "plan_mb": 102400,
    "usage": {
        "mb_7d": 1234,
        "mb_today": 321,
        "mb_month": 12345.6,
        "mb_share": 0.83,
        "mb_mean": 23456.7,
        "mb_rank": 1234567,
        "mb_percentile": 12,
    },
}
LONG = {
    "zh": {**ATTRIBUTES, "name": "欧阳建国", "plan": "畅享199", "city": "乌鲁木齐"},
    "en": {
        **ATTRIBUTES,
        "name": "Christopher",
        "plan": "Unlimited Plus 199",
        "city": "Shijiazhuang",
    },
}
"""People whose texts come out long."""

PROGRAMME = tuple(f"templates/{name}/" for name in ("seven-days", "lifecycle", "triggers", "usage"))

START = datetime(2026, 3, 2, 2, tzinfo=UTC)

MESSAGES = sorted(
    path.removeprefix("templates/").removesuffix(".en.j2")
    for path in shipped.programme()
    if path.startswith(PROGRAMME) and ".en." in path
)
IN_CHATS = [name for name in MESSAGES if not name.startswith("triggers/")]


@pytest.fixture(scope="module")
def programme() -> Project:
    return load(shipped.programme())


def said(project: Project, name: str, locale: str, word: str) -> Content:
    person = ann(locale=locale, attributes=LONG[locale])
    scope = subscriber_scope(person, balance_points=1234, earned_points=12345)
    return project.messages[name].render(word, locale, scope)


def newcomer(number: int = 7, **attributes: Any) -> World:
    usage = {"mb_7d": 1234, "mb_today": 321}
    person = ann(id=number, attributes={**LONG["en"], "usage": usage, **attributes})
    return World(load(shipped.programme()), person)


def test_the_programme_has_no_findings() -> None:
    project, findings = check(shipped.programme())
    assert project is not None
    assert findings == ()


def test_a_new_project_has_no_findings_and_its_bot_can_speak() -> None:
    project, findings = check(shipped.starter())
    assert project is not None
    assert findings == ()
    assert {name for name in load(shipped.programme()).messages if name.startswith("bot/")} == {
        name for name in project.messages if name.startswith("bot/")
    }


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_a_text_fits_into_two_parts_and_says_how_to_stop_it(
    programme: Project, name: str, locale: str
) -> None:
    words = said(programme, name, locale, "sms").text
    assert len(short_message.split(words).parts) <= 2, words
    assert ("退订" if locale == "zh" else "STOP") in words
    assert ("星河通信" if locale == "zh" else "Xinghe Mobile") in words
    assert "https://" in words


@pytest.mark.parametrize("name", IN_CHATS)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_a_chat_message_has_buttons(programme: Project, name: str, locale: str) -> None:
    content = said(programme, name, locale, "chat")
    assert content.text
    assert content.buttons


def test_an_english_text_needs_no_more_than_the_gsm_alphabet(programme: Project) -> None:
    for name in MESSAGES:
        assert (
            short_message.encode(said(programme, name, "en", "sms").text)[0] == short_message.GSM7
        ), name


def test_whoever_knows_nothing_about_a_person_can_still_write_to_them(programme: Project) -> None:
    person = ann(attributes={})
    for name in MESSAGES:
        for locale in ("zh", "en"):
            assert programme.messages[name].render("sms", locale, subscriber_scope(person)).text


def sent(world: World) -> list[str]:
    return [
        f"{world.shown(at)} {effect.message.template}"
        for at, effect in world.effects
        if isinstance(effect, SendMessage)
    ]


def test_who_plays_along_has_points_for_a_gift_on_day_4(programme: Project) -> None:
    world = newcomer()
    world.happen("day 1 09:00", "event subscriber.activated")
    world.happen("day 2 12:00", 'event data.used {"mb": 40}')
    world.happen("day 4 11:00", "reply what?")
    world.happen("day 4 12:00", "reply 是")
    cheapest = min(reward.cost_points for reward in programme.rewards.values())
    assert world.scene.account.balance_points >= cheapest
    assert sent(world)[-3:] == [
        "day 4 10:00 seven-days/quiz",
        "day 4 11:00 seven-days/quiz-help",
        "day 4 12:00 seven-days/quiz-right",
    ]


EVERY_PHONE = dict.fromkeys(("sms", "mms", "wap_push"), "+8613800138000")
STEPS = ("entrance", "first-app", "benefit-trial", "quiz", "more", "thanks")


def channels(world: World) -> list[str]:
    """By what the messages of the seven days went."""
    sent_by = {
        effect.message.template: effect.message.channel
        for _, effect in world.effects
        if isinstance(effect, SendMessage)
    }
    return [sent_by[f"seven-days/{step}"] for step in STEPS]


@pytest.mark.parametrize(
    ("addresses", "by"),
    [
        (("sms",), ["sms"] * 6),
        (("sms", "mms"), ["mms"] * 4 + ["sms", "sms"]),
        (("sms", "wap_push"), ["wap_push"] * 3 + ["sms", "wap_push", "sms"]),
        (("sms", "mms", "wap_push"), ["mms"] * 4 + ["wap_push", "sms"]),
        (("sms", "mms", "wap_push", "telegram"), ["telegram"] * 6),
    ],
)
def test_a_message_goes_by_what_the_phone_shows(addresses: tuple[str, ...], by: list[str]) -> None:
    reach = dict.fromkeys(addresses, "+8613800138000")
    person = ann(attributes={**LONG["en"], "usage": {"mb_7d": 0}}, addresses=reach)
    world = World(load(shipped.programme()), person)
    lived(world, [("day 1 09:00", "event subscriber.activated")])
    assert channels(world) == by


def test_what_is_refused_as_mms_goes_as_a_push_and_then_by_sms() -> None:
    world = newcomer()
    world.scene = replace(
        world.scene, subscriber=replace(world.scene.subscriber, addresses=EVERY_PHONE)
    )
    world.happen("day 1 09:00", "event subscriber.activated")
    world.go_to(world.moment("day 2 10:00"))
    told = len(world.transcript)
    world.happen("day 2 10:05", "message fails")
    world.happen("day 2 10:06", "message fails")
    world.happen("day 2 10:07", "message fails")
    assert [line.split(": ")[0] for line in world.transcript[told:]] == [
        "day 2 10:05  moves on to seven-days/first-app by wap_push",
        "day 2 10:06  moves on to seven-days/first-app by sms",
    ]
    assert sum(line.endswith(" seven-days/first-app") for line in sent(world)) == 1


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_an_mms_has_a_subject_words_and_a_picture_that_is_there(
    programme: Project, name: str, locale: str
) -> None:
    if "mms" not in programme.messages[name].channels(locale):
        return
    content = said(programme, name, locale, "mms")
    assert 0 < len(content.subject) <= 40
    assert ("退订" if locale == "zh" else "STOP") in content.text
    assert ("星河通信" if locale == "zh" else "Xinghe Mobile") in content.text
    picture = pictures_in(shipped.programme())[content.image]
    assert picture.size <= 20 * 1024
    assert (picture.width, picture.height) == (320, 240)


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("locale", ["zh", "en"])
def test_a_push_is_two_short_messages_at_most_and_says_how_to_stop_it(
    programme: Project, name: str, locale: str
) -> None:
    if "wap_push" not in programme.messages[name].channels(locale):
        return
    content = said(programme, name, locale, "wap_push")
    push = Indication(content.text, content.href, "signal-medium", "s" * 9, START, START)
    assert len(carriage.parts(carriage.push(*encode(push)), 7)) <= 2, content.text
    assert content.href.startswith("https://")
    assert ("退订" if locale == "zh" else "STOP") in content.text
    assert ("星河通信" if locale == "zh" else "Xinghe Mobile") in content.text


def test_the_stages_follow_each_other_without_getting_in_each_others_way() -> None:
    world = newcomer()
    lived(
        world,
        [
            ("day 1 09:00", "event subscriber.activated"),
            ("day 4 12:00", "reply 1"),
            ("day 6 13:00", 'event data.used {"mb": 45}'),
        ],
    )
    assert sent(world) == [
        "day 1 09:00 lifecycle/welcome",
        "day 1 10:00 seven-days/entrance",
        "day 1 15:00 lifecycle/settings",
        "day 2 10:00 seven-days/first-app",
        "day 3 10:00 seven-days/benefit-night",
        "day 3 18:00 lifecycle/allowance",
        "day 4 10:00 seven-days/quiz",
        "day 4 12:00 seven-days/quiz-right",
        "day 5 10:00 seven-days/more",
        "day 5 18:00 lifecycle/spending",
        "day 6 10:00 seven-days/keen",
        "day 7 10:00 seven-days/thanks",
        "day 15 11:00 lifecycle/maps",
        "day 22 11:00 lifecycle/video",
        "day 37 09:10 lifecycle/month-report",
        "day 56 11:00 lifecycle/bigger-plan",
        "day 70 11:00 lifecycle/local",
        "day 98 11:00 lifecycle/referral",
    ]
    held = [line for line in world.transcript if "withholds" in line or "puts off" in line]
    qingming = "day 35 11:00  puts off lifecycle/month-report until day 37 09:10: holiday"
    assert held == [qingming]


def test_the_holidays_of_2026_are_those_of_the_notice() -> None:
    (pack,) = load(shipped.programme()).contact.holidays.values()
    assert len(pack.free) == 3 + 9 + 3 + 5 + 3 + 3 + 7
    assert len(pack.worked) == 6
    assert all(day.weekday() >= 5 for day in pack.worked), "only weekends are worked instead"
    assert {day.year for day in pack.free | pack.worked} == {pack.valid_until.year}


def test_who_wants_no_tips_gets_no_more_campaigns_but_still_what_the_service_needs() -> None:
    world = newcomer()
    lived(world, [("day 1 09:00", "event subscriber.activated"), ("day 4 12:00", "reply 0")])
    assert "no-tips" in world.scene.subscriber.tags
    later = [line for line in sent(world) if not line.startswith(("day 1", "day 2", "day 3"))]
    assert later == ["day 4 10:00 seven-days/quiz", "day 5 18:00 lifecycle/spending"]


def test_without_a_yes_to_marketing_only_the_service_writes() -> None:
    person = ann(attributes=LONG["en"], consents={})
    world = World(load(shipped.programme()), person)
    lived(world, [("day 1 09:00", "event subscriber.activated")])
    assert all(" lifecycle/" in line for line in sent(world))
    assert len(sent(world)) == 4


def test_after_a_stop_nothing_is_sent() -> None:
    refused = {"everything": Consent(False, datetime(2026, 1, 1, tzinfo=UTC))}
    world = World(load(shipped.programme()), ann(attributes=LONG["en"], consents=refused))
    lived(world, [("day 1 09:00", "event subscriber.activated")])
    assert sent(world) == []
