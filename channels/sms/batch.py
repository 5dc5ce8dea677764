"""Submits that are handed in together, and the answers that come back one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

Answer = tuple[int, str]
"""The command_status a request got, and the message id with it."""
UNKNOWN = -1
"""In place of a status: written, but no answer came."""
UNSENT = -2
"""In place of a status: never written."""

NO_ANSWER: Answer = (UNKNOWN, "")
NOT_WRITTEN: Answer = (UNSENT, "")


class Batch:
    """Some submit_sm bodies and, once all are settled, their answers in the same order.

    `cursor` of them were taken once; `again` holds those that the carrier threw back. An answer
    that comes after its deadline takes its place in `answers`; once the others have been given
    back, `late` hears its index.
    """

    __slots__ = ("again", "answers", "bodies", "cursor", "done", "late", "left", "since")

    def __init__(
        self,
        bodies: Sequence[bytes],
        done: asyncio.Future[list[Answer]],
        since: float,
        late: Callable[[int], None] | None = None,
    ) -> None:
        self.bodies = bodies
        self.answers: list[Answer] = [NOT_WRITTEN] * len(bodies)
        self.left = len(bodies)
        self.cursor = 0
        self.again: list[int] = []
        self.done = done
        self.since = since
        self.late = late

    def waiting(self) -> int:
        return len(self.bodies) - self.cursor + len(self.again)

    def take(self, count: int) -> Sequence[int]:
        """The next indexes to write, at most `count`."""
        if self.again:
            taken, self.again = self.again[:count], self.again[count:]
            return taken
        start = self.cursor
        self.cursor = min(start + count, len(self.bodies))
        return range(start, self.cursor)

    def settle(self, index: int, answer: Answer) -> None:
        self.answers[index] = answer
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(self.answers)

    def correct(self, index: int, answer: Answer) -> None:
        """The answer came after all. A refusal is of no use any more once all were given back."""
        if not self.done.done():
            self.answers[index] = answer
        elif answer[0] == 0:
            self.answers[index] = answer
            if self.late is not None:
                self.late(index)

    def give_up(self) -> None:
        """All that waits to be written is settled as it stands: unsent, or thrown back."""
        self.left -= self.waiting()
        self.cursor = len(self.bodies)
        self.again = []
        if not self.left and not self.done.done():
            self.done.set_result(self.answers)
