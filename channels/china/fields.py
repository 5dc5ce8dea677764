"""The fields that bodies are made of: integers, and text of a fixed length filled up with NULs."""

from __future__ import annotations

import struct
from struct import Struct as Layout
from typing import Any

from orchestrator.core.errors import OutreachError


class FieldError(OutreachError):
    """What came is not a PDU of this protocol, or a value does not fit into one."""


def fixed(name: str, value: str, octets: int) -> bytes:
    """The text in at most so many octets; the layout fills it up. Raises FieldError."""
    if not value.isascii() or "\0" in value or len(value) > octets:
        raise FieldError(f"{name} must be at most {octets} characters of plain ASCII")
    return value.encode()


def words(octets: bytes) -> str:
    """The text in a field of fixed length, up to the first NUL."""
    return octets.partition(b"\0")[0].decode("latin-1").strip(" ")


def unpack(layout: Layout, body: bytes, at: int = 0) -> tuple[Any, ...]:
    """The fields of a layout from there on. Raises FieldError where the body is cut short."""
    try:
        return layout.unpack_from(body, at)
    except struct.error:
        raise cut_short() from None


def content(body: bytes, at: int, length: int) -> bytes:
    """So many octets from there on, all of them. Raises FieldError."""
    if at + length > len(body):
        raise cut_short()
    return body[at : at + length]


def cut_short() -> FieldError:
    """The error for a body that ends too soon."""
    return FieldError("the body is cut short")
