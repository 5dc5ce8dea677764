"""Who is at the command line, and that what they do is in the audit log."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from typing import Any

import asyncpg

from orchestrator.core.acts import Deed
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.store import acts


def operator() -> str:
    """`cli:ann@host`; `cli:root(ann)@host` if ann became root by sudo."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = os.environ.get("SUDO_USER", "")
    behind = f"({behind})" if behind and behind != name else ""
    return f"cli:{name}{behind}@{socket.gethostname()}"


async def record(
    settings: Settings,
    connection: asyncpg.Connection,
    what: str,
    about: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """What the operator does is in the audit log, once the caller's transaction commits."""
    deed = Deed(operator(), what, about, before or {}, after or {})
    await acts.record(connection, deed, settings.clock.now(), load_secret(settings))
