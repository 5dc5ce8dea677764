"""The operators' page names every key that `channels.yaml` may give this channel."""

from __future__ import annotations

from pathlib import Path

import msgspec

from channels.mms.incoming import _STATES
from channels.registry import kind_of
from orchestrator.core.render import BLOCKS

PAGE = (Path(__file__).parents[3] / "docs" / "channels" / "mms.md").read_text()


def test_every_key_is_named() -> None:
    for field in msgspec.structs.fields(kind_of("mms").settings):
        assert f"`{field.encode_name}`" in PAGE


def test_every_block_and_every_status_is_named() -> None:
    for word in (*_STATES, *(it for it in BLOCKS if it.startswith("mms"))):
        assert word.capitalize() in PAGE or word in PAGE
