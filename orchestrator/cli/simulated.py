"""The channels of a simulated carrier, as a file that every process of the installation reads."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.carrier import LOOPBACK, SHORT_CODE, smpp_url
from orchestrator.runtime.embedded.folder import open_root

FILE = "simulated-channels.yaml"


def write_channels(data: Path, smpp_port: int, mm7_port: int, site: str) -> Path:
    """The file in the data folder that makes SMS, MMS and WAP push channels of the carrier on these
    ports; it tells the web process at `site` what becomes of an MMS."""
    open_root(data)
    path = data / FILE
    path.write_text(
        f"""\
# Of the carrier that is simulated on this machine; written anew at each start. To have carriers of
# your own, write channels.yaml beside journeys/.
sms:
  url: {smpp_url(smpp_port)}
wap_push:
  over: sms
mms:
  url: http://{LOOPBACK}:{mm7_port}/mm7
  username: outreach
  password: secret
  sender: {SHORT_CODE}
  public_url: {site}
""",
        encoding="utf-8",
    )
    return path
