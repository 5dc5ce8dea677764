"""What a command answers, and with which exit code."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.cli.apply import apply_files
from orchestrator.cli.carrier import LOOPBACK
from orchestrator.cli.up import settled
from orchestrator.core.errors import OutreachError
from orchestrator.project import shipped
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.settings import Settings
from tests.cli.shell import outreach


def test_init_makes_a_project_that_is_valid_and_never_writes_over_one(tmp_path: Path) -> None:
    made = outreach("init", "shop", cwd=tmp_path)
    assert made.returncode == 0
    assert "outreach up --project shop" in made.stdout
    assert outreach("validate", "shop", cwd=tmp_path).returncode == 0
    again = outreach("init", "shop", cwd=tmp_path)
    assert again.returncode == 1
    assert again.stderr.startswith("error: shop is there already\n  hint: ")


def test_apply_says_what_changed(servers: Mapping[str, str], tmp_path: Path) -> None:
    outreach("init", "shop", cwd=tmp_path)
    env = {**servers, "OUTREACH_PROJECT": str(tmp_path / "shop")}
    assert "new: hello\n" in outreach("apply", env=env).stdout
    assert outreach("apply", env=env).stdout == "shop: nothing has changed\n"
    journey = tmp_path / "shop/journeys/hello.yaml"
    journey.write_text(journey.read_text().replace("10:00", "11:00"))
    other = journey.with_name("other.yaml")
    other.write_text(journey.read_text().replace("journey: hello", "journey: other"))
    applied = json.loads(outreach("apply", "--json", env=env).stdout)
    assert applied["edited"] == ["hello"]
    assert applied["new"] == ["other"]
    other.unlink()
    applied = json.loads(outreach("apply", "--json", env=env).stdout)
    assert (applied["removed"], applied["unchanged"]) == (["other"], ["hello"])


def test_a_project_with_errors_is_not_applied(servers: Mapping[str, str], tmp_path: Path) -> None:
    outreach("init", "shop", cwd=tmp_path)
    journey = tmp_path / "shop/journeys/hello.yaml"
    journey.write_text(journey.read_text().replace("hello/welcome", "hello/welcom"))
    refused = outreach("apply", "--project", "shop", env=servers, cwd=tmp_path)
    assert refused.returncode == 1
    assert "journeys/hello.yaml:" in refused.stderr
    assert "1 error: nothing was applied\n  hint: mend it first" in refused.stderr
    assert "no such table" not in outreach("status", env=servers).stderr


LONG = f"note={'x' * 400}"


def test_events_nest_their_properties_and_are_stored_once(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("key,phone\nu1,+8613800138000\n")
    assert outreach("import", str(people), env=applied).returncode == 0
    command = ("event", "u1", "order.placed", "sum.cny=12.5", "gift=true", "code=007", LONG)
    named = ("--source-id", "o1", "--at", "2026-03-02T10:00:00+08:00")
    first, again = (
        json.loads(outreach(*command, *named, "--json", env=applied).stdout) for _ in range(2)
    )
    assert (first["stored"], first["known"]) == (1, 0)
    assert (again["stored"], again["known"]) == (0, 1)
    story = json.loads(outreach("show", "sms:+8613800138000", "--json", env=applied).stdout)
    (event,) = [it for it in story["moments"] if it["kind"] == "event"]
    facts = {"sum": {"cny": 12.5}, "gift": True, "code": "007", "waits_for_a_turn": True}
    facts["note"] = "x" * 400
    assert "x… and 100 more characters" in outreach("show", "u1", env=applied).stdout
    assert (event["at"], event["facts"]) == ("2026-03-02T02:00:00Z", facts)
    status = json.loads(outreach("status", "--json", env=applied).stdout)
    assert (status["matched_partitions"], status["partitions"]) == (0, 8)
    assert status["events"] == 1
    misspelt = outreach("event", "u1", "order.place", env=applied)
    assert (misspelt.returncode, misspelt.stdout) == (0, "stored\n")
    assert misspelt.stderr == (
        "hint: nothing in the project that runs waits for it; did you mean 'order.placed'?\n"
    )


METERED = """
events:
  data.used:
    properties: {mb: number}
    counts: {mb: event.mb}
usage:
  mb: {of: plan_mb, by: city}
