"""A journey as nodes, edges and a picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator.core.journey import Journey
from orchestrator.core.steps import STEP_TYPES
from orchestrator.project import source, stepwords
from orchestrator.project.drawing import STYLE, svg
from orchestrator.project.graph import (
    END,
    HELD_OUT,
    START,
    Graph,
    elsewhere,
    graph,
    journeys,
    sketch,
)
from orchestrator.project.load import load_folder, load_journey, read
from orchestrator.project.mermaid import mermaid

ROOT = Path(__file__).parents[2]
SHIPPED = load_folder(ROOT).journeys
SEVEN_DAYS = SHIPPED["seven-days"]

HEAD = "journey: small\nsummary: a <small> one\nclass: promotion\nenter: []\nsteps:\n"


def small(steps: str) -> Journey:
    return load_journey("journeys/small.yaml", HEAD + steps)


def ways(found: Graph) -> set[tuple[str, str, str]]:
    return {(it.source, it.label, it.target) for it in found.edges}


def shapes(picture: str, named: str) -> Iterator[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each rectangle of this class."""
    for it in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}rect"):
        if it.get("class") == named:
            x, y, width, height = (float(it.get(key, "0")) for key in ("x", "y", "width", "height"))
            yield x, y, x + width, y + height


def test_branches_come_together_at_the_step_below() -> None:
    steps = """
  - id: first
    when:
      - if: usage.mb > 3
        do: [{send: hello}]
      - else: [{send: bye}, {wait: 2d}]
  - id: last
    award: 5
    for: patience
"""
    assert ways(graph(small(steps))) == {
        (START, "", "first"),
        ("first", "usage.mb > 3", "first.case-1.1"),
        ("first", "otherwise", "first.case-2.1"),
        ("first.case-2.1", "", "first.case-2.2"),
        ("first.case-1.1", "", "last"),
        ("first.case-2.2", "", "last"),
        ("last", "", END),
    }


def test_a_branch_without_steps_and_a_case_that_is_left_out_lead_on() -> None:
    found = graph(small("  - id: one\n    when: [{if: usage.mb > 3, do: [{send: hello}]}]\n"))
    assert ("one", "otherwise", END) in ways(found)
    found = graph(small("  - {id: one, wait_for: data.used, within: 36h}\n"))
    assert {("one", "it happens", END), ("one", "not within 1d 12h", END)} <= ways(found)


def test_nothing_leads_on_from_a_step_that_leaves() -> None:
    found = graph(small("  - {id: one, leave: enough}\n"))
    assert ways(found) == {(START, "", "one")}
    assert END not in {node.id for node in found.nodes}


def test_a_question_says_what_each_answer_leads_to() -> None:
    found = {label for source, label, _ in ways(graph(SEVEN_DAYS)) if source == "quiz"}
    assert found >= {"0", "anything else, up to 3×", "no answer in 20h"}


def test_all_that_a_trigger_asks_is_drawn_line_by_line() -> None:
    known = SHIPPED.values()
    start = graph(SHIPPED["ring-back-tone"], known).nodes[0]
    assert [line.partition(" ")[0] for line in start.lines] == [
        "on", "hours", "after", "unless", "still", "once",
    ]  # fmt: skip
    drawn = svg(sketch(SHIPPED["ring-back-tone"], known))
    for said in ("subscriber.tags", "after 5m", "phone.off or", "once per 1d"):
        assert said in drawn, said
    assert "…" not in drawn


def test_a_journey_says_where_it_comes_from_and_where_it_leads() -> None:
    shipped = SHIPPED.values()
    found = graph(SEVEN_DAYS, shipped)
    assert ("onwards", "enrolls", "journey:lifecycle-month-1") in ways(found)
    start = graph(SHIPPED["lifecycle-month-1"], shipped).nodes[0]
    assert set(start.lines) == {"enrolled by lifecycle-week-1", "enrolled by seven-days"}


def test_who_enters_on_an_event_that_is_emitted_is_named() -> None:
    other = load_journey(
        "journeys/other.yaml",
        HEAD.replace("small", "other").replace("[]", "{on: tea.made}") + "  - {id: a, wait: 1d}\n",
    )
    waits = small("  - {id: one, wait_for: tea.made, within: 1d}\n")
    emits = small("  - {id: one, emit: tea.made}\n")
    found = graph(emits, [emits, other])
    assert ("one", "enters on it", "journey:other") in ways(found)
    assert ("one", "waits for it", "journey:small") in ways(graph(emits, [waits]))


def test_what_a_trigger_waits_for_is_told() -> None:
    enter = "{on: call.ended, if: event.x > 3, hours: 09:00-24:00, after: 5m, once_per: 1d,\n"
    enter += "  unless: [phone.off, {on: moved, if: event.far}], still: state.on, sample: 10%}"
    text = HEAD.replace("[]", enter) + "  - {id: a, emit: call.ended}\n"
    journey = load_journey("journeys/small.yaml", text)
    found = graph(journey, [journey])
    assert found.nodes[0].lines == (
        "on call.ended if event.x > 3",
        "hours 09:00-24:00",
        "after 5m",
        "unless phone.off or moved if event.far",
        "still state.on",
        "once per 1d",
        "for 10 % of all",
    )
    assert "journey:small" not in {to for _, _, to in ways(found)}, (
        "no trigger hears what is emitted"
    )


