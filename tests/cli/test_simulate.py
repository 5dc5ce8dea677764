"""`outreach simulate` at a terminal and for programs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from orchestrator.cli.versions import revision
from orchestrator.core.errors import OutreachError
from orchestrator.store import subscribers
from orchestrator.store.subscribers import NewSubscriber
from tests.cli.shell import outreach

FEW = ("--subscribers", "60", "--days", "30", "--start", "2026-03-02")


def simulated(project: Path, *arguments: str) -> dict[str, Any]:
    ran = outreach("simulate", "--project", str(project), *FEW, "--json", *arguments)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def test_a_new_project_is_played_and_told_and_drawn(shop: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "shop.html"
    ran = outreach("simulate", "--project", str(shop), *FEW, "--report", str(drawn))
    assert ran.returncode == 0, ran.stderr
    for said in ("60 people, 30 days from 2026-03-02", "messages by day", "hello", "points:"):
        assert said in ran.stdout
    assert drawn.read_text().startswith("<!doctype html>")


def test_a_folder_is_another_version(shop: Path, tmp_path: Path) -> None:
    found = revision(tmp_path, str(shop))
    assert found.name == str(shop)
    assert "journeys/hello.yaml" in found.files


def test_a_git_revision_is_another_version(shop: Path, tmp_path: Path) -> None:
    project = tmp_path / "kept"
    shutil.copytree(shop, project)

    def git(*arguments: str) -> None:
        names = ("-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", str(project), *names, *arguments], check=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "as it was")
    journey = project / "journeys/hello.yaml"
    journey.write_text(journey.read_text().replace("day 3 10:00", "day 60 10:00"))
    found = simulated(project, "--against", "HEAD")
    assert found["forecast"]["people"] == 60
    sent = {it["name"]: it for it in found["differences"]}["journeys.hello.sent"]
    assert sent["before"] > sent["after"] == found["forecast"]["journeys"]["hello"]["sent"]
    assert (
        found["before"]["journeys"]["hello"]["entered"]
        == (found["forecast"]["journeys"]["hello"]["entered"])
    )
    for nothing in ("nowhere", "--upload-pack=x"):
        with pytest.raises(OutreachError):
            revision(project, nothing)


def test_a_project_with_errors_is_not_played(shop: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(shop, broken)
    (broken / "journeys/program/audience.yaml").write_text("people: [{kind: a, wieght: 2}]")
    ran = outreach("simulate", "--project", str(broken), *FEW)
    assert ran.returncode == 1
    assert "audience.yaml:1:20" in ran.stderr
    assert "weight" in ran.stderr


async def test_real_people_are_played(applied: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(applied["DATABASE_URL"])
    people = [NewSubscriber(f"u{n}", addresses={"sms": f"+861380013800{n}"}) for n in range(5)]
    await subscribers.upsert(connection, people, datetime(2026, 3, 2, tzinfo=UTC), "en")
    await connection.close()
    ran = outreach("simulate", "--sample", "2", "--days", "10", "--json", env=applied)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["forecast"]
    assert (found["people"], found["broken"]) == (2, {})
    again = outreach("simulate", "--replay-traffic", env=applied)
    assert again.returncode == 0, again.stderr
    assert again.stdout == "no messages went in the last 90 days: there is nothing to replay\n"


def test_an_empty_database_has_nobody_to_play(applied: Mapping[str, str]) -> None:
    ran = outreach("simulate", "--from-database", env=applied)
    assert ran.returncode == 1
    assert "there are no subscribers" in ran.stderr


def test_options_that_do_not_go_together_are_refused_before_anything_is_played(shop: Path) -> None:
    for options, said in (
        (("--replay-traffic", "--report", "x.html"), "--report does not go with --replay-traffic"),
        (("--replay-traffic", "--against", "HEAD"), "--against does not go with --replay-traffic"),
        (("--replay-traffic", "--subscribers", "9"), "--subscribers does not go with --replay-tr"),
        (("--sample", "5", "--subscribers", "9"), "--subscribers does not go with --sample"),
        (("--from-database", "--start", "2026-03-02"), "--start does not go with --from-database"),
        (("--report", "/nowhere/x.html"), "/nowhere/x.html: there is no folder /nowhere"),
        (("--report", str(shop)), f"{shop} is a folder"),
    ):
        ran = outreach("simulate", "--project", str(shop), *options)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert said in ran.stderr


def test_an_audience_of_nobody_s_channels_or_events_is_told(shop: Path, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    shutil.copytree(shop, project)
    audience = project / "journeys/program/audience.yaml"
    text = audience.read_text()
    audience.write_text(text.replace("on: order.placed", "on: order.plced"))
    ran = outreach("simulate", "--project", str(project), *FEW)
    assert (ran.returncode, ran.stderr) == (0, "1 warning; see it with: outreach validate\n")
    audience.write_text(text.replace("sms: 100%", "smms: 100%"))
    ran = outreach("simulate", "--project", str(project), *FEW)
    assert ran.returncode == 1
    assert "audience.yaml:5:18: error: 'smms' is no channel" in ran.stderr


def test_of_a_journey_that_nobody_enters_it_is_told_why(shop: Path, tmp_path: Path) -> None:
    project = tmp_path / "shop"
    shutil.copytree(shop, project)
    journey = project / "journeys/hello.yaml"
    journey.write_text(journey.read_text().replace("on: subscriber.activated", "on: shop.near"))
    ran = outreach("simulate", "--project", str(project), *FEW)
    assert "\nhello: nobody came in; the audience has no event shop.near\n" in ran.stdout
    told = simulated(project)["forecast"]["journeys"]["hello"]
    assert told["absent"] == "the audience has no event shop.near"


def test_errors_of_the_other_version_are_told_as_such(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(shop, other)
    journey = other / "journeys/hello.yaml"
    journey.write_text(journey.read_text().replace("send: hello/welcome", "send: hello/wlcome"))
    ran = outreach("simulate", "--project", str(shop), *FEW, "--against", str(other))
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{other}: journeys/hello.yaml:" in ran.stderr
    assert f"error: {other}, to compare with, has 1 error\n" in ran.stderr
