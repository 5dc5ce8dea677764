"""What an account at China Telecom's gateway needs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from channels.china.proof import Proof
from channels.china.settings import Port, TestedSettings
from channels.china.text import Chinese


class SmgpSettings(TestedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a gateway (SMGW) of China Telecom.

    `host`, `port`: where it listens. `client_id`, `secret`: the login. `mode`: what this connection
    is for, `both` ways, `send` or `receive`. `source`: the number that phones show (118 and the
    service code, or as agreed), for messages that name no sender. `service_id`: the service on
    fixed lines, `m_service_id` that on mobiles; `msg_src`: the company's or the service's code.
    `numbers`: how phones are written, `national` (1330…) or `international` (86133…). `chinese`:
    what is not ASCII goes as `gbk` if that holds it, or always as `ucs2`. `fee_type`, `fee_code`,
    `fixed_fee`, `charge_phone`: how people pay, how many fen a message or a month, which phone if
    it is not the receiver. `priority`: 0 to 3.

    `window`: unanswered submits at a time. `rate_per_s`: what the carrier allows (default: no
    limit but the window). `deadline_s`: how long an answer may take before the outcome is unknown.
    `test_after_s`: an idle line is tried after so long, `tests` times, `test_wait_s` each. After a
    failure the next try comes within `reconnect_s`, doubling up to `reconnect_max_s`; a refused
    login waits at least `refused_s`. `gateway_proof`: what to do if the gateway cannot show that it
    knows the secret: `warn`, `require` or `ignore`.
    """

    client_id: Annotated[str, Meta(pattern=r"^[!-~]{1,8}$")]
    secret: Annotated[str, Meta(max_length=15)]
    port: Port = 8890
    mode: Literal["both", "send", "receive"] = "both"
    chinese: Chinese = "gbk"
    service_id: Annotated[str, Meta(pattern=r"^[!-~]{0,10}$")] = ""
    m_service_id: Annotated[str, Meta(pattern=r"^[!-~]{0,21}$")] = ""
    msg_src: Annotated[str, Meta(pattern=r"^[!-~]{0,8}$")] = ""
    fee_type: Annotated[str, Meta(pattern=r"^\d{2}$")] = "00"
    fee_code: Annotated[str, Meta(pattern=r"^\d{1,6}$")] = "0"
    fixed_fee: Annotated[str, Meta(pattern=r"^\d{1,6}$")] = "0"
    charge_phone: Annotated[str, Meta(pattern=r"^\d{0,21}$")] = ""
    priority: Annotated[int, Meta(ge=0, le=3)] = 1
    gateway_proof: Proof = "warn"

    def __repr__(self) -> str:
        return f"SmgpSettings({self.client_id}@{self.host}:{self.port})"
