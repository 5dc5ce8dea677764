"""One aggregator's API as data: what is sent where, and how answers and callbacks are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from channels.http.words import names_in, unknown_names
from orchestrator.core.errors import OutreachError

State = Literal["delivered", "undelivered", "expired", "rejected", "passing"]
"""`passing`: it says nothing final, and is only thanked for."""

_PRESETS = Path(__file__).parent / "presets"


class Auth(Struct, frozen=True, forbid_unknown_fields=True):
    """`basic`: user and password. `bearer`: a token. One of them."""

    basic: tuple[str, str] | None = None
    bearer: str = ""


class Alphabets(Struct, frozen=True, forbid_unknown_fields=True):
    """The aggregator's words for texts in the GSM alphabet, and for all others."""

    gsm: str = "gsm"
    ucs2: str = "ucs2"


class Send(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request per message.

    `{name}` in `url`, `query`, `form`, `json`, `headers` and `auth` is filled in: `to` (with `+`),
    `to_digits`, `sender`, `text`, `message_id`, `alphabet` (the word of `alphabets` for this text,
    which is `gsm` or needs `ucs2`), `valid_s` (seconds it is good for, at most `max_valid_s`),
    `receipts` (the address for receipts), and every name under the channel's `values`. A field of
    `query` or `form` that comes out empty is left out. A text longer than `max_text` is refused.

    An answer is read as JSON by dotted paths, or by `pattern`, a regular expression with groups
    of the same names: `id`, `status`, `reason`. Without an `id` in the answer, `id` may be filled
    in itself: `{message_id}`. The `status` found, else the HTTP status, decides: in `accepted`,
    it was taken; in `later`, provably not, and it is tried again; in `unknown`, nobody can say;
    any other is a refusal for good. `2xx` stands for a hundred of HTTP's.
    """

    url: str
    method: Literal["POST", "GET"] = "POST"
    auth: Auth = Auth()
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    form: Mapping[str, str] = {}
    json: Any = None
    alphabets: Alphabets = Alphabets()
    max_valid_s: Annotated[int, Meta(gt=0)] = 86_400
    max_text: Annotated[int, Meta(gt=0)] = 1_600
    pattern: str = ""
    id: str = ""
    status: str = ""
    reason: str = ""
    accepted: tuple[str, ...] = ("2xx",)
    later: tuple[str, ...] = ("429", "503")
    unknown: tuple[str, ...] = ("5xx",)


class Thanks(Struct, frozen=True, forbid_unknown_fields=True):
    """What the aggregator wants to hear once a callback is stored."""

    status: int = 200
    type: str = "text/plain"
    body: str = ""


class Proof(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a callback shows that it is the aggregator's.

    `twilio`: X-Twilio-Signature with the account's token as `secret`. `vonage`: the parameter
    `sig` by `method`. `hmac`: the header `header` holds the HMAC of the raw body (`method`, hex or
    base64). `key`: the address itself holds a key that only we and they know; it is part of
    `receipts` and of what `outreach channels` prints.
    """

    by: Literal["twilio", "vonage", "hmac", "key"] = "key"
    secret: str = ""
    method: Literal["md5hash", "md5", "sha1", "sha256", "sha512"] = "sha256"
    header: str = ""


class Receipts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a callback (query, form or JSON, dotted) that say what became of a message.
    `states` maps the aggregator's words to ours; a word that is not there is thanked for."""

    id: str
    state: str
    states: Mapping[str, State]
    code: str = ""
    thanks: Thanks = Thanks()


class Replies(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of a callback that bring in a text. `country` (`86`) completes numbers in
    national form. `join`: the fields of the reference, the number of parts and the part's own, if
    the aggregator brings the parts of a long text one by one."""

    id: str
    sender: str
    text: str
    to: str = ""
    country: Annotated[str, Meta(pattern=r"^\d{0,3}$")] = ""
    join: tuple[str, str, str] | None = None
    thanks: Thanks = Thanks()


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a preset says of an aggregator; `values` that hold unless others are given."""

    send: Send
    values: Mapping[str, str] = {}
    proof: Proof = Proof()
    receipts: Receipts | None = None
    replies: Replies | None = None


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An aggregator with an HTTP API, as a whole, or as a preset.

    `preset`: `kannel`, `twilio` or `vonage`. `values`: what `{name}` means in its texts, such as
    `account` and `token`. `sender`: who messages come from. `public_url`: how the aggregator
    reaches us, `https://outreach.example`. `send`, `proof`, `receipts`, `replies`: written out,
    each takes the place of the preset's. `rate_per_s`: what the account allows, per web process.
    `connections`: requests under way at once. `deadline_s`: after that an outcome is unknown.
    """

    preset: str = ""
    values: Mapping[str, str] = {}
    sender: str = ""
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    send: Send | UnsetType = UNSET
    proof: Proof | UnsetType = UNSET
    receipts: Receipts | UnsetType = UNSET
    replies: Replies | UnsetType = UNSET
    rate_per_s: Annotated[float, Meta(gt=0)] = math.inf
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    deadline_s: Annotated[float, Meta(gt=0)] = 30.0

    def __post_init__(self) -> None:
        self.account()

    def __repr__(self) -> str:
        return f"HttpSettings({self.preset or 'an aggregator of its own'})"

    def account(self) -> Account:
        """The preset with what is written out. Raises OutreachError for what cannot work."""
        parts = {
            name: part
            for name in ("send", "proof", "receipts", "replies")
            if (part := getattr(self, name)) is not UNSET
        }
        if self.preset:
            preset = _preset(self.preset)
            values = {**preset.values, **self.values}
            account = msgspec.structs.replace(preset, **parts, values=values)
        elif "send" in parts:
            account = Account(**parts, values=self.values)
        else:
            raise OutreachError(
                "nothing says how to send",
                f"write `preset:` ({', '.join(preset_names())}) or `send:`",
            )
        needed = [*names_in(account.send), *names_in(account.proof)]
        missing = sorted(set(unknown_names(needed, account.values)))
        if missing:
            raise OutreachError(
                f"{', '.join(missing)}: nothing says what that is", "write it under `values:`"
            )
        if account.proof.by != "key" and not account.proof.secret:
            raise OutreachError("the proof has no secret", "write `secret:` under `proof:`")
        if not self.public_url and (account.proof.by == "twilio" or "receipts" in needed):
            raise OutreachError(
                "nothing says how the aggregator reaches us",
                "write `public_url: https://…`, where its callbacks arrive",
            )
        return account


def preset_names() -> list[str]:
    """The aggregators that are known."""
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def _preset(name: str) -> Account:
    if name not in preset_names():
        raise OutreachError(
            f"there is no preset {name!r}", f"there are: {', '.join(preset_names())}"
        )
    return msgspec.yaml.decode((_PRESETS / f"{name}.yaml").read_bytes(), type=Account)
