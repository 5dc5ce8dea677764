"""`outreach graph`: a journey drawn, with the people in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import asyncpg
from typer.testing import CliRunner, Result

from orchestrator.cli.main import build
from orchestrator.project import source
from tests.cli.shell import outreach

ROOT = Path(__file__).parents[2]
STARTER = Path(source.__file__).parent / "starter"

# Forty in the version that runs, three in one before, and five held out.
STAND = """
INSERT INTO enrollments (subscriber_id, journey, shard, version, run, status, step, entered_at)
SELECT n, 'hello', 0, CASE WHEN n <= 40 THEN 'new' ELSE 'old' END, 1,
    CASE WHEN n > 43 THEN 'control' ELSE 'active' END,
    CASE WHEN n <= 42 THEN 'question' WHEN n = 43 THEN 'gone' END, now()
FROM generate_series(1, 48) AS people (n)
"""


def graph(*arguments: str, folder: Path = ROOT) -> Result:
    return CliRunner().invoke(build(["graph"]), ["graph", *arguments, "--project", str(folder)])


def test_a_journey_is_printed_for_markdown() -> None:
    drawn = graph("lifecycle-day-1")
    assert drawn.exit_code == 0
    assert drawn.output.startswith("%% lifecycle-day-1: ")
    assert "\nflowchart TD\n" in drawn.output
    assert '-->|"not within 6h"|' in drawn.output


def test_the_files_name_says_what_is_wanted(tmp_path: Path) -> None:
    for name, begins in (("a.svg", "<svg "), ("a.mmd", "%% "), ("a.txt", "%% ")):
        said = graph("lifecycle-day-1", "--out", str(tmp_path / name)).output
        assert said == f"{tmp_path / name}: lifecycle-day-1 drawn\n"
        assert (tmp_path / name).read_text().startswith(begins)
    assert graph("lifecycle-day-1", "--format", "svg").output.startswith("<svg ")


def test_a_picture_of_another_kind_or_in_no_folder_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    other = graph("lifecycle-day-1", "--out", str(tmp_path / "a.png"))
    assert other.exit_code == 1
    assert "a.svg" in str(other.exception)
    assert not (tmp_path / "a.png").exists()
    nowhere = outreach("graph", "hello", "--project", str(STARTER), "--out", "no/a.svg")
    assert nowhere.returncode == 1
    assert nowhere.stderr == "error: no/a.svg: No such file or directory\n"


def test_a_journey_may_be_named_by_its_file_and_without_one_all_are_listed(tmp_path: Path) -> None:
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys/first.yaml").write_text("journey: a-b\nclass: x\nsteps: []\n")
    assert graph("journeys/first.yaml", folder=tmp_path).output.startswith("%% a-b")
    assert "there are: a-b" in str(graph(folder=tmp_path).exception)


def test_a_program_gets_nodes_and_edges() -> None:
    found = json.loads(graph("lifecycle-day-1", "--json").output)
    assert [it["id"] for it in found["nodes"]][:2] == ["(start)", "welcome"]
    assert {"source": "(start)", "target": "welcome"} in found["edges"]


def test_a_journey_that_does_not_exist_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = graph("seven-day")
    assert missing.exit_code == 1
    assert "did you mean 'seven-days'?" in str(missing.exception)
    (tmp_path / "journeys").mkdir()
    (tmp_path / "journeys/broken.yaml").write_text("journey: broken\nstep: []\n")
    broken = graph("broken", folder=tmp_path)
    assert broken.exit_code == 1
    assert "journeys/broken.yaml:2:1" in str(broken.exception)


async def test_a_live_journey_says_how_many_stand_where(applied: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(applied["DATABASE_URL"])
    await connection.execute(STAND)
    await connection.close()
    found = json.loads(outreach("graph", "hello", "--live", "--json", env=applied).stdout)
    people = {it["id"]: it["people"] for it in found["nodes"] if "people" in it}
    assert people == {"question": {"new": 40, "old": 2}}
    assert found["elsewhere"] == {"gone": {"old": 1}}
