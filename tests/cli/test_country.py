"""Whose country a telephone number is of that does not say so: the same for files and for those
who write."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from channels.base import Means
from channels.carriers.customer import Delivery
from channels.carriers.smsc import Smsc
from channels.registry import kind_of
from channels.sms import codec
from orchestrator.cli.channels import none_spoken
from orchestrator.cli.country import usual_country
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings
from tests.channels.contract.rig import Kept, until

URL = "smpp://me:secret@carrier.example?country=49"


def settings(folder: Path, channels: str = "", **env: str) -> Settings:
    if channels:
        (folder / "channels.yaml").write_text(channels)
    return Settings.from_env(env, folder)


def test_what_is_given_comes_before_the_setting_and_that_before_the_channel(
    tmp_path: Path,
) -> None:
    everything = settings(tmp_path, OUTREACH_COUNTRY="+44", OUTREACH_SMPP_URL=URL)
    assert usual_country("+86", everything) == "86"
    assert usual_country(None, everything) == "44"
    assert usual_country(None, settings(tmp_path, OUTREACH_SMPP_URL=URL)) == "49"
    assert usual_country(None, settings(tmp_path)) == ""


def test_the_channel_s_country_counts_wherever_it_is_configured(tmp_path: Path) -> None:
    assert usual_country(None, settings(tmp_path, f"sms:\n  url: {URL}\n")) == "49"
    secret = f"sms:\n  url: {URL.replace('secret', '${NOBODY_SAID}')}\n"
    assert usual_country(None, settings(tmp_path, secret)) == ""


@pytest.mark.parametrize("code", ["8613", "eighty-six", "+"])
def test_what_is_no_calling_code_is_refused(tmp_path: Path, code: str) -> None:
    with pytest.raises(OutreachError, match="is not a country's calling code"):
        usual_country(code, settings(tmp_path))
    with pytest.raises(OutreachError, match="OUTREACH_COUNTRY"):
        settings(tmp_path, OUTREACH_COUNTRY=code)


@pytest.mark.parametrize(
    ("option", "address"), [("", "+8613800138000"), ("&country=49", "+4913800138000")]
)
async def test_the_setting_holds_for_those_who_write_unless_the_channel_says_otherwise(
    option: str, address: str
) -> None:
    smsc, kept = Smsc(), Kept()
    await smsc.start()
    kind = kind_of("sms")
    wanted = kind.settings(url=f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086{option}")
    means = Means(b"secret", datetime.now, none_spoken, country="86")
    channel = kind.build("sms", wanted, means)
    await channel.start(kept.inbox)
    await until(lambda: channel.health() == "up")
    national, ours = codec.address(2, 1, "013800138000"), codec.address(0, 1, "10086")
    [customer] = smsc.customers
    words = codec.message_body(national, ours, 0, 0, 0, b"hello")
    customer.deliver(Delivery("outreach", words))
    await until(lambda: kept.replies)
    await channel.stop()
    await smsc.stop()
    assert kept.replies[0].address == address
