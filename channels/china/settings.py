"""What every account at a gateway of a carrier in China needs."""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct

from channels.china.numbers import Form
from channels.china.text import Chinese

Seconds = Annotated[float, Meta(gt=0)]
Port = Annotated[int, Meta(gt=0, le=65535)]
Octet = Annotated[int, Meta(ge=0, le=255)]


class GatewaySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the gateway is, and how patient we are with it; the protocols add what is theirs."""

    host: str
    port: Port
    source: Annotated[str, Meta(pattern=r"^\d{1,21}$")]
    numbers: Form = "national"
    chinese: Chinese = "ucs2"
    window: Annotated[int, Meta(ge=1, le=1000)] = 16
    rate_per_s: Annotated[float, Meta(gt=0)] = math.inf
    deadline_s: Seconds = 20.0
    reconnect_s: Seconds = 0.5
    reconnect_max_s: Seconds = 60.0
    refused_s: Annotated[float, Meta(ge=0)] = 30.0


class TestedSettings(GatewaySettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for protocols that can try an idle line."""

    test_after_s: Seconds = 60.0
    test_wait_s: Seconds = 60.0
    tests: Annotated[int, Meta(ge=1, le=10)] = 3
