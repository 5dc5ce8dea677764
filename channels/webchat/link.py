"""Personal links: a token that carries an address and cannot be forged without the secret."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

MAX_ADDRESS_OCTETS = 200

_PURPOSE = b"outreach webchat link 1\0"


def mint(address: str, secret: bytes) -> str:
    """A token for `address`, fit for a URL or a cookie: base64url address, dot, HMAC-SHA256.

    The same address and secret give the same token; a new secret ends all old tokens.
    """
    mac = hmac.digest(secret, _PURPOSE + address.encode(), "sha256")
    return f"{_armoured(address.encode())}.{_armoured(mac)}"


def read(token: str, secret: bytes) -> str | None:
    """The address that `token` was minted for, or None if it was not minted with `secret`."""
    if not token.isascii() or len(token) > 2 * MAX_ADDRESS_OCTETS:
        return None
    body, _, _ = token.partition(".")
    try:
        address = urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    except ValueError:
        return None
    # Minted again and compared whole: another spelling of the same base64 is another token.
    minted = mint(address, secret)
    return address if address and hmac.compare_digest(minted, token) else None


def _armoured(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()
