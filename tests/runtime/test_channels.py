"""`channels.yaml`: which channels an installation has, and what is said about mistakes in it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import msgspec
import pytest

from channels.base import Means
from channels.registry import kind_names, kind_of
from channels.sms.channel import SmsChannel
from orchestrator.cli.simulated import write_channels
from orchestrator.core.delivery import Spoken
from orchestrator.core.errors import OutreachError
from orchestrator.runtime import channels
from orchestrator.runtime.channels import Configured, configured
from orchestrator.runtime.settings import Settings

SMS = "sms:\n  url: smpp://outreach:${WORD}@carrier:2775?window=7\n"


def read(folder: Path, text: str | None, env: Mapping[str, str] = {}) -> dict[str, Configured]:
    if text is not None:
        (folder / channels.FILE).write_text(text)
    variables = {k: v for k, v in env.items() if k.startswith("OUTREACH_")}
    return configured(Settings.from_env(variables, folder), env)


def mistake(folder: Path, text: str) -> str:
    with pytest.raises(OutreachError) as wrong:
        read(folder, text)
    return str(wrong.value).replace(f"{folder}/", "")


async def none_spoken(channel: str, address: str, limit: int) -> list[Spoken]:
    return []


MEANS = Means(b"0123456789abcdef", lambda: datetime(2026, 3, 2, tzinfo=UTC), none_spoken)


def test_what_needs_only_ourselves_is_always_there_and_sms_with_its_url(tmp_path: Path) -> None:
    assert list(read(tmp_path, None)) == ["webchat", "counter", "calls"]
    found = read(tmp_path, None, {"OUTREACH_SMPP_URL": "smpp://outreach@carrier"})
    assert set(found) == {"webchat", "counter", "calls", "sms"}


def test_the_file_wins_and_takes_its_secrets_from_the_environment(tmp_path: Path) -> None:
    env = {"WORD": "secret", "OUTREACH_SMPP_URL": "smpp://other@elsewhere"}
    [channel] = channels.build([read(tmp_path, SMS, env)["sms"]], "gateway", MEANS)
    settings = cast(SmsChannel, channel).settings
    assert (settings.host, settings.password, settings.window) == ("carrier", "secret", 7)


def test_a_simulated_carrier_is_for_what_no_other_file_names(tmp_path: Path) -> None:
    path = write_channels(tmp_path / "data", 2775, 8082, "http://127.0.0.1:8080")
    env = {"OUTREACH_SIMULATED": str(path), "WORD": "secret"}
    alone = read(tmp_path, None, env)
    assert {"sms", "mms", "wap_push"} < set(alone)
    assert alone["mms"].settings.url == "http://127.0.0.1:8082/mm7"
    theirs = "mms:\n  url: https://mmsc.carrier/mm7\n"
    beside = read(tmp_path, theirs, env)
    assert beside["mms"].settings.url == "https://mmsc.carrier/mm7"
    assert beside["sms"].settings == alone["sms"].settings
    by_url = read(tmp_path, theirs, {**env, "OUTREACH_SMPP_URL": "smpp://other@elsewhere"})
    assert by_url["sms"].settings.url == "smpp://other@elsewhere"


def test_a_file_for_a_simulated_carrier_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutreachError, match=r"cannot read .*gone\.yaml") as wrong:
        read(tmp_path, None, {"OUTREACH_SIMULATED": "gone.yaml"})
    assert "OUTREACH_SIMULATED" in wrong.value.hint


def test_each_process_builds_what_it_holds(tmp_path: Path) -> None:
    found = read(tmp_path, SMS, {"WORD": "secret"}).values()
    assert [it.name for it in channels.build(found, "gateway", MEANS)] == ["sms"]
    assert [it.name for it in channels.build(found, "web", MEANS)] == [
        "webchat",
        "counter",
        "calls",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smss:\n  url: x\n", "channels.yaml:1:1: error: there is no channel 'smss'"),
        ("sms:\n  kind: smq\n", "channels.yaml:2:9: error: there is no kind of channel 'smq'"),
        ("sms:\n  urk: x\n", "channels.yaml:2:3: error: Object"),
        ("sms:\n  url: smpp://h\n", "channels.yaml:2:3: error: the SMPP URL names no system_id"),
        (SMS, "channels.yaml:2:8: error: the environment has no WORD"),
        ("webchat:\n  https: perhaps\n", "channels.yaml:2:10: error: Expected `bool`"),
        ("webchat:\n  origins: [{a: b}]\n", "channels.yaml:2:13: error: Expected `str`"),
        ("sms: 7\n", "channels.yaml:1:6: error: expected the settings of sms"),
        ("- sms\n", "channels.yaml:1:1: error: expected channels by name"),
    ],
)
def test_a_mistake_is_told_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    assert mistake(tmp_path, text).startswith(said)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert mistake(tmp_path, "sms:\n  a: 1\nwebchat:\n  b: 2\n").count("error:") == 2


@pytest.mark.parametrize("name", kind_names())
def test_every_kind_takes_known_keys_only_and_describes_them(name: str) -> None:
    settings = kind_of(name).settings
    described = inspect.getdoc(settings) or ""
    assert settings.__struct_config__.forbid_unknown_fields
    for field in msgspec.structs.fields(settings):
        assert f"`{field.encode_name}" in described, field.encode_name
