"""What an account at China Mobile's gateway needs."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from channels.china.proof import Proof
from channels.china.settings import Octet, Port, TestedSettings


class CmppSettings(TestedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account at a gateway (ISMG) of China Mobile.

    `host`, `port`: where it listens. `sp_id`: the company's code, also the login; `secret`: what
    was agreed for it. `version`: `auto` begins with 3.0 and speaks 2.0 if the gateway wants that.
    `source`: the service number that phones show, for messages that name no sender. `service_id`:
    the service's name, as applied for. `numbers`: how phones are written, `national` (1380…) or
    `international` (86138…). `chinese`: what is not ASCII goes as `ucs2`, or as `gbk` if that
    holds it. `fee_user_type`, `fee_phone`, `fee_type`, `fee_code`: who pays, which phone if it is
    neither end, how, and how many fen. `level`: how urgent messages are.

    `window`: unanswered submits at a time. `rate_per_s`: what the carrier allows (default: no
    limit but the window). `deadline_s`: how long an answer may take before the outcome is unknown.
    `test_after_s`: an idle line is tried after so long, `tests` times, `test_wait_s` each. After a
    failure the next try comes within `reconnect_s`, doubling up to `reconnect_max_s`; a refused
    login waits at least `refused_s`. `gateway_proof`: what to do if the gateway cannot show that it
    knows the secret: `warn`, `require` or `ignore`.
    """

    sp_id: Annotated[str, Meta(pattern=r"^[!-~]{1,6}$")]
    secret: str
    port: Port = 7890
    version: Literal["auto", "2.0", "3.0"] = "auto"
    service_id: Annotated[str, Meta(pattern=r"^[!-~]{0,10}$")] = ""
    fee_user_type: Annotated[int, Meta(ge=0, le=3)] = 2
    fee_phone: Annotated[str, Meta(pattern=r"^\d{0,21}$")] = ""
    fee_type: Annotated[str, Meta(pattern=r"^\d{2}$")] = "01"
    fee_code: Annotated[str, Meta(pattern=r"^\d{1,6}$")] = "0"
    level: Octet = 0
    gateway_proof: Proof = "warn"

    def __repr__(self) -> str:
        return f"CmppSettings({self.sp_id}@{self.host}:{self.port})"
