"""JSON as columns hold it: fast, and never a character that PostgreSQL refuses."""

from __future__ import annotations

from typing import Any

import msgspec

LONGEST_WORD = 255
"""Characters of an id, an address or a code of a carrier's. An index takes 8 KB."""

decode = msgspec.json.decode
_encode = msgspec.json.encode


def encode(value: Any) -> str:
    """`value` as JSON text, without NUL."""
    text = _encode(value)
    if b"\\u0000" in text:  # or what looks like it: a backslash before u0000
        text = _encode(_without_nul(decode(text)))
    return text.decode()


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {_without_nul(key): _without_nul(item) for key, item in value.items()}
    return value


def clean(text: str) -> str:
    """`text` without NUL and lone surrogates, which PostgreSQL cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def word(text: str) -> str:
    """What others call something, as a column with an index holds it. What is longer is cut, alike
    wherever it stands."""
    if text.isascii() and len(text) <= LONGEST_WORD and "\0" not in text:
        return text
    return clean(text)[:LONGEST_WORD]
