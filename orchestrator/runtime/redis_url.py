"""From a Redis URL to what arq connects with."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import unquote

from arq.connections import RedisSettings

from orchestrator.core.errors import OutreachError


def redis_settings(url: str) -> RedisSettings:
    """Settings for `redis://`, `rediss://` and `unix://` URLs, percent-escapes undone.

    Raises OutreachError for any other URL.
    """
    try:
        read = RedisSettings.from_dsn(url)
    except (RuntimeError, ValueError):
        raise OutreachError(
            "REDIS_URL is not a Redis URL",
            "Write redis://host:6379/0, rediss://… or unix:///path/to/socket.",
        ) from None
    return replace(
        read,
        username=_unquoted(read.username),
        password=_unquoted(read.password),
        unix_socket_path=_unquoted(read.unix_socket_path),
        ssl_check_hostname=read.ssl,
    )


def _unquoted(text: str | None) -> str | None:
    return text if text is None else unquote(text)
