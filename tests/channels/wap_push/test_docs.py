"""The operators' pages name every key that `channels.yaml` may give these channels."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from channels.registry import kind_of
from orchestrator.core.model import PushAction
from orchestrator.core.render import BLOCKS

DOCS = Path(__file__).parents[3] / "docs" / "channels"


@pytest.mark.parametrize("kind", ["wap_push", "pap"])
def test_every_key_is_named(kind: str) -> None:
    page = (DOCS / f"{kind}.md").read_text()
    for field in msgspec.structs.fields(kind_of(kind).settings):
        assert f"`{field.encode_name}`" in page


def test_every_word_and_block_for_a_push_is_named() -> None:
    page = (DOCS / "wap_push.md").read_text()
    for word in (*get_args(PushAction), *(it for it in BLOCKS if it.startswith("wap_push"))):
        assert word in page
