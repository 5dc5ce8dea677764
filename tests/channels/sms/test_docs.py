"""The operators' page names every key and option that there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from channels.sms.settings import Rule, SmppSettings, SmsSettings

PAGE = (Path(__file__).parents[3] / "docs" / "channels" / "sms.md").read_text()


@pytest.mark.parametrize("settings", [SmsSettings, Rule, SmppSettings])
def test_every_key_is_named(settings: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(settings):
        assert f"`{field.encode_name}`" in PAGE


def test_the_examples_are_settings() -> None:
    for url in re.findall(r"smpps?://outreach:\S+", PAGE):
        SmppSettings.from_url(url.replace("${SMPP_PASSWORD}", "secret").strip("`,.)"))
