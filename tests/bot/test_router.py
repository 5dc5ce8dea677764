"""Who gets a reply: consent, then commands, then the newest question, then help."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.command import Said
from bot.registry import COMMANDS, understand
from bot.router import answer, shops
from orchestrator.core.codes import hash_code, read_code
from orchestrator.core.effects import Redeem, SendMessage, SetConsent, Suppress
from orchestrator.core.events import ReplyReceived, SubscriberEvent
from orchestrator.core.model import Consent
from tests.bot.chat import NOON, SECRET, Chat, line, shipped

QUIZ = """
journey: quiz
class: {contact_class}
enter: [{{on: quiz.start}}]
steps:
  - id: question
    ask: bot/language
    within: 24h
    reply:
      - is: ['1', 'yes', 'points']
        do: [{{send: bot/cancelled}}]
"""
MEMBER = {"lots": ((200, None),)}


def quizzed(contact_class: str = "care", **more: object) -> Chat:
    """Somebody whom a journey can ask a question, to which 1, yes and points are answers."""
    text = QUIZ.format(contact_class=contact_class)
    return Chat(shipped(("journeys/test-quiz.yaml", text)), **{**MEMBER, **more})  # type: ignore[arg-type]


def ask(chat: Chat) -> None:
    chat.passes(timedelta(seconds=5))
    event = SubscriberEvent("quiz.start", chat.now, {}, f"event-{chat.now}")
    assert chat.happens(event)


def quiz_status(chat: Chat) -> tuple[str, str | None]:
    enrollment = chat.scene.enrollments["quiz"]
    return enrollment.status, enrollment.reason


def test_a_question_gets_the_reply_that_is_no_command() -> None:
    chat = quizzed()
    ask(chat)
    assert "Your points are back" in chat.says("1")[0]
    assert quiz_status(chat) == ("finished", None)


def test_a_command_is_a_command_even_while_a_question_waits() -> None:
    chat = quizzed()
    ask(chat)
    assert "200 points" in chat.says("points")[0]
    assert quiz_status(chat) == ("active", None)


def test_what_the_question_does_not_understand_gets_help_and_leaves_it_open() -> None:
    chat = quizzed()
    ask(chat)
    assert "reply POINTS" in chat.says("what?")[0]
    assert quiz_status(chat) == ("active", None)


def test_a_number_is_a_choice_while_the_list_is_newer_than_the_question() -> None:
    chat = quizzed()
    ask(chat)
    chat.says("rewards")
    assert "50 MB day pack for 30 points?" in chat.says("1")[0]
    assert quiz_status(chat) == ("active", None)


def test_a_number_is_an_answer_once_a_journey_has_asked_since() -> None:
    chat = quizzed()
    chat.says("rewards")
    ask(chat)
    chat.says("1")
    assert quiz_status(chat) == ("finished", None)
    assert "Ring-back tone" in chat.says("2")[0]


def test_what_the_newest_question_cannot_use_goes_to_the_older_one() -> None:
    chat = quizzed()
    chat.says("rewards")
    ask(chat)
    assert "500 MB week pack for 80 points?" in chat.says("3")[0]
    assert quiz_status(chat) == ("active", None)


def test_a_yes_is_for_the_purchase_only_if_that_was_asked_last() -> None:
    chat = quizzed()
    chat.says("redeem coffee")
    ask(chat)
    assert "Your points are back" in chat.says("yes")[0]
    assert quiz_status(chat) == ("finished", None)
    assert "is yours" in chat.says("yes")[0]


def test_a_yes_written_before_we_asked_buys_nothing() -> None:
    chat = quizzed()
    written = chat.now + timedelta(seconds=1)
    chat.says("redeem coffee")
    chat.says("yes", at=written)
    assert len(chat.scene.account.holds) == 1


def test_consent_comes_before_questions_and_purchases() -> None:
    chat = quizzed()
    ask(chat)
    chat.says("redeem coffee")
    (said,) = chat.says("Cancel!")
    assert "unsubscribed" in said
    assert quiz_status(chat) == ("left", "opted_out")
    assert chat.scene.account.holds == ()
    assert chat.scene.account.balance_points == 200


def test_journeys_that_only_answer_go_on_after_an_opt_out() -> None:
    chat = quizzed("answer")
    ask(chat)
    chat.says("stop")
    assert quiz_status(chat) == ("active", None)


def test_an_opt_out_says_when_how_and_in_what_words() -> None:
    chat = quizzed()
    chat.says("ＴＤ。")
    (effect,) = [e for e in chat.effects if isinstance(e, SetConsent)]
    assert effect == SetConsent("everything", Consent(False, chat.now, "reply", "ＴＤ。"))
    assert isinstance(chat.effects[-2], SendMessage), "the confirmation comes after the opt-out"


def test_a_broken_text_opts_out_all_the_same_and_is_kept_whole_as_far_as_it_can_be_stored() -> None:
    chat = quizzed()
    chat.says("Stop\0\ud800\x07!")
    assert chat.scene.subscriber.consents["everything"].wording == "Stop!"


def test_an_opt_out_holds_even_if_the_project_has_no_words_for_it() -> None:
    chat = Chat(replace(shipped(), messages={}))
    reply = ReplyReceived("STOP", "sms", "+8613800138000", NOON, "reply")
    decision = answer(chat.scene, reply, NOON)
    assert decision.scene.subscriber.consents["everything"].granted is False
    (failure,) = [e for e in decision.effects if isinstance(e, Suppress)]
    assert "there is no message bot/stopped" in failure.reason


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", "stop.", " Stop ", "「停止」", "ＳＴＯＰ", "s\u200btop", "STOP 🙏🏽", "Stop All"),
        *("UNSUBSCRIBE", "STOPALL", "CANCEL", "END", "QUIT", "opt-out", "TD", "T", "td!"),
        *("退订", "退訂", "取消", "停止", "拒收", "/stop", "/stop@xinghe_bot"),
    ],
)
def test_every_way_to_say_stop_stops(text: str) -> None:
    chat = Chat(shipped())
    chat.says(text)
    assert chat.scene.subscriber.consents["everything"].granted is False


@pytest.mark.parametrize(
    "text",
    ["please do not stop", "stopp", "STOP " + "x" * 100_000, "unstoppable", "停止使用流量怎么办"],
)
def test_what_only_contains_the_word_does_not(text: str) -> None:
    chat = Chat(shipped())
    chat.says(text)
    assert chat.scene.subscriber.consents == {}


def test_what_somebody_says_never_comes_back_to_them() -> None:
    chat = Chat(shipped(), **MEMBER)  # type: ignore[arg-type]
    for text in ("redeem http://evil.example", "http://evil.example", "/start http://evil.example"):
        assert "evil" not in " ".join(chat.says(text))


@given(text=st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_anything_a_person_can_type_is_dealt_with(text: str) -> None:
    chat = quizzed()
    ask(chat)
    chat.says("rewards")
    chat.says(text)
    chat.says("redeem " + text)
    chat.says(text)


@pytest.mark.parametrize("text", ["x" * 100_000, "🎉" * 5_000, "\u0301" * 100_000, "\0", ""])
def test_hostile_texts_get_one_friendly_answer(text: str) -> None:
    chat = Chat(shipped())
    assert len(chat.says(text)) == 1


def test_two_machines_do_not_talk_for_ever() -> None:
    chat = Chat(shipped())
    answers = [chat.says(f"I am away, ticket {number}") for number in range(100)]
    assert sum(map(len, answers)) == 5


def test_a_machine_cannot_keep_somebody_from_opting_out() -> None:
    chat = Chat(shipped())
    for number in range(100):
        chat.says(f"I am away, ticket {number}")
    assert len(chat.says("stop")) == 1


def test_the_code_a_buyer_gets_is_stored_as_its_hash_alone() -> None:
    chat = Chat(shipped(), **MEMBER)  # type: ignore[arg-type]
    chat.says("redeem coffee")
    (said,) = chat.says("yes")
    code = next(word for word in said.replace(":", " ").split() if word.count("-") == 3)
    assert read_code(code) == code
    (sale,) = [effect for effect in chat.effects if isinstance(effect, Redeem)]
    assert sale.code_hash == hash_code(code, SECRET)


def test_an_answer_goes_back_where_the_reply_came_from() -> None:
    chat = Chat(shipped(), channel="telegram")
    chat.says("/points")
    (sent,) = [effect.message for effect in chat.effects if isinstance(effect, SendMessage)]
    assert (sent.channel, sent.address, sent.contact_class) == ("telegram", "42", "answer")
    assert (sent.journey, sent.via) == ("", ())
    assert "Your balance" not in line(sent.content)


def test_stock_is_asked_for_only_when_the_answer_may_need_it() -> None:
    chat = Chat(shipped(), **MEMBER)  # type: ignore[arg-type]

    def may_shop(text: str) -> bool:
        return shops(chat.scene, ReplyReceived(text, "sms", "+86", chat.now, "reply"))

    assert not any(map(may_shop, ("points", "stop", "1", "yes", "hello")))
    assert all(map(may_shop, ("rewards", "redeem 1", "兑换")))
    chat.says("rewards")
    assert may_shop("1")
    chat.says("1")
    assert may_shop("yes")


def test_no_two_commands_answer_to_the_same_word() -> None:
    for name, command in COMMANDS.items():
        for word in command.WORDS:
            assert type(understand(Said.of(word))) is command, f"{word} is not {name}"
