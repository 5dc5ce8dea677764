"""Whatever an editor's slip makes of a project, the answer is findings and never a crash."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.project import shipped
from orchestrator.project.load import check

GOOD = {
    path: text
    for path, text in shipped.programme().items()
    if path.startswith(("journeys/", "templates/seven-days/"))
    and not path.startswith("journeys/lifecycle")
}
PATHS = sorted(path for path in GOOD if path.startswith("journeys/"))
WORDS = ["null", "[]", "{}", "''", "-1", "999999999999", "[[x]]", "{a: b}", "day 0 25:00", "x: y"]


@st.composite
def slips(draw: st.DrawFn) -> tuple[str, str]:
    """A file, and its text with one to three lines spoilt."""
    path = draw(st.sampled_from(PATHS))
    lines = GOOD[path].splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[at].partition(": ")
        match draw(st.integers(0, 5)):
            case 0:
                lines[at] = ""
            case 1:
                lines[at] = "  " + lines[at]
            case 2:
                lines.insert(at, lines[at])
            case 3:
                lines[at] = f"{key}{colon}{draw(st.sampled_from(WORDS))}"
            case 4:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
    return path, "\n".join(lines) + "\n"


@settings(max_examples=150, deadline=None)
@given(slips())
def test_a_slip_is_a_finding_or_harmless(slip: tuple[str, str]) -> None:
    path, text = slip
    project, findings = check({**GOOD, path: text})
    errors = [found for found in findings if found.severity == "error"]
    assert (project is None) == bool(errors)
    for found in findings:
        assert found.message
        assert 1 <= found.mark.line <= (text + GOOD.get(found.mark.file, "")).count("\n") + 1


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=200))
def test_any_text_for_a_template_is_a_finding_or_a_message(text: str) -> None:
    path = "templates/seven-days/entrance.en.j2"
    project, findings = check({**GOOD, path: text})
    assert (project is None) == any(found.severity == "error" for found in findings)
