import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.redis_url import redis_settings
from orchestrator.runtime.settings import SETTINGS, Settings, load_secret

HERE = Path("/srv/shop")


def read(**env: str) -> Settings:
    return Settings.from_env(env, HERE)


def test_nothing_needs_to_be_set() -> None:
    assert read() == Settings(project=HERE, data=HERE / ".outreach")


def test_every_setting_is_read() -> None:
    settings = read(
        DATABASE_URL="postgresql://outreach@db/outreach",
        REDIS_URL="rediss://cache:6380/1",
        OUTREACH_PROJECT="north",
        OUTREACH_DATA="/var/lib/outreach",
        OUTREACH_SMPP_URL="smpp://id:word@carrier:2775",
        OUTREACH_CHANNELS="carriers/channels.yaml",
        OUTREACH_WEB_HOST="0.0.0.0",
        OUTREACH_WEB_PORT="80",
        OUTREACH_LINKS="https://go.example/",
        OUTREACH_SECRET="0123456789abcdef",
        OUTREACH_SWEEP_S="2.5",
        OUTREACH_BATCH="1000",
        OUTREACH_CLOCK="2026-03-02T00:00:00Z@1760000000x2",
    )
    assert settings == Settings(
        project=HERE / "north",
        data=Path("/var/lib/outreach"),
        database_url="postgresql://outreach@db/outreach",
        redis_url="rediss://cache:6380/1",
        smpp_url="smpp://id:word@carrier:2775",
        channels=HERE / "carriers/channels.yaml",
        web_host="0.0.0.0",
        web_port=80,
        links="https://go.example",
        secret=b"0123456789abcdef",
        sweep_s=2.5,
        batch=1000,
        clock=Clock.parse("2026-03-02T00:00:00Z@1760000000x2"),
    )


def test_every_field_is_one_described_setting() -> None:
    assert sorted(it.field for it in SETTINGS) == sorted(Settings.__struct_fields__)
    assert all(it.description.endswith(".") and it.default for it in SETTINGS)


def test_the_defaults_shown_are_the_defaults_used() -> None:
    used = msgspec.structs.asdict(read())
    for setting in SETTINGS:
        if re.fullmatch(r"[\d.]+|real", setting.default):
            assert setting.read(setting.default) == used[setting.field], setting.variable


def test_the_data_lie_in_the_project_unless_told_otherwise() -> None:
    assert read(OUTREACH_PROJECT="/srv/bank").data == Path("/srv/bank/.outreach")


def test_an_empty_variable_is_not_set() -> None:
    assert read(DATABASE_URL="", OUTREACH_WEB_PORT="") == read()


def test_a_misspelt_setting_is_an_error_that_names_the_right_one() -> None:
    with pytest.raises(OutreachError, match="OUTREACH_SWEEP_S") as error:
        read(OUTREACH_SWEPS="3")
    assert "Did you mean OUTREACH_SWEEP_S?" in error.value.hint


def test_other_programs_variables_are_none_of_our_business() -> None:
    assert read(PATH="/bin", OUTREACHED="yes", REDIS="no") == read()


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("OUTREACH_WEB_PORT", "http", "a number"),
        ("OUTREACH_WEB_PORT", "65536", "between 0 and 65535"),
        ("OUTREACH_BATCH", "0", "between 1 and 5000"),
        ("OUTREACH_SWEEP_S", "nan", "between"),
        ("OUTREACH_CLOCK", "tomorrow", "is not a clock"),
        ("OUTREACH_SECRET", "short", "at least 16"),
        ("DATABASE_URL", "mysql://u:canary@h/d", "postgresql://"),
        ("REDIS_URL", "localhost:6379", "redis://"),
        ("OUTREACH_SMPP_URL", "tcp://h", "smpp://"),
    ],
)
def test_a_wrong_value_is_refused_by_name_with_the_reason(
    variable: str, text: str, reason: str
) -> None:
    with pytest.raises(OutreachError, match=variable) as error:
        read(**{variable: text})
    assert reason in str(error.value)
    assert "canary" not in str(error.value)


def test_passwords_and_the_secret_are_not_shown() -> None:
    settings = read(
        DATABASE_URL="postgresql://u:canary@h/d",
        REDIS_URL="redis://:canary@h",
        OUTREACH_SMPP_URL="smpp://id:canary@h",
        OUTREACH_SECRET="canary-canary-canary",
    )
    assert "canary" not in repr(settings)
    assert "canary" not in str(settings)
    assert "web_port=8080" in repr(settings)


def test_the_secret_is_made_once_for_us_alone(tmp_path: Path) -> None:
    settings = Settings.from_env({}, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: load_secret(settings), range(8)))
    assert len(found) == 1
    assert len(found.pop()) == 64
    kept = tmp_path / ".outreach" / "secret"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert sorted(path.name for path in kept.parent.iterdir()) == [".gitignore", "secret"]


def test_a_secret_that_was_set_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    settings = Settings.from_env({"OUTREACH_SECRET": "0123456789abcdef"}, tmp_path)
    assert load_secret(settings) == b"0123456789abcdef"
    assert list(tmp_path.iterdir()) == []


def test_many_machines_must_be_given_one_secret(tmp_path: Path) -> None:
    settings = Settings.from_env({"DATABASE_URL": "postgresql://db/outreach"}, tmp_path)
    with pytest.raises(OutreachError, match="OUTREACH_SECRET is not set"):
        load_secret(settings)


def test_redis_urls_of_all_kinds_become_arq_settings() -> None:
    plain = redis_settings("redis://:p%40ss@cache:6380/3")
    assert (plain.host, plain.port, plain.password, plain.database) == ("cache", 6380, "p@ss", 3)
    assert redis_settings("rediss://cache").ssl
    unix = redis_settings("unix:///srv/my%20shop/valkey.sock?db=2")
    assert (unix.unix_socket_path, unix.database) == ("/srv/my shop/valkey.sock", 2)


def test_what_is_no_redis_url_is_refused() -> None:
    for url in ("http://cache", "redis://cache/first", "redis://cache:port"):
        with pytest.raises(OutreachError, match="not a Redis URL"):
            redis_settings(url)
