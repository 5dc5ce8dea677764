"""What an account at a push proxy gateway needs."""

from __future__ import annotations

import math
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from channels.pap.control import Version
from channels.wap_push.authored import Push
from orchestrator.core.errors import OutreachError


class PapSettings(Push, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: where the gateway takes pushes. `username` and `password`: for HTTP Basic, if it wants
    that. `version`: of PAP. `ppg`: the gateway's name in addresses (`…/TYPE=PLMN@ppg`), if it is
    not the host of `url`. `source`: who we are, as `source-reference`. `delivery` and `priority`:
    the quality of service to ask for. `progress`: ask for progress notes. `public_url`: how the
    gateway reaches our web processes, `https://outreach.example`; without it there are no receipts.
    `deadline_s`: how long an answer may take. `connections`: requests at a time. `rate_per_s`: what
    the gateway allows. `action`: what a phone does with a push, unless the template says
    (`wap_push_action`) or `actions` does, by contact class. `replaces`: a later message of the same
    step takes the place of the earlier on the phone. `keep_h`: so many hours after the message's
    time the phone drops it by itself."""

    url: Annotated[str, Meta(pattern="^https?://.+$")]
    username: str = ""
    password: str = ""
    version: Version = "2.0"
    ppg: str = ""
    source: str = ""
    delivery: Literal["", "confirmed", "preferconfirmed", "unconfirmed", "notspecified"] = ""
    priority: Literal["", "high", "medium", "low"] = ""
    progress: bool = False
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    deadline_s: Annotated[float, Meta(gt=0)] = 30.0
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    rate_per_s: Annotated[float, Meta(gt=0)] = math.inf

    def __post_init__(self) -> None:
        try:
            host = urlsplit(self.url).hostname
        except ValueError:
            host = None
        if not host:
            raise OutreachError("the gateway's URL names no host", "write `url: https://host/path`")

    @property
    def gateway(self) -> str:
        """The gateway's name in addresses."""
        return self.ppg or urlsplit(self.url).hostname or ""

    def __repr__(self) -> str:
        return f"PapSettings({self.gateway})"
