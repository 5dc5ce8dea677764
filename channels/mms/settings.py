"""What an account at an MMS centre needs."""

from __future__ import annotations

import math
from ipaddress import ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct

from orchestrator.core.errors import OutreachError

SCHEMAS = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/"
"""Where the namespaces of MM7's releases lie (TS 23.140 annex L)."""

_CHINA_NEEDS = ("vasp_id", "vas_id", "service_code", "sender", "charged_party_id")


class MmsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: where the MMS centre takes MM7. `dialect`: `china` is what carriers there want:
    another start, a header, numbers without `+`. `username`, `password`, `auth`: for HTTP.
    `release` and `version`: what goes into the namespace and MM7Version; `api_version` into the
    header MM7APIVersion. `vasp_id`, `vas_id`, `service_code`, `sender`, `charged_party`,
    `charged_party_id` (`{to}` is the recipient's number): who we are and who pays, as agreed.
    `plain_sender`: the sender's address without an element of its kind. `message_class`,
    `priority`, `distribution` (may it be passed on), `adapt` (may the centre change the content):
    said of each message. `delivery_report`, `read_reply`: what to ask for. `transfer`: how parts
    travel. `max_octets`: of one message's content. `width`, `height`: the largest picture, unless
    the template names a smaller screen. `max_text`: characters. `country` (`86`) completes national
    numbers. `public_url`: how the centre reaches our web processes; without it there are no
    receipts and no replies. `proof`: what shows that a callback is the centre's: a `key` in the
    address, `basic` (`callback_username`, `callback_password`) or its `sources` (addresses or
    networks). `deadline_s`: how long an answer may take. `connections`: requests at a time.
    `rate_per_s`: what the centre allows."""

    url: Annotated[str, Meta(pattern="^https?://.+$")]
    dialect: Literal["3gpp", "china"] = "3gpp"
    username: str = ""
    password: str = ""
    auth: Literal["basic", "digest"] = "basic"
    release: Annotated[str, Meta(pattern=r"^([\w.-]+|https?://\S+)?$")] = ""
    version: Annotated[str, Meta(pattern=r"^(\d+\.\d+\.\d+)?$")] = ""
    api_version: Annotated[str, Meta(pattern=r"^[!-~]*$")] = ""
    vasp_id: str = ""
    vas_id: str = ""
    service_code: str = ""
    sender: str = ""
    plain_sender: bool = False
    charged_party: Literal["", "Sender", "Recipient", "Both", "Neither", "ThirdParty"] = ""
    charged_party_id: str = ""
    message_class: Literal["", "Personal", "Informational", "Advertisement", "Auto"] = (
        "Informational"
    )
    priority: Literal["", "Low", "Normal", "High"] = ""
    distribution: bool = True
    adapt: bool = True
    delivery_report: bool = True
    read_reply: bool = False
    transfer: Literal["binary", "base64"] = "binary"
    max_octets: Annotated[int, Meta(ge=10_000, le=700_000)] = 100 * 1024
    width: Annotated[int, Meta(ge=16, le=4096)] = 640
    height: Annotated[int, Meta(ge=16, le=4096)] = 480
    max_text: Annotated[int, Meta(ge=1, le=30_000)] = 5_000
    country: Annotated[str, Meta(pattern=r"^\d{0,3}$")] = ""
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    proof: Literal["key", "basic", "source"] = "key"
    callback_username: str = ""
    callback_password: str = ""
    sources: tuple[str, ...] = ()
    deadline_s: Annotated[float, Meta(gt=0)] = 30.0
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    rate_per_s: Annotated[float, Meta(gt=0)] = math.inf

    def __post_init__(self) -> None:
        try:
            host = urlsplit(self.url).hostname
        except ValueError:
            host = None
        if not host:
            raise OutreachError(
                "the MMS centre's URL names no host", "write `url: https://host/path`"
            )
        missing = [name for name in _CHINA_NEEDS if not getattr(self, name)]
        if self.dialect == "china" and missing:
            raise OutreachError(
                f"carriers in China want {', '.join(missing)} as well",
                "write what the carrier gave you; `charged_party_id: '{to}'` is the recipient",
            )
        if self.proof == "basic" and not (self.callback_username and self.callback_password):
            raise OutreachError(
                "nothing says how callbacks prove themselves",
                "write `callback_username:` and `callback_password:`",
            )
        if self.proof == "source" and not self.sources:
            raise OutreachError(
                "nothing says where callbacks come from", "write `sources: [192.0.2.0/24]`"
            )
        for source in self.sources:
            try:
                ip_network(source)
            except ValueError:
                raise OutreachError(
                    f"{source!r} is no address and no network", "write `192.0.2.0/24`"
                ) from None

    @property
    def namespace(self) -> str:
        """The namespace of what we send."""
        if "://" in self.release:
            return self.release
        china = self.dialect == "china"
        return SCHEMAS + (self.release or ("REL-6-MM7-1-0" if china else "REL-6-MM7-1-4"))

    @property
    def mm7_version(self) -> str:
        """The MM7Version of what we send."""
        return self.version or ("6.3.0" if self.dialect == "china" else "6.8.0")

    def __repr__(self) -> str:
        return f"MmsSettings({urlsplit(self.url).hostname})"
