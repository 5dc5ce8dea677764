"""9. A message is one file with all its wordings.

One file per language, a block per channel: what SMS says stands beside what chat says. Words are
rendered when the decision is made, so that a second attempt says the same.
"""

from __future__ import annotations

import pytest

from orchestrator.core.errors import RenderError
from orchestrator.core.expression import subscriber_scope
from orchestrator.core.model import Button
from orchestrator.core.render import compile_message
from tests.fundamentals.campaign import ANN, HELLO

CHINESE = "{% block sms %}欢迎{{ subscriber.name }}！{% endblock %}"


def test_each_channel_has_its_block() -> None:
    hello = compile_message("hello", {"en": HELLO}, default_locale="en")
    sms = hello.render("sms", "en", subscriber_scope(ANN))
    assert sms.text == "Welcome, Ann! Reply STOP to end."
    chat = hello.render("chat", "en", subscriber_scope(ANN))
    assert chat.buttons == (Button("My points", "points"), Button("Help", "help"))


def test_a_language_falls_back_to_the_next_wider_one_and_then_to_the_project_s() -> None:
    hello = compile_message("hello", {"en": HELLO, "zh": CHINESE}, default_locale="en")
    assert hello.render("sms", "zh-CN", subscriber_scope(ANN)).text == "欢迎Ann！"
    assert hello.render("sms", "pt-BR", subscriber_scope(ANN)).text.startswith("Welcome")


def test_half_a_sentence_is_not_sent() -> None:
    """A name we do not know is an error for that one subscriber, not `Welcome, !`."""
    hello = compile_message("hello", {"en": HELLO}, default_locale="en")
    with pytest.raises(RenderError, match=r"hello\.en\.j2:2"):
        hello.render("sms", "en", {"subscriber": {}})
