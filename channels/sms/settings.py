"""What one carrier account needs, read from a URL such as
`smpp://system_id:password@host:2775?window=100&source=10086&rate=200`."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from msgspec import Meta, Struct, field

from orchestrator.core.errors import OutreachError

Ton = Annotated[int, Meta(ge=0, le=6)]
"""Type of number (SMPP 3.4 §5.2.5): 0 unknown, 1 international, 2 national, 5 alphanumeric."""
Npi = Annotated[int, Meta(ge=0, le=18)]
"""Numbering plan (SMPP 3.4 §5.2.6): 0 unknown, 1 E.164."""
Seconds = Annotated[float, Meta(gt=0)]
Language = Literal[
    "tr", "es", "pt", "bn", "as", "gu", "hi", "kn", "ml", "or", "pa", "ta", "te", "ur"
]
"""Of those whose national tables there are, see `core.alphabets`."""


class SettingsError(OutreachError):
    """The URL of a carrier account does not mean anything."""


class SmppSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One carrier account.

    `bind`: `transceiver` is one connection both ways, `split` a transmitter and a receiver,
    `transmitter` sends only. `window`: unanswered submits at a time. `rate_per_s`: what the
    carrier allows (default: no limit but the window). `deadline_s`: how long an answer may take
    before the outcome is unknown. `source` is the default sender; without `source_ton` and
    `source_npi`, `+861…` is international, letters are alphanumeric, digits are unknown/E.164.
    `country` (`86`) completes numbers that arrive in national form. `receipt_ids` says how
    receipts write message ids, see `channels.sms.receipt`. After a failure the next try comes
    within `reconnect_s`, doubling up to `reconnect_max_s`; a refused bind waits at least
    `refused_s`. `outbind_port`: also listen there (on `outbind_host`) for a carrier that
    calls us with `outbind_password` (SMPP 3.4 §2.2.1); with `outbind_cert` and `outbind_key`, files
    of a certificate and its key, only over TLS, and with `outbind_ca` only for whoever shows a
    certificate that those in that file have signed.
    `ca`: a file of certificates to trust instead of the system's.
    `long`: how a text of several parts goes: `udh` in parts with a user data header, `sar` in parts
    with the sar_* optional parameters (§5.3.2.22), `payload` whole in message_payload (§5.3.2.32).
    `reference_bits` of the parts' common number in the header.
    `carrier`: receipts of messages that went over one bind may come over another whose word here
    is the same; two carriers whose ids could be alike need two words.
    """

    host: str
    system_id: Annotated[str, Meta(min_length=1, max_length=15)]
    port: Annotated[int, Meta(gt=0, le=65535)] = 2775
    password: Annotated[str, Meta(max_length=8)] = ""
    system_type: Annotated[str, Meta(max_length=12)] = ""
    bind: Literal["transceiver", "split", "transmitter"] = "transceiver"
    window: Annotated[int, Meta(ge=1, le=10_000)] = 100
    rate_per_s: Annotated[float, Meta(gt=0)] = math.inf
    deadline_s: Seconds = 10.0
    enquire_link_s: Seconds = 30.0
    reconnect_s: Seconds = 0.5
    reconnect_max_s: Seconds = 60.0
    refused_s: Annotated[float, Meta(ge=0)] = 30.0
    source: Annotated[str, Meta(max_length=21)] = ""
    source_ton: Ton | None = None
    source_npi: Npi | None = None
    dest_ton: Ton | None = None
    dest_npi: Npi | None = None
    country: Annotated[str, Meta(pattern=r"^\d{0,3}$")] = ""
    receipt_ids: Literal["auto", "same", "dec", "hex"] = "auto"
    outbind_port: Annotated[int, Meta(ge=0, le=65535)] | None = None
    outbind_host: str = "0.0.0.0"
    outbind_password: Annotated[str, Meta(max_length=8)] = ""
    outbind_cert: str = ""
    outbind_key: str = ""
    outbind_ca: str = ""
    tls: bool = False
    ca: str = ""
    long: Literal["udh", "sar", "payload"] = "udh"
    reference_bits: Literal[8, 16] = 8
    carrier: Annotated[str, Meta(max_length=20)] = ""

    @classmethod
    def from_url(cls, url: str) -> SmppSettings:
        """The settings that this URL means. Raises SettingsError naming the option at fault."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise SettingsError(f"the SMPP URL cannot be read: {error}", _SHAPE) from None
        if parts.scheme not in ("smpp", "smpps"):
            raise SettingsError(f"{parts.scheme or 'no scheme'}:// is not SMPP", _SHAPE)
        if not parts.hostname or not parts.username:
            missing = "host" if not parts.hostname else "system_id"
            raise SettingsError(f"the SMPP URL names no {missing}", _SHAPE)
        if parts.path not in ("", "/") or parts.fragment:
            raise SettingsError("the SMPP URL has a path or a fragment; it takes neither", _SHAPE)
        values: dict[str, Any] = {
            "host": parts.hostname,
            "system_id": unquote(parts.username),
            "password": unquote(parts.password or ""),
            "tls": parts.scheme == "smpps",
        }
        if port is not None:
            values["port"] = port
        values.update(_options(cls, parts.query))
        try:
            settings = msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(f"the SMPP URL has a wrong value: {error}", _SHAPE) from None
        if settings.outbind_port is not None and not settings.outbind_password:
            raise SettingsError(
                "outbind_port needs outbind_password",
                "Without it, anybody who calls that port would be sent the account's password.",
            )
        if bool(settings.outbind_cert) != bool(settings.outbind_key):
            raise SettingsError(
                "outbind_cert and outbind_key go together", "Name both files, or neither."
            )
        if settings.outbind_ca and not settings.outbind_cert:
            raise SettingsError(
                "outbind_ca needs outbind_cert and outbind_key",
                "Only over TLS does a caller show a certificate.",
            )
        return settings

    def __repr__(self) -> str:
        return f"SmppSettings({self.system_id}@{self.host}:{self.port})"


class Rule(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"klass": "class"}
):
    """What holds for the messages to numbers that begin with `to`, of contact class `class`, of
    `journey`; what is left out matches all. `sender`, with `ton` and `npi` where the carrier wants
    others than `SmppSettings` says; without `sender`, the bind's. `flash`: phones show the text at
    once and do not keep it (class 0, GSM 03.38 §4)."""

    to: Annotated[str, Meta(pattern=r"^\+?\d*$")] = ""
    contact_class: str = field(default="", name="class")
    journey: str = ""
    sender: Annotated[str, Meta(max_length=20)] = ""
    ton: Ton | None = None
    npi: Npi | None = None
    flash: bool = False

    def __post_init__(self) -> None:
        name = self.sender.removeprefix("+")
        if not (name.isascii() and name.isdigit()) and len(name) > _MAX_NAME:
            raise SettingsError(
                f"the sender {self.sender!r} is too long",
                f"Phones show at most {_MAX_NAME} letters, or a number.",
            )

    def matches(self, address: str, contact_class: str, series: str) -> bool:
        """`series` is `journey/step`."""
        return (
            address.startswith(self.to)
            and self.contact_class in ("", contact_class)
            and self.journey in ("", series.partition("/")[0])
        )


class SmsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: the carrier account, `smpp://system_id:password@host:2775?window=100&source=10086`
    (`smpps://` for TLS); its options are those of `SmppSettings`. `binds`: several of them instead;
    `use: spread` sends over all that are up, `use: backup` over the first that is. `rules` say who
    the sender is: the first that matches holds. `languages` (`tr`, `es`, `pt`; `hi`, `bn`, `as`,
    `gu`, `kn`, `ml`, `or`, `pa`, `ta`, `te`, `ur`): texts may be written in their national tables,
    where the carrier and its phones know them."""

    url: str = ""
    binds: tuple[str, ...] = ()
    use: Literal["spread", "backup"] = "spread"
    rules: tuple[Rule, ...] = ()
    languages: tuple[Language, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.binds):
            raise SettingsError("give either `url` or `binds`", _SHAPE)
        modes: dict[str, str] = {}
        for account in self.accounts():
            if modes.setdefault(account.carrier, account.receipt_ids) != account.receipt_ids:
                raise SettingsError(
                    "binds of one carrier differ in `receipt_ids`",
                    "Make them alike, or tell the carriers apart by `carrier`.",
                )

    def accounts(self) -> tuple[SmppSettings, ...]:
        """What each bind needs, in order. Raises SettingsError."""
        return tuple(SmppSettings.from_url(url) for url in self.binds or (self.url,))

    def __repr__(self) -> str:
        return f"SmsSettings({', '.join(map(repr, self.accounts()))})"


_MAX_NAME = 11
"""Letters of an alphanumeric sender (3GPP TS 23.040 §9.1.2.5: 10 octets of septets)."""
_SHAPE = "Write smpp://system_id:password@host:port?window=100&source=10086 (smpps:// for TLS)."
_FROM_URL_ITSELF = ("host", "port", "system_id", "password", "tls")
_UNITS = ("", "_s", "_per_s")


def _options(settings: type[SmppSettings], query: str) -> dict[str, str]:
    """The query's options by field name; the unit at a name's end may be left out."""
    known = [name for name in settings.__struct_fields__ if name not in _FROM_URL_ITSELF]
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        name = next((key + unit for unit in _UNITS if key + unit in known), None)
        if name is None:
            raise SettingsError(
                f"{key} is not an option of an SMPP URL", f"There are: {', '.join(known)}."
            )
        if name in found:
            raise SettingsError(f"the SMPP URL gives {key} twice", "Keep one of them.")
        # A plus sign in a query is a blank; no sender begins with one.
        found[name] = "+" + value.strip() if name == "source" and value[:1] == " " else value
    return found
