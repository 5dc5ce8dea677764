"""Whether a callback comes from the aggregator."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from channels.http.settings import Proof


def key_of(secret: bytes, channel: str) -> str:
    """The key in the addresses of this channel's callbacks."""
    return hmac.new(secret, f"callback:{channel}".encode(), hashlib.sha256).hexdigest()[:32]


def proven(
    proof: Proof,
    *,
    key: str,
    given_key: str,
    url: str,
    body: bytes,
    form: Mapping[str, str],
    fields: Mapping[str, str],
    headers: Mapping[str, str],
) -> bool:
    """Whether this callback shows what `proof` asks for. `url` is the address as the aggregator
    called it; `form` the fields of its body, `fields` those of its query as well."""
    match proof.by:
        case "twilio":
            wanted = twilio(proof.secret, url, form)
            return _same(wanted, headers.get("X-Twilio-Signature", ""))
        case "vonage":
            return _same(vonage(proof.secret, proof.method, fields), fields.get("sig", "").lower())
        case "hmac":
            digest = hmac.new(proof.secret.encode(), body, _digest(proof.method)).digest()
            given = headers.get(proof.header, "").removeprefix(f"{proof.method}=")
            return _same(digest.hex(), given.lower()) or _same(
                base64.b64encode(digest).decode(), given
            )
        case "key":
            return _same(key, given_key)


def twilio(token: str, url: str, form: Mapping[str, str]) -> str:
    """X-Twilio-Signature: base64 of HMAC-SHA1 over the address and the sorted form fields, each
    name followed by its value (Twilio, "Validating requests")."""
    signed = url + "".join(f"{name}{form[name]}" for name in sorted(form))
    return base64.b64encode(hmac.new(token.encode(), _octets(signed), "sha1").digest()).decode()


def vonage(secret: str, method: str, fields: Mapping[str, str]) -> str:
    """The parameter `sig`: `&name=value` of the others, sorted, with `&` and `=` in values as
    `_`; hashed with the secret behind it, or by HMAC (Vonage, "Signing messages")."""
    signed = "".join(
        f"&{name}={fields[name].replace('&', '_').replace('=', '_')}"
        for name in sorted(fields)
        if name != "sig"
    )
    if method == "md5hash":
        return hashlib.md5(_octets(signed + secret), usedforsecurity=False).hexdigest()
    return hmac.new(secret.encode(), _octets(signed), _digest(method)).hexdigest()


def _digest(method: str) -> str:
    return "md5" if method == "md5hash" else method


def _same(wanted: str, given: str) -> bool:
    return hmac.compare_digest(wanted.encode(), _octets(given))


def _octets(given: str) -> bytes:
    """As they came: a header or an address need not be text."""
    return given.encode("utf-8", "surrogatepass")
