"""`outreach channels`: what is configured, told to people and programs."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.shell import outreach

FILE = """
sms:
  kind: http
  preset: kannel
  public_url: https://outreach.example
  values: {username: u, password: "${WORD}", base: "http://127.0.0.1:13013"}
"""


def env(folder: Path, text: str) -> dict[str, str]:
    (folder / "channels.yaml").write_text(text)
    secret = "a secret of sixteen octets or more"
    return {"OUTREACH_PROJECT": str(folder), "WORD": "pass", "OUTREACH_SECRET": secret}


def test_each_channel_is_listed_with_its_holder_and_the_addresses_for_its_carrier(
    tmp_path: Path,
) -> None:
    told = outreach("channels", "--json", env=env(tmp_path, FILE))
    assert told.returncode == 0, told.stderr
    sms, webchat, *desks = json.loads(told.stdout)
    assert (sms["channel"], sms["kind"], sms["held_by"]) == ("sms", "http", "web")
    address = "https://outreach.example/callbacks/sms/replies?key="
    assert sms["callbacks"]["replies"].startswith(address)
    assert (webchat["channel"], webchat["callbacks"]) == ("webchat", {})
    assert [(it["channel"], it["kind"]) for it in desks] == [("counter", "desk"), ("calls", "desk")]
    shown = outreach("channels", env=env(tmp_path, FILE)).stdout
    assert sms["callbacks"]["replies"] in shown
    assert "pass" not in shown.replace("passwords", "")


def test_a_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    told = outreach("channels", env=env(tmp_path, FILE.replace("kannel", "kanel")))
    assert told.returncode == 1
    assert "channels.yaml:3:" in told.stderr
    assert "there is no preset 'kanel'" in told.stderr
