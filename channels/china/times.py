"""Moments as these protocols write them: in Beijing's time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

BEIJING: Final = timezone(timedelta(hours=8))


@lru_cache(maxsize=1024)
def absolute(moment: datetime) -> str:
    """SMPP 3.3's absolute time: YYMMDDhhmmss, no tenths, 32 quarter hours from UTC."""
    return moment.astimezone(BEIJING).strftime("%y%m%d%H%M%S032+")


def read_absolute(written: str) -> datetime | None:
    """The moment that an absolute time means; None if it is none."""
    try:
        return datetime.strptime(written[:12] + "+0800", "%y%m%d%H%M%S%z")
    except ValueError:
        return None


def month_to_second(moment: datetime) -> str:
    """MMDDHHMMSS, as logins are stamped."""
    return moment.astimezone(BEIJING).strftime("%m%d%H%M%S")


def year_to_minute(moment: datetime) -> str:
    """YYMMDDHHMM, as reports are dated."""
    return moment.astimezone(BEIJING).strftime("%y%m%d%H%M")
