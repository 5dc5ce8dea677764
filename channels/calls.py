"""Calls of a carrier's HTTP API, for channels: whether a request was written is never a guess."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import aiohttp
from msgspec import Struct

_MOST_OCTETS = 1_000_000


class NotConnectedError(Exception):
    """No connection came about: the request was not written."""


class NoAnswerError(Exception):
    """The request may have been written, and nobody can say what became of it."""


class Answer(Struct, frozen=True):
    """An HTTP status, and the body as it came."""

    status: int
    body: bytes


def open_session(connections: int) -> aiohttp.ClientSession:
    """A session for so many requests at once; the environment's proxies are not used."""
    connector = aiohttp.TCPConnector(limit=connections)
    return aiohttp.ClientSession(connector=connector, trust_env=False)


def form(fields: Mapping[str, str], name: str, mime: str, octets: bytes) -> tuple[bytes, str]:
    """A form with these fields and a file as `name`, and its content type (RFC 7578)."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    ]
    suffix = mime.rpartition("/")[2]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; '
        f'filename="{name}.{suffix}"\r\nContent-Type: {mime}\r\n\r\n'
    )
    body = ("".join(parts) + head).encode() + octets + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    deadline_s: float,
    *,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    proxy: str = "",
    query: Mapping[str, str] | None = None,
) -> Answer:
    """What was answered. Raises NotConnectedError or NoAnswerError."""
    timeout = aiohttp.ClientTimeout(
        total=deadline_s + 0.5, sock_connect=deadline_s, sock_read=deadline_s
    )
    given = {"Content-Type": "application/json", **(headers or {})}
    try:
        async with session.request(
            method,
            url,
            data=body,
            headers=given,
            params=query or {},
            timeout=timeout,
            proxy=proxy or None,
            allow_redirects=False,
        ) as answer:
            return Answer(answer.status, await answer.content.read(_MOST_OCTETS))
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise NotConnectedError(type(error).__name__) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswerError(type(error).__name__) from None
