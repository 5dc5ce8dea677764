"""`outreach code`: a counter without a till."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest_asyncio

from orchestrator.core.codes import hash_code, make_code
from tests.cli.shell import outreach

CODE = make_code(bytes(range(16)), "coffee")
GIVEN = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest_asyncio.fixture
async def redeemed(applied: Mapping[str, str], tmp_path: Path) -> Mapping[str, str]:
    """Ann was given a code for a coffee; Bob was not."""
    file = tmp_path / "people.csv"
    file.write_text("key,timezone\nann,UTC\nbob,UTC\n")
    assert outreach("import", str(file), env=applied).returncode == 0
    connection = await asyncpg.connect(applied["DATABASE_URL"])
    await connection.execute(
        "INSERT INTO codes (subscriber_id, code_hash, hold, reward, given_at) "
        "SELECT id, $1, 'hold', 'coffee', $2 FROM subscribers WHERE key = 'ann'",
        hash_code(CODE, applied["OUTREACH_SECRET"].encode()),
        GIVEN,
    )
    await connection.close()
    return applied


def test_a_code_is_used_once_and_that_is_told_later(redeemed: Mapping[str, str]) -> None:
    done = outreach("code", *CODE.lower().split("-"), "--by", "amy", env=redeemed)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "used: hand out A cup of coffee\n  subscriber ann · given 2026-03-02 09:30Z\n"
    )
    again = outreach("code", CODE, env=redeemed)
    assert again.returncode == 1
    assert again.stdout.startswith("used before, 20")
    assert "Z, by amy: A cup of coffee\n" in again.stdout
    told = outreach("code", CODE, "--json", env=redeemed)
    assert told.returncode == 1
    assert json.loads(told.stdout)["result"] == "used_before"
    shown = outreach("show", "ann", env=redeemed)
    assert "code         coffee  by=amy given=2026-03-02 09:30" in shown.stdout
    log = outreach("audit", "--what", "code", env=redeemed)
    assert log.stdout.count("code.used") == 1
    assert CODE not in log.stdout


def test_a_code_that_is_not_good_says_why_and_exits_with_1(redeemed: Mapping[str, str]) -> None:
    for words, said in (
        ((CODE, "--subscriber", "bob"), "another subscriber's: it was not used\n"),
        ((make_code(bytes(range(16)), "tea"),), "unknown: there is no such code; read it again\n"),
        (("coffee",), "not a code: it has 16 letters and digits, like 7Q2M-0RXA-9KTV-C4HE\n"),
    ):
        done = outreach("code", *words, env=redeemed)
        assert (done.returncode, done.stdout, done.stderr) == (1, said, "")
    nobody = outreach("code", CODE, "--subscriber", "eve", env=redeemed)
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("error: there is no subscriber eve")
