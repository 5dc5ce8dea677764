"""Signatures and sealed messages of official accounts (WeChat, "Message Encryption and
Decryption"): SHA-1 over sorted parts; AES-256-CBC, padded to 32 octets, with the account's id."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK_OCTETS = 32
_CHANCE_OCTETS = 16


class SealError(Exception):
    """This was not sealed with our key for our account."""


def signature(*parts: str) -> str:
    """The hex SHA-1 of the parts, sorted and joined."""
    joined = "".join(sorted(parts)).encode("utf-8", "surrogateescape")
    return hashlib.sha1(joined, usedforsecurity=False).hexdigest()


def signed(given: str, *parts: str) -> bool:
    """Whether that is their signature; takes the same time wherever it is wrong."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), signature(*parts).encode())


class Seal:
    """Seals and opens messages with the EncodingAESKey of one account."""

    def __init__(self, aes_key: str, app_id: str) -> None:
        self._key = base64.b64decode(f"{aes_key}=")
        self._app_id = app_id.encode()

    def seal(self, message: bytes) -> str:
        """The message sealed, in base64."""
        length = len(message).to_bytes(4)
        plain = secrets.token_bytes(_CHANCE_OCTETS) + length + message + self._app_id
        missing = _BLOCK_OCTETS - len(plain) % _BLOCK_OCTETS
        encryptor = self._cipher().encryptor()
        sealed = encryptor.update(plain + bytes((missing,)) * missing) + encryptor.finalize()
        return base64.b64encode(sealed).decode()

    def open(self, sealed: str) -> bytes:
        """The message in it. Raises SealError."""
        try:
            octets = base64.b64decode(sealed.encode("ascii"), validate=True)
            decryptor = self._cipher().decryptor()
            plain = decryptor.update(octets) + decryptor.finalize()
        except (binascii.Error, ValueError):
            raise SealError("not sealed") from None
        missing = plain[-1] if plain else 0
        if not 1 <= missing <= _BLOCK_OCTETS or plain[-missing:] != bytes((missing,)) * missing:
            raise SealError("padding")
        content = plain[_CHANCE_OCTETS:-missing]
        end = 4 + int.from_bytes(content[:4])
        if len(content) < 4 or not hmac.compare_digest(content[end:], self._app_id):
            raise SealError("another account")
        return content[4:end]

    def _cipher(self) -> Cipher[modes.CBC]:
        return Cipher(algorithms.AES(self._key), modes.CBC(self._key[:16]))