"""


async def test_what_was_counted_of_somebody_s_use_is_shown(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    noon = Clock.starting(datetime(2026, 3, 2, 12, tzinfo=UTC), 1)
    house = {**applied, "OUTREACH_CLOCK": str(noon)}
    files = {**shipped.starter(), "journeys/program/events.yaml": METERED}
    await apply_files(Settings.from_env(house, Path()), house["DATABASE_URL"], files)
    people = tmp_path / "people.csv"
    people.write_text("key,phone,plan_mb,usage.mb_today\nu1,+8613800138000,1000,7\n")
    assert outreach("import", str(people), env=house).returncode == 0
    unused = outreach("show", "u1", env=house).stdout
    assert "usage.mb_today 7\n" in unused
    for mb in ("400", "5"):
        assert outreach("event", "u1", "data.used", f"mb={mb}", env=house).returncode == 0
    said = {"mb_today": 405, "mb_7d": 405, "mb_month": 405, "mb_share": 0.405}
    shown = outreach("show", "u1", env=house).stdout
    assert f"usage       {' · '.join(f'{name} {it}' for name, it in said.items())}\n" in shown
    assert "usage.mb_today" not in shown, "what was imported holds no more"
    story = json.loads(outreach("show", "u1", "--json", env=house).stdout)
    unknown = {"mb_mean": None, "mb_rank": None, "mb_percentile": None}
    assert story["usage"] == said | unknown


@pytest.mark.parametrize("command", ["validate", "test"])
def test_a_folder_may_be_named_as_everywhere_else(command: str, shop: Path) -> None:
    plainly = outreach(command, str(shop))
    assert plainly.returncode == 0, plainly.stderr
    named = outreach(command, "--project", str(shop))
    assert (named.returncode, named.stdout.split(" in ")[0]) == (0, plainly.stdout.split(" in ")[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["show"], "Missing argument"),
        (["event", "u1", "x", "no-equals"], "'no-equals' is not KEY=VALUE"),
        (["event", "u1", "x", "--at", "2026-03-02T10:00:00"], "needs its zone"),
    ],
)
def test_what_is_not_understood_is_code_2(arguments: list[str], said: str) -> None:
    told = outreach(*arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert said in told.stderr
    assert "Traceback" not in told.stderr


MISTAKES = {
    ("event", "u1", "x", "a=1", "a.b=2"): "a.b: a is a value already",
    ("show", "nobody"): "there is no subscriber nobody",
    ("event", "nobody", "x"): "there is no subscriber nobody",
    ("gateway",): "no channel is configured that a gateway holds",
    ("gateway", "--channel", "fax"): "there is no channel 'fax' to hold",
    ("import", "nothing.csv"): "cannot read nothing.csv: No such file",
}


def test_what_is_wrong_is_told_in_words_with_code_1(applied: Mapping[str, str]) -> None:
    for arguments, said in MISTAKES.items():
        told = outreach(*arguments, env=applied)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr.startswith(f"error: {said}"), told.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"OUTREACH_WEP_PORT": "1"}, "Did you mean OUTREACH_WEB_PORT?"),
        ({"OUTREACH_BATCH": "0"}, "OUTREACH_BATCH ('0') cannot be right"),
        ({"OUTREACH_API_KEYS": "short"}, "each key must have at least 16 characters"),
        ({"DATABASE_URL": "postgresql://x@127.0.0.1:1/x"}, "cannot reach PostgreSQL"),
        ({"DATABASE_URL": "mysql://x"}, "it must begin with postgresql://"),
    ],
)
def test_a_wrong_setting_is_named(
    settings: Mapping[str, str], said: str, servers: Mapping[str, str]
) -> None:
    told = outreach("show", "u1", env={**servers, **settings})
    assert told.returncode == 1
    assert told.stderr.startswith("error: ")
    assert said in told.stderr
    assert "short" not in told.stderr.replace("each key must", "")


def test_a_database_without_our_tables_is_told_from_an_empty_one(
    servers: Mapping[str, str],
) -> None:
    bare = servers["DATABASE_URL"].replace("/test_", "/postgres?x=").split("?x=")
    url = bare[0] + "?" + servers["DATABASE_URL"].partition("?")[2]
    told = outreach("show", "u1", env={**servers, "DATABASE_URL": url})
    assert told.returncode == 1
    assert "hint: run: outreach apply" in told.stderr
    told = outreach("worker", env=servers)
    assert told.returncode == 1
    assert "error: no project has been applied\n  hint: apply one: outreach apply" in told.stderr


def test_a_carrier_of_ones_own_needs_no_port_for_the_simulated_ones_page(tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        bare = Settings(tmp_path, tmp_path, web_port=0, wall_port=taken.getsockname()[1])
        with pytest.raises(OutreachError, match="is taken"):
            settled(bare)
        assert settled(replace(bare, smpp_url="smpp://id:word@carrier:2775")).web_port > 0
