"""JSON as columns hold it: fast, and never a character that PostgreSQL refuses."""

from __future__ import annotations

from typing import Any

import msgspec

decode = msgspec.json.decode
_encode = msgspec.json.encode


def encode(value: Any) -> str:
    """`value` as JSON text."""
    return _encode(value).decode()


def clean(text: str) -> str:
    """`text` without NUL and lone surrogates, which PostgreSQL cannot hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