def test_people_stand_at_their_steps_and_those_of_other_versions_are_not_forgotten() -> None:
    mine = SEVEN_DAYS.version
    people = {"quiz": {mine: 1300, "bb": 4}, "gone": {"bb": 2}, HELD_OUT: {mine: 9}}
    found = graph(SEVEN_DAYS, people=people)
    (quiz,) = (node for node in found.nodes if node.id == "quiz")
    assert quiz.people == {mine: 1300, "bb": 4}
    assert found.elsewhere == {"gone": {"bb": 2}}
    assert {"1,300 under way in this version", "6 under way in version bb"} <= {*found.facts}
    picture = svg(sketch(SEVEN_DAYS, people=people), elsewhere=elsewhere(SEVEN_DAYS, people))
    assert ">1,300 + 4<" in picture
    assert f"1,300 in {mine}, 4 in bb" in picture
    assert "2 in version bb at gone, a step that this version lacks" in picture
    assert "5 % are held out and only measured: 9 now" in picture
    assert "1,300 here, 4 in other versions" in mermaid(found)


@pytest.mark.parametrize("name", SHIPPED)
def test_no_two_things_of_a_picture_lie_on_each_other(name: str) -> None:
    picture = svg(sketch(SHIPPED[name], SHIPPED.values()))
    (paper,) = shapes(picture, "paper")
    boxes = [*shapes(picture, "box"), *shapes(picture, "pill"), *shapes(picture, "why")]
    steps = len(SHIPPED[name].steps)
    assert len([*shapes(picture, "box")]) == steps + 1
    for number, one in enumerate(boxes):
        assert paper[0] <= one[0] < one[2] <= paper[2]
        assert paper[1] <= one[1] < one[3] <= paper[3]
        for other in boxes[:number]:
            beside = one[2] <= other[0] or other[2] <= one[0]
            above = one[3] <= other[1] or other[3] <= one[1]
            assert beside or above, (one, other)


def test_a_picture_says_every_step_and_holds_no_markup_of_an_authors() -> None:
    steps = "  - {id: one, leave: '<script>&\"'}\n"
    picture = svg(sketch(small(steps)))
    said = "".join(ElementTree.fromstring(picture).itertext())
    assert '<script>&"' in said
    assert "a <small> one" in said


def test_a_picture_is_well_formed_whatever_letters_an_author_writes() -> None:
    steps = '  - {id: one, leave: "a\\x01b\\u2028 & \\uFFFE"}\n'
    found = small(steps)
    assert "a b" in "".join(ElementTree.fromstring(svg(sketch(found))).itertext())
    assert "\x01" not in mermaid(graph(found))


def test_a_picture_can_leave_its_style_to_the_page_and_link_to_its_messages() -> None:
    picture = svg(
        sketch(SEVEN_DAYS),
        styled=False,
        message_link=lambda name: f"?message={name}&a",
        journey_link=lambda name: f"?journey={name}",
    )
    assert "<style" not in picture
    assert "style=" not in picture
    assert 'href="?message=seven-days/quiz&amp;a"' in picture
    assert 'href="?journey=lifecycle-month-1"' in picture
    assert "prefers-color-scheme: dark" in STYLE


def test_the_picture_in_the_documents_is_in_step_with_the_journey() -> None:
    drawn = svg(sketch(SEVEN_DAYS, SHIPPED.values()))
    told = "run: outreach graph seven-days --out docs/pictures/seven-days.svg"
    assert (ROOT / "docs/pictures/seven-days.svg").read_text() == drawn, told


@pytest.mark.parametrize("word", STEP_TYPES)
def test_every_step_type_is_told_in_words(word: str) -> None:
    """Also one that is added later: then its own keys are said."""
    texts = (ROOT / f"tests/core/steps/{word}.yaml").read_text()
    assert re.search(rf"\b{word}:", texts), word
    kind = STEP_TYPES[word]
    step = next(
        it.step
        for journey in [*SHIPPED.values(), *_examples()]
        for it in journey.steps.values()
        if isinstance(it.step, kind)
    )
    title, lines = stepwords.said(step)
    assert title.startswith(word.replace("_", " "))
    assert all(lines)


def _examples() -> Iterator[Journey]:
    yield small("  - {id: one, hand_over: pitch, to: calls, within: 5d}\n")
    yield small("  - {id: one, leave: enough}\n")


def test_a_journey_is_drawn_whatever_is_wrong_with_another() -> None:

    files = {**source.read_folder(ROOT), "journeys/broken.yaml": "journey: ["}
    assert set(journeys(read(files))) == set(SHIPPED)
