"""What the small words of the YAML look like, for an editor: patterns as JSON Schema has them.

They let through what the value's own parser takes, a test holds; a few mistakes that no pattern
can see (a window that never opens, the 30th of February) are left to `validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from msgspec import Struct

from orchestrator.core import grammar
from orchestrator.core.cost import Price
from orchestrator.core.errors import GrammarError
from orchestrator.core.expression import Condition
from orchestrator.core.grammar import Share
from orchestrator.core.retention import Keep
from orchestrator.core.steps.wait import Pause
from orchestrator.core.usage import Amount

TEXT = ("string", "number", "boolean")
"""What YAML may take for something else than the text that we read."""

_NUMBER = ("string", "number")
_TIME = "(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"
_SPAN = r"\s*(?:[0-9]{1,6}\s*[smhdw]\s*)+"
_DATE = r"\s*[0-9]{4}-[0-9]{2}-[0-9]{2}\s*"
_WEEKDAY = "|".join(grammar.WEEKDAYS)


class Look(Struct, frozen=True):
    """How a value is written: an ECMAScript regular expression for the whole of it, and examples.
    `types` are what YAML may take them for."""

    pattern: str
    examples: tuple[str, ...]
    parse: Callable[[str], Any]
    types: tuple[str, ...] = ("string",)
    slips: tuple[str, ...] = ("?",)

    @property
    def hint(self) -> str:
        """What its parser tells those who wrote something else, such as `slips`."""
        return "; ".join(_hint(self.parse, slip) for slip in self.slips)


def _hint(parse: Callable[[str], Any], slip: str) -> str:
    try:
        parse(slip)
    except GrammarError as error:
        return error.hint
    return ""


LOOKS: Mapping[Any, Look] = {
    timedelta: Look(_SPAN, ("30m", "24h", "3d", "2w"), grammar.parse_duration),
    date: Look(_DATE, ("2026-02-15",), grammar.parse_date),
    grammar.At: Look(
        rf"\s*day\s+0*[1-9][0-9]{{0,3}}\s+{_TIME}\s*", ("day 2 10:00",), grammar.At.parse
    ),
    grammar.Window: Look(
        rf"\s*{_TIME}\s*-\s*(?:{_TIME}|24:00)\s*", ("09:00-20:00",), grammar.Window.parse
    ),
    grammar.Days: Look(
        f"{_DATE}(?: to {_DATE})?",
        ("2026-02-15", "2026-02-15 to 2026-02-23"),
        grammar.Days.parse,
    ),
    grammar.Again: Look(
        f"never|always|each month|after {_SPAN}",
        ("never", "always", "after 90d", "each month"),
        grammar.Again.parse,
    ),
    grammar.Schedule: Look(
        rf"\s*(?:day|week\s+on\s+(?:{_WEEKDAY})|month\s+on\s+0*(?:[1-9]|1[0-9]|2[0-8]))"
        rf"\s+at\s+{_TIME}\s*",
        ("day at 09:30", "week on monday at 09:30", "month on 1 at 09:30"),
        grammar.Schedule.parse,
    ),
    grammar.Pace: Look(
        r"\s*0*[1-9][0-9]{0,5}\s*/\s*(?:s|min|h)\s*",
        ("200/s", "30/min", "1000/h"),
        grammar.Pace.parse,
    ),
    grammar.TagChange: Look(r"[+-][^\s/]{1,64}", (), grammar.TagChange.parse, _NUMBER),
    Pause: Look(
        rf"{_SPAN}|until(?:\s+(?:{_WEEKDAY}))?\s+{_TIME}",
        ("3d", "until 10:00", "until monday 10:00"),
        Pause.parse,
        slips=("?", "until ?"),
    ),
    Share: Look(r"\s*[0-9]{1,3}(?:\.[0-9]+)?\s*%\s*", ("5%",), Share.parse),
    Keep: Look(f"forever|{_SPAN}", ("90d", "forever"), Keep.parse),
    Price: Look(r"\s*[0-9]{1,9}(?:\.[0-9]{1,6})?\s*", ("0.05",), Price.parse, _NUMBER),
    Amount: Look(
        r"[0-9]{1,6}|event\.[A-Za-z_][A-Za-z0-9_]*", ("event.mb", "1"), Amount.parse, _NUMBER
    ),
    Condition: Look("", ("usage.mb_7d >= 30", "'keen' in subscriber.tags"), Condition.parse, TEXT),
}
"""Every type of value with a grammar of its own, but for those that keys may be written for."""
