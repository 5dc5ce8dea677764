"""How fast one person may be written to."""

from __future__ import annotations

BURST = 3
MOST_WAIT_S = 5.0
_MOST_REMEMBERED = 10_000


class Gaps:
    """One message per `gap_s` seconds to one chat, beyond a burst of `BURST`: more, and Telegram
    answers 429 (Bots FAQ, "My bot is hitting limits")."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._ends_at: dict[str, float] = {}

    def wait_s(self, chat: str, now_s: float) -> float | None:
        """Seconds until the next message to this chat may go, and it is counted; None if that is
        too long to wait for."""
        if self._gap_s == 0:
            return 0.0
        ends_at = max(self._ends_at.pop(chat, now_s), now_s)
        wait_s = max(0.0, ends_at - (BURST - 1) * self._gap_s - now_s)
        too_long = wait_s > MOST_WAIT_S
        self._ends_at[chat] = ends_at if too_long else ends_at + self._gap_s
        if len(self._ends_at) > _MOST_REMEMBERED:
            del self._ends_at[next(iter(self._ends_at))]
        return None if too_long else wait_s
