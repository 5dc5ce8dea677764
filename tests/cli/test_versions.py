"""`outreach plan`, `apply`, `rollback` and `history`, as somebody at a terminal meets them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from orchestrator.cli.apply import apply_files
from orchestrator.project.source import read_folder
from orchestrator.runtime.settings import Settings
from tests.cli.shell import outreach


async def test_a_plan_of_a_database_that_lacks_migrations_says_so(
    servers: Mapping[str, str], shop: Path
) -> None:
    env = {**servers, "OUTREACH_PROJECT": str(shop)}
    assert outreach("plan", env=env).returncode == 0  # an empty one has nobody to count
    await apply_files(Settings.from_env(env, shop), env["DATABASE_URL"], read_folder(shop))
    connection = await asyncpg.connect(env["DATABASE_URL"])
    newest = await connection.fetchval(
        "DELETE FROM migrations WHERE name = (SELECT max(name) FROM migrations) RETURNING name"
    )
    await connection.close()
    planned = outreach("plan", env=env)
    assert (planned.returncode, planned.stdout) == (1, "")
    assert f"error: the database is of an older version: it lacks {newest}" in planned.stderr
    assert "hint: run: outreach apply" in planned.stderr


async def test_a_change_is_planned_kept_applied_and_taken_back(
    servers: Mapping[str, str], shop: Path, tmp_path: Path
) -> None:
    folder, kept = shutil.copytree(shop, tmp_path / "shop"), tmp_path / "change.json"
    env = {**servers, "OUTREACH_PROJECT": str(folder)}
    settings = Settings.from_env(env, folder)
    await apply_files(settings, env["DATABASE_URL"], read_folder(folder))

    hello = folder / "journeys/hello.yaml"
    text = hello.read_text().replace("\nsteps:", "\nin_flight: follow\nsteps:", 1)
    hello.write_text(text)
    planned = outreach("plan", "--out", str(kept), "--markdown", "--detailed-exitcode", env=env)
    assert (planned.returncode, planned.stderr) == (2, "")
    assert "#### `hello`: changed" in planned.stdout
    assert json.loads(kept.read_text())["project"] == "shop"

    assert "1 changed" in outreach("apply", str(kept), env=env).stdout

    told = outreach("rollback", "--json", env=env)
    assert (told.returncode, json.loads(told.stdout)["back_to"]) == (1, 1)
    assert "nothing was rolled back" in told.stderr

    back = outreach("rollback", "--yes", env=env)
    assert back.returncode == 0
    assert back.stdout.splitlines()[-1] == "project 1 runs again; the folder is as it was"
    listed = json.loads(outreach("history", "--json", env=env).stdout)
    assert [(it["id"], it["copy_of"]) for it in listed] == [(3, 1), (2, None), (1, None)]
    assert listed[0]["hash"] == listed[2]["hash"]
    assert listed[0]["applied_by"].startswith("cli:")
    again = outreach("rollback", "--yes", env=env)
    assert (again.returncode, again.stderr) == (
        1,
        "error: project 3 is project 1 again, and there is none before that\n"
        "  hint: to take the rollback back: outreach rollback --to 2\n",
    )
