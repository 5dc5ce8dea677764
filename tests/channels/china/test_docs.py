"""The operators' pages name every key that `channels.yaml` may give these channels."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from channels.registry import kind_of
from orchestrator.runtime.channels import FILE, configured
from orchestrator.runtime.settings import Settings

ENV = dict.fromkeys(
    ("CMPP_SECRET", "SMGP_SECRET", "SGIP_PASSWORD", "SGIP_LISTEN_PASSWORD"), "secret"
)
DOCS = Path(__file__).parents[3] / "docs" / "channels"


@pytest.mark.parametrize("kind", ["cmpp", "sgip", "smgp"])
def test_every_key_is_named(kind: str) -> None:
    page = (DOCS / f"{kind}.md").read_text()
    described = kind_of(kind).settings.__doc__ or ""
    for field in msgspec.structs.fields(kind_of(kind).settings):
        assert f"`{field.encode_name}`" in page
        assert f"`{field.encode_name}`" in described


@pytest.mark.parametrize("kind", ["cmpp", "sgip", "smgp"])
def test_the_example_is_a_channel(kind: str, tmp_path: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", (DOCS / f"{kind}.md").read_text(), re.DOTALL)
    assert example is not None
    (tmp_path / FILE).write_text(example[1])
    found = configured(Settings.from_env({}, tmp_path), ENV)["sms"]
    assert found.kind is kind_of(kind)
    assert found.settings.host.startswith("192.0.2.")
    assert "secret" not in repr(found.settings)
