"""What operators ask, and do, at a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from orchestrator.cli.apply import apply_files
from orchestrator.project import shipped
from orchestrator.runtime.settings import Settings
from orchestrator.store import sharing
from tests.cli.shell import outreach


@pytest.fixture
def peopled(applied: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    """An installation that knows two people."""
    people = tmp_path / "people.csv"
    people.write_text(
        "key,phone,timezone,consent\nann,+8613800138000,Asia/Shanghai,news\n"
        "bob,+8613800138001,Asia/Shanghai,\n"
    )
    imported = outreach("import", str(people), env=applied)
    assert imported.returncode == 0, imported.stderr
    return applied


async def execute(env: Mapping[str, str], command: str) -> None:
    connection = await asyncpg.connect(env["DATABASE_URL"])
    try:
        await connection.execute(command)
    finally:
        await connection.close()


async def test_the_doctor_says_what_is_wrong_and_what_to_do(peopled: Mapping[str, str]) -> None:
    well = outreach("doctor", env=peopled)
    assert (well.returncode, well.stderr) == (0, "")
    assert all(line.startswith("ok ") for line in well.stdout.splitlines())
    await execute(peopled, "DELETE FROM addresses WHERE address = '+8613800138001'")
    ill = outreach("doctor", env=peopled)
    assert ill.returncode == 1
    assert "subscriber bob: lists a sms address that is nobody's" in ill.stdout
    assert "       do: import the one whose address it really is" in ill.stdout
    assert "13800138001" not in ill.stdout
    found = json.loads(outreach("doctor", "--json", env=peopled).stdout)
    assert [it["check"] for it in found if it["found"]] == ["addresses are owned"]


async def test_the_doctor_says_that_nobody_matches_what_triggers_wait_for(
    peopled: Mapping[str, str],
) -> None:
    assert "somebody matches" not in outreach("doctor", env=peopled).stdout, "nothing has a trigger"
    files = shipped.starter()
    entry = "enter:\n  - on: subscriber.activated\n"
    assert entry in files["journeys/hello.yaml"]
    text = files["journeys/hello.yaml"].replace(entry, f"{entry}    after: 1h\n")
    settings = Settings.from_env(peopled, Path())
    await apply_files(settings, peopled["DATABASE_URL"], {**files, "journeys/hello.yaml": text})
    ill = outreach("doctor", env=peopled)
    assert ill.returncode == 1
    assert (
        "wrong  somebody matches events\n"
        "         no matcher has any of 8 partitions, and nothing was matched so far: "
        "triggers (hello) do not fire\n"
        "       do: start one: outreach matcher"
    ) in ill.stdout
    matcher = await asyncpg.connect(peopled["DATABASE_URL"])
    try:
        await sharing.take(matcher, range(8), 8)
        well = outreach("doctor", env=peopled)
    finally:
        await matcher.close()
    assert (well.returncode, well.stderr) == (0, "")
    assert "ok     somebody matches events\n" in well.stdout


async def test_a_journey_is_paused_resumed_and_cancelled(peopled: Mapping[str, str]) -> None:
    paused = outreach("pause", "hello", env=peopled)
    assert (paused.returncode, paused.stderr) == (0, "")
    assert paused.stdout.startswith("hello: paused; 0 stand in it")
    assert "was paused already" in outreach("pause", "hello", env=peopled).stdout
    explained = outreach("explain", "ann", env=peopled).stdout
    assert "(paused by an operator)" in explained
    status = json.loads(outreach("status", "--json", env=peopled).stdout)
    assert status["halted"] == {"hello": "paused"}
    assert "no longer paused" in outreach("resume", "hello", env=peopled).stdout
    assert outreach("resume", "hello", env=peopled).stdout == "hello: was not held up\n"
    asked = outreach("cancel", "hello", env=peopled)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "add --yes" in asked.stderr
    assert "cancelled; 0 people left" in outreach("cancel", "hello", "--yes", env=peopled).stdout
    unknown = outreach("pause", "helo", env=peopled)
    assert unknown.stderr == "error: there is no journey helo\n  hint: there are: hello\n"


async def test_failures_are_listed_and_replayed(peopled: Mapping[str, str]) -> None:
    none = outreach("failures", env=peopled)
    assert (none.returncode, none.stdout) == (0, "failed turns of the last 24 h: 0\n")
    event = outreach("event", "ann", "subscriber.activated", env=peopled)
    assert event.returncode == 0, event.stderr
    await execute(peopled, "UPDATE events SET tries = 5, taken_at = now(), not_before = now()")
    assert "ann: event subscriber.activated of" in outreach("failures", env=peopled).stdout
    tried = outreach("replay", "ann", "--dry-run", env=peopled)
    assert (tried.returncode, tried.stderr) == (0, "")
    assert "ann: subscriber.activated\n  would stand in hello" in tried.stdout
    assert outreach("replay", "--json", env=peopled).stdout == '{"replayed":1}\n'
    assert json.loads(outreach("failures", "--json", env=peopled).stdout)["letters"] == []
