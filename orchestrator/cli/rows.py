"""From a row of a table to a subscriber, or the reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from orchestrator.cli.properties import nested, typed
from orchestrator.core import calendar
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import CHAT_CHANNELS, Consent
from orchestrator.store.subscribers import NewSubscriber

PHONE_CHANNELS = {"phone": "sms", "sms": "sms", "mms": "mms", "wap_push": "wap_push"}
"""Columns that hold phone numbers, and the channels these are addresses of."""
IGNORED = ("rejected_line", "rejected_reason")
"""Columns that we put before what we could not take, so that it can be mended and taken again."""
LONGEST_WORD = 200

_YES = {"yes", "y", "true", "1", "是"}
_NO = {"no", "n", "false", "0", "否"}
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_LIST = re.compile(r"[;,|]")
_BETWEEN_DIGITS = str.maketrans("", "", " -.()\u00a0")


class Bad(Exception):  # noqa: N818 - it is a reason, caught where the row is set aside
    """Why a row cannot be taken."""


class _Draft(Struct):
    """A subscriber as far as their cells have been read."""

    key: str = ""
    locale: str | None = None
    timezone: str | None = None
    consents_at: datetime | None = None
    tags: tuple[str, ...] = ()
    phones: dict[str, str] = {}
    addresses: dict[str, str] = {}
    purposes: dict[str, bool] = {}
    attributes: list[tuple[str, Any]] = []


_Put = Callable[[_Draft, str], None]


class Reader:
    """Reads rows under one header. `country` completes national numbers; `how` and `now` go on
    record with consents. Raises OutreachError if the header cannot be used."""

    def __init__(self, header: Sequence[str], *, country: str, how: str, now: datetime) -> None:
        self._country = country
        self._how = how
        self._now = now
        if "key" not in header:
            raise OutreachError(
                "there is no column `key`", "the first line must name the columns: key,phone,name"
            )
        twice = [name for name in header if name and header.count(name) > 1]
        if twice or {"phone", "sms"} <= {*header}:
            raise OutreachError(f"the column {(twice or ['phone (or sms)'])[0]} is there twice")
        self._columns = [(i, self._put(name)) for i, name in enumerate(header) if _wanted(name)]
        nested((name, 0) for name in header if _is_attribute(name))

    def read(self, cells: Sequence[str]) -> NewSubscriber:
        """The subscriber of this row. Raises Bad with the reason if there is none."""
        draft = _Draft()
        for i, put in self._columns:
            cell = cells[i].replace("\0", "").strip()
            if cell:
                put(draft, cell)
        if not draft.key:
            raise Bad("it has no key")
        at = draft.consents_at or self._now
        return NewSubscriber(
            key=draft.key,
            locale=draft.locale,
            timezone=draft.timezone,
            attributes=nested(draft.attributes),
            tags=draft.tags,
            addresses={**self._numbers(draft.phones), **draft.addresses},
            consents={
                purpose: Consent(granted, at, self._how)
                for purpose, granted in draft.purposes.items()
            },
        )

    def _put(self, name: str) -> _Put:
        if name in _COLUMNS:
            return _COLUMNS[name]
        if name in PHONE_CHANNELS:
            return lambda draft, cell: draft.phones.__setitem__(PHONE_CHANNELS[name], cell)
        if name in CHAT_CHANNELS:
            return lambda draft, cell: draft.addresses.__setitem__(name, _word(name, cell))
        if name.startswith("consent."):
            purpose = name.removeprefix("consent.")
            return lambda draft, cell: draft.purposes.__setitem__(purpose, _truth(name, cell))
        if name.endswith(":text"):
            bare = name.removesuffix(":text")
            return lambda draft, cell: draft.attributes.append((bare, cell))
        return lambda draft, cell: draft.attributes.append((name, typed(cell)))

    def _numbers(self, phones: dict[str, str]) -> dict[str, str]:
        """`mms: yes` means the number that `phone` says."""
        numbers = {}
        for channel, cell in phones.items():
            if channel != "sms" and cell.lower() in _NO:
                continue
            same = channel != "sms" and cell.lower() in _YES
            if same and "sms" not in phones:
                raise Bad(f"{channel} is yes, but there is no phone number")
            numbers[channel] = phone_number(phones["sms"] if same else cell, self._country)
        return numbers


def phone_number(text: str, country: str) -> str:
    """`+` and digits, as addresses are kept. `country` completes national numbers. Raises Bad."""
    digits = text.translate(_BETWEEN_DIGITS)
    international = digits.startswith(("+", "00"))
    digits = digits.removeprefix("+").removeprefix("00") if international else digits
    if not (digits.isascii() and digits.isdigit()):
        raise Bad("the phone number is not a number")
    if not international and country and not (digits.startswith(country) and len(digits) > 10):
        digits = country + digits.lstrip("0")
    elif not international and not country:
        raise Bad(
            "the phone number has no country: write +86…, or give --country 86 or OUTREACH_COUNTRY"
        )
    if digits.startswith("0"):
        raise Bad("no country's code begins with 0")
    if not 7 <= len(digits) <= 15:
        raise Bad("a phone number has 7 to 15 digits")
    return f"+{digits}"


def _wanted(name: str) -> bool:
    return bool(name) and name not in IGNORED


def _is_attribute(name: str) -> bool:
    known = {*_COLUMNS, *PHONE_CHANNELS, *CHAT_CHANNELS}
    return _wanted(name) and name not in known and not name.startswith("consent.")


def _word(what: str, cell: str) -> str:
    if len(cell) > LONGEST_WORD:
        raise Bad(f"{what} is longer than {LONGEST_WORD} characters")
    return cell


def _truth(what: str, cell: str) -> bool:
    if cell.lower() in _YES | _NO:
        return cell.lower() in _YES
    raise Bad(f"{what} is neither yes nor no")


def _put_key(draft: _Draft, cell: str) -> None:
    draft.key = _word("the key", cell)


def _put_locale(draft: _Draft, cell: str) -> None:
    if not _LOCALE.fullmatch(cell):
        raise Bad("the locale is not like zh-CN")
    draft.locale = cell.replace("_", "-")


def _put_timezone(draft: _Draft, cell: str) -> None:
    if calendar.zone(cell) is None:
        raise Bad("there is no such time zone; they are like Asia/Shanghai")
    draft.timezone = cell


def _put_tags(draft: _Draft, cell: str) -> None:
    draft.tags = _listed("a tag", cell)


def _put_consent(draft: _Draft, cell: str) -> None:
    draft.purposes.update(dict.fromkeys(_listed("a purpose", cell), True))


def _put_consent_at(draft: _Draft, cell: str) -> None:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise Bad("consent_at is not a time like 2026-03-02T10:00:00+08:00") from None
    draft.consents_at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _listed(what: str, cell: str) -> tuple[str, ...]:
    words = (word.strip() for word in _LIST.split(cell))
    return tuple(dict.fromkeys(_word(what, word) for word in words if word))


_COLUMNS: dict[str, _Put] = {
    "key": _put_key,
    "locale": _put_locale,
    "timezone": _put_timezone,
    "tags": _put_tags,
    "consent": _put_consent,
    "consent_at": _put_consent_at,
}
