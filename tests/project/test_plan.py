"""A plan says what changes, what it costs, and what the author may have meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from orchestrator.project import plan_words as words
from orchestrator.project.load import load
from orchestrator.project.plan import Flight, JourneyPlan, Plan, Side, Standing
from orchestrator.project.planning import plan
from orchestrator.project.source import content_hash
from tests.runtime.installation import FILES

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
TOUR = """
journey: tour
class: urgent
enter: [{on: tour.asked}]
steps:
  - {id: first, send: hello, via: [sms]}
  - id: question
    ask: hello
    via: [sms]
    within: 2d
    reply: [{is: [yes], do: [{send: hello, via: [sms]}]}]
    silence: [{leave: silent}]
  - id: choice
    when:
      - if: subscriber.locale == 'en'
        do: [{send: hello, via: [sms]}]
      - else: [{send: hello, via: [sms]}, {send: hello, via: [sms]}]
"""


def side(tour: str | None, **settings: str) -> Side:
    given = ", ".join(f"{name}: {value}" for name, value in settings.items())
    project = f"{{name: small, locale: en, timezone: UTC, {given}}}"
    files = {**FILES, "journeys/program/project.yaml": project}
    if tour is not None:
        files["journeys/tour.yaml"] = tour
    return Side(load(files), files, content_hash(files))


def planned(before: str, after: str | None, **settings: str) -> Plan:
    """The change, with ten people at each step of the version before."""
    was, will = side(before, **settings), side(after, **settings)
    tour = was.project.journeys["tour"]
    standing = [Standing(tour.version, step, "active", False, 10) for step in tour.steps]
    flight = Flight({"tour": standing}, {tour.version: tour})
    return plan(was, will, flight, (), NOW)


def tour_of(found: Plan) -> JourneyPlan:
    return next(it for it in found.journeys if it.journey == "tour")


def edited(*changes: tuple[str, str], in_flight: str = "") -> str:
    text = TOUR
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text.replace("class:", f"in_flight: {in_flight}\nclass:") if in_flight else text


def why(found: Plan) -> Mapping[str, str]:
    return {it.step: words.why(it) for it in tour_of(found).stranded}


def test_keys_of_the_journey_itself_are_told_of() -> None:
    text = edited(("[{on: tour.asked}]", "[{on: tour.wanted}]\nagain: always"), in_flight="follow")
    found = planned(TOUR, text)
    assert tour_of(found).what == ("enter", "again", "in_flight")
    assert "- the journey itself: enter, again, in_flight\n" in words.markdown(found)


def test_another_order_of_steps_is_a_change() -> None:
    first = "  - {id: first, send: hello, via: [sms]}\n"
    found = tour_of(planned(TOUR, edited((first, "")) + first))
    assert (found.what, found.steps) == (("steps",), ())
    assert words.itself(found) == "the order of its steps"


def test_an_edit_that_changes_nothing_says_so() -> None:
    found = tour_of(planned(TOUR, TOUR + "# once more\n"))
    assert (found.kind, found.what, found.steps) == ("changed", (), ())
    assert words.itself(found) == "only comments or layout differ"


def test_a_step_that_was_renamed_is_guessed() -> None:
    text = edited(("id: question", "id: survey"), in_flight="follow")
    guess = "the new version has no such step; map it: move: {question: survey}"
    gone = ("question", "question.reply-1.1", "question.silence.1")
    assert why(planned(TOUR, text)) == dict.fromkeys(gone, guess)
    assert why(planned(TOUR, text.replace("within: 2d", "within: 3d"))) == dict.fromkeys(
        gone, guess
    )
    other = text.replace("ask: hello", "ask: bot/help").replace("id: survey", "id: other")
    said = why(planned(TOUR, other))["question"]
    assert said == "the new version has no such step; map it: move: {question: …}"


def test_a_name_that_is_misspelt_in_the_mapping_is_told() -> None:
    text = edited(("id: question", "id: survey"), in_flight="{move: {quesiton: survey}}")
    said = why(planned(TOUR, text))["question"]
    assert said == (
        "the new version has no such step, and `move` says quesiton; write: "
        "move: {question: survey}"
    )


def test_costs_are_of_the_cheapest_and_the_dearest_way() -> None:
    text = edited((", {send: hello, via: [sms]}]\n", "]\n"))
    found = planned(text, TOUR, prices="{currency: EUR, sms: 0.1}")
    assert words.cost(tour_of(found), "EUR") == (
        "one person costs 0.2 to 0.5 EUR, by the way they take (was 0.2 to 0.4)"
    )


def test_an_sms_costs_less_where_the_channel_may_write_it_in_national_tables() -> None:
    was = side(TOUR, prices="{currency: EUR, sms: 0.1}")
    turkish = "Şu an ğ ile yazıyoruz, " * 6
    files = {**was.files, "templates/hello.en.j2": f"{{% block sms %}}{turkish}{{% endblock %}}"}
    will = Side(load(files), files, content_hash(files))
    for languages, least in (((), "0.6"), (("tr",), "0.2")):
        found = plan(was, will, Flight({}, {}), (), NOW, languages=languages)
        cost = tour_of(found).cost_after
        assert cost is not None
        assert cost.least == least


def test_who_finishes_a_removed_journey_is_told_so_and_which_message_they_miss() -> None:
    was = side(TOUR)
    files = {path: text for path, text in was.files.items() if path != "journeys/tour.yaml"}
    tour = was.project.journeys["tour"]
    flight = Flight(
        {"tour": [Standing(tour.version, "first", "active", False, 10)]}, {tour.version: tour}
    )
    found = plan(was, Side(load(files), files, content_hash(files)), flight, (), NOW)
    assert "| at first | 10 | finish it: the journey is removed |" in words.markdown(found)
