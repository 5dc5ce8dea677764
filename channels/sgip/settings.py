"""What an account at China Unicom's gateway needs."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from channels.china.numbers import Form
from channels.china.settings import GatewaySettings, Octet, Port
from orchestrator.core.errors import OutreachError

Word = Annotated[str, Meta(pattern=r"^[!-~]{0,16}$")]


class SgipSettings(GatewaySettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a gateway (SMG) of China Unicom.

    `host`, `port`: where it listens. `login`, `password`: how we log in there. The gateway calls us
    back to bring reports and what people write: `listen_host`, `listen_port`: where we wait for it;
    `listen_login`, `listen_password`: how it logs in with us; `listen_most`: how many connections
    of it at a time. `node`: our number among all nodes (3, area code, company's code). `corp_id`:
    the company's code. `source`: the access number that phones show, for messages that name no
    sender. `service_type`: the service's name, as applied for. `numbers`: how phones are written,
    `international` (86130…) as specified, or `national` (130…). `chinese`: what is not ASCII goes
    as `ucs2`, or as `gbk` if that holds it. `charge_number`: who pays, 21 zeros for us, empty for
    the receiver. `fee_type`, `fee_value`, `given_value`, `agent_flag`: how, how many fen, how many
    given, and whether collected. `reason`: MorelatetoMTFlag. `priority`: 0 to 9.

    `window`: unanswered submits at a time. `rate_per_s`: what the carrier allows (default: no
    limit but the window). `deadline_s`: how long an answer may take before the outcome is unknown.
    After a failure the next try comes within `reconnect_s`, doubling up to `reconnect_max_s`; a
    refused login waits at least `refused_s`.
    """

    port: Port = 8801
    login: Word
    password: Word
    listen_host: str = "0.0.0.0"
    listen_port: Annotated[int, Meta(ge=0, le=65535)] = 8801
    listen_login: Word
    listen_password: Word
    listen_most: Annotated[int, Meta(ge=1, le=1000)] = 16
    node: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
    corp_id: Annotated[str, Meta(pattern=r"^\d{1,5}$")]
    numbers: Form = "international"
    service_type: Annotated[str, Meta(pattern=r"^[!-~]{0,10}$")] = ""
    charge_number: Annotated[str, Meta(pattern=r"^\d{0,21}$")] = "0" * 21
    fee_type: Octet = 1
    fee_value: Annotated[str, Meta(pattern=r"^\d{1,5}$")] = "0"
    given_value: Annotated[str, Meta(pattern=r"^\d{1,5}$")] = "0"
    agent_flag: Annotated[int, Meta(ge=0, le=1)] = 0
    reason: Annotated[int, Meta(ge=0, le=3)] = 2
    priority: Annotated[int, Meta(ge=0, le=9)] = 0
    window: Annotated[int, Meta(ge=1, le=1000)] = 32

    def __post_init__(self) -> None:
        if not self.listen_password:
            raise OutreachError(
                "listen_password is empty",
                "Anybody who calls that port could bring replies: agree on one with the carrier.",
            )

    def __repr__(self) -> str:
        return f"SgipSettings({self.login}@{self.host}:{self.port})"
