"""`outreach export`, `erase` and `audit`, as an operator meets them."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import pytest

from tests.cli.shell import clean_env, outreach

NUMBER, NAME = "+8613800138000", "Ann Canary"


@pytest.fixture
def peopled(applied: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    file = tmp_path / "people.csv"
    file.write_text(
        f"key,phone,timezone,consent,name\nann,{NUMBER},Asia/Shanghai,news,{NAME}\n"
        "bob,+8613800138001,Asia/Shanghai,,Bob\n"
    )
    assert outreach("import", str(file), env=applied).returncode == 0
    assert outreach("event", "ann", "subscriber.activated", env=applied).returncode == 0
    return applied


def test_an_export_is_one_document_readable_by_its_owner_only(
    peopled: Mapping[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "ann.json"
    done = outreach("export", NUMBER, "--out", str(out), env=peopled)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ann: 0 messages, 0 replies, 1 events … are in ")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    told = json.loads(out.read_text())
    assert told["format"] == "outreach-export/1"
    assert told["subscriber"]["attributes"] == {"name": NAME}
    assert told["addresses"] == [{"channel": "sms", "address": NUMBER, "gone_at": None}]
    assert told["events"][0]["name"] == "subscriber.activated"
    again = outreach("export", "ann", "--out", str(out), env=peopled)
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert json.loads(outreach("export", "ann", env=peopled).stdout)["subscriber"]["key"] == "ann"


def test_the_schema_of_an_export_needs_no_database() -> None:
    schema = json.loads(outreach("export", "--schema").stdout)
    assert "Dossier" in schema["$defs"]


def test_an_erasure_says_what_it_will_do_and_asks_first(peopled: Mapping[str, str]) -> None:
    asked = outreach("erase", "ann", env=peopled)
    assert asked.returncode == 1
    assert asked.stdout.startswith("ann, known since ")
    assert "deleted     name, attributes and tags, 1 address, 1 consent on record" in asked.stdout
    assert "add --yes" in asked.stderr
    done = outreach("erase", "ann", "--yes", env=peopled)
    assert (done.returncode, done.stderr) == (0, "")
    assert "erased; in the audit log as subscriber:1\n" in done.stdout
    again = outreach("erase", "ann", "--yes", env=peopled)
    assert again.returncode == 1
    assert "there is no subscriber ann" in again.stderr
    assert outreach("doctor", env=peopled).returncode == 0


def test_nothing_about_the_person_is_in_a_log_or_the_audit_log(
    peopled: Mapping[str, str], tmp_path: Path
) -> None:
    done = [
        outreach("export", NUMBER, "--out", str(tmp_path / "ann.json"), "-vv", env=peopled),
        outreach("erase", NUMBER, "--yes", "--json", "-vv", env=peopled),
        outreach("audit", "--json", "-vv", env=peopled),
    ]
    said = "".join(it.stderr for it in done) + done[1].stdout + done[2].stdout
    assert all(it.returncode == 0 for it in done), said
    for canary in (NUMBER, NUMBER[1:], NAME, '"ann"'):
        assert canary not in said


def test_what_operators_do_is_listed(peopled: Mapping[str, str]) -> None:
    outreach("pause", "hello", env=peopled)
    outreach("resume", "hello", env=peopled)
    outreach("erase", "ann", "--yes", env=peopled)
    found = json.loads(outreach("audit", "--json", env=peopled).stdout)
    assert [it["what"] for it in found] == [
        "project.applied", "import.began", "import.ended", "journey.paused", "journey.resumed",
        "subscriber.erased",
    ]  # fmt: skip
    assert all(it["who"].startswith("cli:") for it in found)
    assert found[2]["after"]["made"] == 2
    paused = outreach("audit", "--what", "journey", "--about", "journey:hello", env=peopled)
    assert [line.split()[4] for line in paused.stdout.splitlines()] == [
        "journey.paused", "journey.resumed",
    ]  # fmt: skip
    assert outreach("audit", "--since", "2999-01-01", env=peopled).stdout == "no entries\n"


async def test_the_log_is_verified_offline_and_in_the_database(
    peopled: Mapping[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    done = outreach("audit", "export", str(file), env=peopled)
    assert done.returncode == 0, done.stderr
    secret = {"OUTREACH_SECRET": peopled["OUTREACH_SECRET"]}
    whole = outreach("audit", "verify", str(file), "--json", env=secret)
    verdict = json.loads(whole.stdout)
    assert (whole.returncode, verdict["entries"], verdict["sealed"]) == (0, 3, True)
    anchor = verdict["head"]["hash"]

    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], lines[1].replace("import.began", "import.begun"), lines[2]]))
    changed = outreach("audit", "verify", str(file), env=secret)
    assert changed.returncode == 1
    assert f"{file}: line 2: entry 2 was changed" in changed.stdout

    file.write_text("".join(lines[:2]))
    assert outreach("audit", "verify", str(file)).returncode == 0
    cut = outreach("audit", "verify", str(file), "--anchor", anchor)
    assert cut.returncode == 1
    assert "cut short" in cut.stdout

    assert outreach("audit", "verify", env=peopled).returncode == 0
    connection = await asyncpg.connect(peopled["DATABASE_URL"])
    await connection.execute("ALTER TABLE acts DISABLE TRIGGER USER")
    await connection.execute(
        "UPDATE acts SET entry = replace(entry, 'cli:', 'api:') WHERE number = 3"
    )
    await connection.close()
    live = outreach("audit", "verify", env=peopled)
    assert live.returncode == 1
    assert "line 3: entry 3 was changed" in live.stdout
    assert outreach("doctor", env=peopled).returncode == 1


def test_verifying_makes_no_secret_and_needs_none(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    done = outreach("audit", "verify", "log", cwd=tmp_path)
    assert done.stdout.startswith("log: 0 entries are whole, by their hashes (not the seals")
    assert [it.name for it in tmp_path.iterdir()] == ["log"]
    assert "OUTREACH_SECRET" not in clean_env()
