"""2. A journey is a file: YAML that reads like the plan it is.

Loading turns a campaign's texts into one frozen `Project`. It is strict, so that mistakes are found
at an author's desk and not in a thousand phones: whatever is wrong is said with file, line and what
to do about it.
"""

from __future__ import annotations

import pytest

from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import load
from tests.fundamentals.campaign import FILES, WELCOME


def test_the_texts_of_a_campaign_become_a_project() -> None:
    project = load(FILES)
    welcome = project.journeys["welcome"]
    assert list(welcome.steps) == [
        "hello",
        "quiz",
        "quiz.reply-1.1",  # what is inside a step is named after it
        "quiz.silence.1",
    ]
    assert welcome.steps["hello"].next == "quiz"


def test_each_text_of_a_journey_is_a_version_of_its_own() -> None:
    """Subscribers stay on the version they entered, however the file is edited afterwards."""
    before = load(FILES).journeys["welcome"].version
    edited = {**FILES, "journeys/welcome.yaml": WELCOME.replace("10:00", "11:00")}
    assert load(FILES).journeys["welcome"].version == before
    assert load(edited).journeys["welcome"].version != before


def test_a_mistake_is_named_with_its_line_and_what_to_do() -> None:
    wrong = {**FILES, "journeys/welcome.yaml": WELCOME.replace("send: hello", "send: helo")}
    with pytest.raises(ProjectErrors) as caught:
        load(wrong)
    said = str(caught.value)
    assert "journeys/welcome.yaml:12:" in said
    assert "there is no message 'helo'" in said
    assert "hello" in said, "it says what was probably meant"
