"""The operators' pages name every key that `channels.yaml` may give these channels."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from channels.registry import kind_of

DOCS = Path(__file__).parents[3] / "docs" / "channels"


@pytest.mark.parametrize("kind", ["cmpp", "sgip", "smgp"])
def test_every_key_is_named(kind: str) -> None:
    page = (DOCS / f"{kind}.md").read_text()
    described = kind_of(kind).settings.__doc__ or ""
    for field in msgspec.structs.fields(kind_of(kind).settings):
        assert f"`{field.encode_name}`" in page
        assert f"`{field.encode_name}`" in described
