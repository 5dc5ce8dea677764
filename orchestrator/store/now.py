"""What time it is for everybody: the clock of PostgreSQL, which all processes share."""

from __future__ import annotations

from datetime import datetime
from typing import cast

import asyncpg

# The time on the database's machine.
REAL_NOW = "SELECT clock_timestamp()"


async def real_now(pool: asyncpg.Pool | asyncpg.Connection) -> datetime:
    """Real time, the same for whoever asks, however wrong the clock of their own machine is."""
    return cast(datetime, await pool.fetchval(REAL_NOW))
