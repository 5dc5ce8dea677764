"""Every command as people see it: one transcript per command, in Chinese and English."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.registry import COMMANDS
from tests.bot.chat import replayed

FOLDER = Path(__file__).parent / "transcripts"

TALKS = [
    pytest.param(written, id=f"{path.stem}: {written['title']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for written in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("written", TALKS)
def test_the_talk_goes_as_written(written: dict[str, Any]) -> None:
    assert "\n".join(replayed(written)) == written["talk"].strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_transcript_in_chinese_and_english(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    assert path.exists(), f"write tests/bot/transcripts/{name}.yaml"
    talks = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"zh", "en"} <= {written.get("locale", "en") for written in talks}


@pytest.mark.parametrize("written", TALKS)
def test_every_sms_fits_into_one_part(written: dict[str, Any]) -> None:
    if written.get("channel", "sms") == "sms":
        for said in replayed(written):
            if said.startswith("> "):
                text = said[2:]
                most = 160 if text.isascii() else 70
                assert len(text.encode("utf-16-le")) // 2 <= most, f"{len(text)}: {text}"
