"""Every kind of channel has its page, and the page names every key of its settings."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from channels.registry import kind_names, kind_of

PAGES = Path(__file__).parents[2] / "docs/channels"


@pytest.mark.parametrize("kind", kind_names())
def test_the_page_of_a_kind_names_every_key_of_its_settings(kind: str) -> None:
    page = (PAGES / f"{kind}.md").read_text()
    keys = [field.encode_name for field in msgspec.structs.fields(kind_of(kind).settings)]
    missing = [key for key in keys if f"`{key}`" not in page and f"{key}:" not in page]
    assert missing == []


def test_every_page_is_that_of_a_kind() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} <= {*kind_names()}


def test_a_page_leads_only_to_pages_that_are_there() -> None:
    for path in PAGES.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
