"""Events, areas and the table of cells, from files to a project."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.core.feed import Setting
from orchestrator.project import cells, shipped, source
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import check, load

EVENTS = """
events:
  call.ended:
    keep: matching
    properties: {peer: text, seconds: number, note?: text}
    sets: {cell: event.cell, power: 'on', level: 3}
  subscriber.activated: {}
  x.y: {}
lateness: 45s
"""
AREAS = """
areas:
  campuses: {cells: [a17, 4711]}
  airport: {cells: [t9], polygon: [[116, 40], [117, 40], [117, 41], [116, 41]]}
cells: where.csv
"""
WHERE = "site;cell;lat;lon\n\nGate;a17;39.9;116.3\nPier;t1;40.5;116.5\n"
FILES = {
    **shipped.starter(),
    "journeys/program/events.yaml": EVENTS.replace("sets: {cell: event.cell, ", "sets: {"),
    "journeys/program/areas.yaml": AREAS,
    "journeys/program/where.csv": WHERE,
    "journeys/calls.yaml": """
journey: calls
class: friendly
enter:
  - on: call.ended
  - {on: subscriber.activated, sample: 10%, unless: [call.ended, {on: x.y, if: event.z}], after: 5m}
  - on: subscriber.activated
steps:
  - {id: one, wait: 1d}
""",
}


def test_a_project_knows_its_feed_and_its_areas() -> None:
    project = load(FILES)
    call = project.feed.events["call.ended"]
    assert call.keep == "matching"
    assert call.properties == {"peer": "text", "seconds": "number", "note": "text"}
    assert call.may_lack == {"note"}
    assert call.sets == {"power": Setting(value="on"), "level": Setting(value=3)}
    assert project.feed.lateness == timedelta(seconds=45)
    assert project.areas["campuses"].cells == {"a17", "4711"}
    assert project.areas["airport"].cells == {"t1", "t9"}
    assert project.areas["airport"].has([116.5, 40.5]) is True


def test_triggers_are_what_the_matcher_judges_and_nothing_else_is() -> None:
    project = load(FILES)
    found = [(journey.name, number) for journey, number, _ in project.triggers]
    assert found == [("calls", 0), ("calls", 1)]
    plain = [
        it for journey, it in project.entering["subscriber.activated"] if journey.name == "calls"
    ]
    assert plain == [(project.journeys["calls"].enter[2],)]
    assert "call.ended" not in project.entering
    second = project.journeys["calls"].enter[1]
    assert second.trigger_keys() == ("after", "unless", "sample")
    assert [it.on for it in second.unless] == ["call.ended", "x.y"]


def test_a_property_that_an_event_sets_must_be_one_it_tells() -> None:
    _, findings = check({**FILES, "journeys/program/events.yaml": EVENTS})
    assert [found.rule for found in findings if found.severity == "error"] == ["unknown-property"]


def test_tables_are_part_of_a_project_below_its_programme_only(tmp_path: Path) -> None:
    for path, text in {**FILES, "journeys/prospects.csv": "+8613800138000\n"}.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert source.read_folder(tmp_path) == FILES


def test_a_table_may_be_larger_than_a_text(tmp_path: Path) -> None:
    (tmp_path / "journeys/program").mkdir(parents=True)
    table = tmp_path / "journeys/program/cells.csv"
    table.write_bytes(b"x" * (source.MAX_FILE_OCTETS + 1))
    assert len(source.read_folder(tmp_path)["journeys/program/cells.csv"]) > source.MAX_FILE_OCTETS
    table.write_bytes(b"x" * (source.MAX_TABLE_OCTETS + 1))
    with pytest.raises(ProjectErrors, match="larger than"):
        source.read_folder(tmp_path)


def test_of_many_bad_rows_some_are_told_and_the_rest_are_counted() -> None:
    rows = "".join(f"c{number},200,40\n" for number in range(cells.MOST_FINDINGS + 5))
    read, findings = cells.read("cells.csv", f"cell,lon,lat\n{rows}c,1,2\n")
    assert len(findings) == cells.MOST_FINDINGS + 1
    assert findings[-1].message.startswith("5 more rows")
    assert read.points == {"c": (1.0, 2.0)}


def test_a_table_without_its_columns_is_told_so() -> None:
    _, findings = cells.read("cells.csv", "cel,lon,lat\na,1,2\n")
    assert [str(it) for it in findings] == [
        "cells.csv:1:1: error: there is no column 'cell' "
        "(its first line names the columns: cell,lon,lat) [form]"
    ]
    assert cells.read("cells.csv", "")[1]
    assert not cells.read("cells.csv", "Cell;Lon;Lat\na;1;2\n")[1]


def test_what_stands_in_quotes_may_have_a_separator_in_it() -> None:
    rows = 'c1,"Main St, North",1,2\r\n"c2", "say ""here""",3 ,"4"\r\nc3,"x,181,2\r\n'
    read, findings = cells.read("cells.csv", f"cell,name,lon,lat\r\n{rows}")
    assert read.points == {"c1": (1.0, 2.0), "c2": (3.0, 4.0)}
    assert [it.mark.line for it in findings] == [4]


def test_a_table_without_rows_is_told_so() -> None:
    _, findings = cells.read("cells.csv", "cell,lon,lat\n\n")
    assert [it.message for it in findings] == ["no cell stands here"]


def test_a_table_whose_name_is_misspelt_is_one_finding() -> None:
    areas = AREAS.replace("where.csv", "were.csv")
    _, findings = check({**FILES, "journeys/program/areas.yaml": areas})
    assert [found.message for found in findings if found.rule == "file"] == [
        "there is no table 'were.csv'"
    ]


def test_outlines_that_pass_too_many_cells_are_told_and_not_worked_out() -> None:
    zigzag = ", ".join(f"[{116 + number % 2}, {39 + number % 3}]" for number in range(900))
    table = "cell,lon,lat\n" + "".join(f"c{number},116.5,40.5\n" for number in range(60_000))
    small = "[116, 40], [117, 40], [117, 41]"
    areas = f"areas: {{small: {{polygon: [{small}]}}, wild: {{polygon: [{zigzag}]}}}}"
    files = {
        **shipped.starter(),
        "journeys/program/areas.yaml": f"{areas}\ncells: cells.csv\n",
        "journeys/program/cells.csv": table,
    }
    project, findings = check(files)
    assert project is None
    assert [(it.rule, it.message) for it in findings] == [
        (
            "bad-outline",
            "this is no outline: its edges, and those above it, pass too many cells",
        )
    ]
