"""What is said in MM7 (TS 23.140 §7.4), as values."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from orchestrator.core.errors import OutreachError

LONGEST_ID = 200
LONGEST_WORDS = 200
Rsp = Literal["SubmitRsp", "CancelRsp", "DeliverRsp", "DeliveryReportRsp", "ReadReplyRsp"]


class Mm7Error(OutreachError):
    """What came cannot be used; the message says why, without its content."""


class Who(Struct, frozen=True):
    """SenderIdentification: which service provider, which service of its, under which address."""

    vasp_id: str = ""
    vas_id: str = ""
    sender: str = ""
    plain: bool = False


class Submit(Struct, frozen=True, kw_only=True):
    """SubmitReq: the content of `href` goes to `to`."""

    who: Who
    to: str
    service_code: str = ""
    linked_id: str = ""
    message_class: str = ""
    expires: datetime | None = None
    delivery_report: bool = False
    read_reply: bool = False
    priority: str = ""
    subject: str = ""
    charged_party: str = ""
    charged_party_id: str = ""
    distribution: bool = True
    href: str = ""
    adapt: bool = True


class Cancel(Struct, frozen=True):
    """CancelReq: the message of this id is not to be brought any more."""

    who: Who
    message_id: str


class Answer(Struct, frozen=True):
    """Any Rsp, RSErrorRsp and VASPErrorRsp: `code` is the StatusCode (§7.4.2, table 8.4.8)."""

    kind: str
    code: int
    words: str = ""
    message_id: str = ""


class Report(Struct, frozen=True):
    """DeliveryReportReq, or with `read` ReadReplyReq: what has become of a message."""

    message_id: str
    status: str
    recipient: str = ""
    sender: str = ""
    at: str = ""
    words: str = ""
    read: bool = False


class Delivery(Struct, frozen=True):
    """DeliverReq: somebody wrote to us; the content comes with it."""

    sender: str
    to: str = ""
    linked_id: str = ""
    subject: str = ""
    at: str = ""
    relay_id: str = ""
    href: str = ""


class Fault(Struct, frozen=True):
    """A SOAP fault. `code` is the StatusCode in its detail, 0 if there is none; `ours`: the one who
    asked is to blame."""

    code: int
    ours: bool
    words: str = ""


Said = Submit | Cancel | Answer | Report | Delivery | Fault


class Letter(Struct, frozen=True):
    """An envelope: what it says, and in which words (namespace and MM7Version)."""

    said: Said
    transaction: str
    namespace: str
    version: str
