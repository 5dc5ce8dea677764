"""Our side of one connection to a carrier's gateway. A protocol adds its login and its bodies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Sequence
from typing import ClassVar

from channels.china.fields import FieldError
from channels.china.settings import GatewaySettings, TestedSettings
from channels.china.wire import RESPONSE, Frames
from channels.sms.batch import NO_ANSWER, UNKNOWN, UNSENT, Answer, Batch
from channels.sms.pace import Pace
from channels.sms.window import Window
from orchestrator.core.errors import OutreachError

log = logging.getLogger("outreach.sms")


class RequestError(OutreachError):
    """A request got no answer: `status` is UNKNOWN or UNSENT."""

    def __init__(self, status: int) -> None:
        super().__init__("the gateway: " + ("no answer" if status == UNKNOWN else "not connected"))
        self.status = status


class GatewaySession(Frames, Window):
    """A connection on which a gateway takes our messages and brings us what is for us.

    Until the gateway has accepted our login, nobody may bring us anything. An idle line is tried
    `tests` times, each for `test_wait_s` (CMPP 3.0 §7.1: T and N), and then cut; protocols
    without a test leave the line as it is.
    """

    LOGIN: ClassVar[int]
    SUBMIT: ClassVar[int]
    END: ClassVar[int]
    TEST: ClassVar[int | None]
    TEST_ANSWER: ClassVar[bytes] = b""
    SLOW_DOWN: ClassVar[frozenset[int]]
    """Results that mean: not taken, because we are too fast."""
    MAX_SEQUENCE: ClassVar[int] = 0xFFFFFFFF

    def __init__(
        self, loop: asyncio.AbstractEventLoop, settings: GatewaySettings, pace: Pace
    ) -> None:
        super().__init__(
            loop,
            window=settings.window,
            pace=pace,
            deadline_s=settings.deadline_s,
            idle_s=settings.test_after_s if isinstance(settings, TestedSettings) else math.inf,
        )
        self._tested = settings if isinstance(settings, TestedSettings) else None
        self._sequence = 0
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._admitted = False

    # What a protocol says

    def admits(self, body: bytes) -> bool:
        """Whether this answer to our login accepts it. May raise FieldError."""
        raise NotImplementedError

    def submit_answer(self, sequence: int, body: bytes) -> Answer:
        """The result of a submit and the message's id. May raise FieldError."""
        raise NotImplementedError

    def brought(self, command_id: int, sequence: int, body: bytes) -> bool:
        """Takes any other request of the gateway's; false if the protocol has no such thing."""
        raise NotImplementedError

    def next_sequence(self) -> int:
        """A number that no unanswered request of ours has."""
        self._sequence = self._sequence + 1 if self._sequence < self.MAX_SEQUENCE else 1
        return self._sequence

    # What we ask for

    async def request(
        self, command_id: int, body: bytes = b"", *, within_s: float | None = None
    ) -> bytes:
        """The body of the answer. Raises RequestError."""
        if self.lost.done() or self.transport is None or self.transport.is_closing():
            raise RequestError(UNSENT)
        sequence = self.next_sequence()
        future: asyncio.Future[bytes] = self.loop.create_future()
        self._asked[sequence] = future
        self.say(command_id, sequence, body)
        try:
            async with asyncio.timeout(within_s or self._deadline_s):
                return await future
        except TimeoutError:
            raise RequestError(UNKNOWN) from None
        finally:
            self._asked.pop(sequence, None)

    async def unbind(self) -> None:
        self.bound = False
        self.give_up_queue()
        with contextlib.suppress(RequestError):
            await self.request(self.END)
        self.close()

    async def try_line(self) -> None:
        tested = self._tested
        if tested is None or self.TEST is None:
            return
        for _ in range(tested.tests):
            try:
                await self.request(self.TEST, within_s=tested.test_wait_s)
                return
            except RequestError as error:
                if error.status == UNSENT or self.lost.done():
                    return
        log.warning("line_dead after=active_test tries=%d", tested.tests)
        self.abort()

    # What the window and the wire ask for

    def put(self, batch: Batch, taken: Sequence[int], now: float) -> None:
        bodies, out, pending, submit = batch.bodies, self._out, self._pending, self.SUBMIT
        for index in taken:
            sequence = self.next_sequence()
            body = bodies[index]
            out.append(self.head(submit, len(body), sequence))
            out.append(body)
            pending[sequence] = (batch, index, now)

    def pdu_received(
        self, command_id: int, command_status: int, sequence: int, body: bytes
    ) -> None:
        if command_id == self.SUBMIT | RESPONSE:
            self._submit_answered(sequence, body)
        elif command_id & RESPONSE:
            self._answered(command_id, sequence, body)
        elif command_id == self.TEST:
            self.say(command_id | RESPONSE, sequence, self.TEST_ANSWER)
        elif command_id == self.END:
            log.info("gateway_ends")
            self.bound = False
            self.say(command_id | RESPONSE, sequence)
            self.close()
        elif not self._admitted:
            log.warning("%s_brought_before_login", self.protocol)
            self.close()
        elif not self.brought(command_id, sequence, body):
            log.warning("unexpected_pdu command_id=%#010x", command_id)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        for future in self._asked.values():
            if not future.done():
                future.set_exception(RequestError(UNKNOWN))

    def _submit_answered(self, sequence: int, body: bytes) -> None:
        entry = self._pending.pop(sequence, None)
        if entry is None:
            return  # after its deadline: it has been told as unknown
        batch, index, _ = entry
        try:
            answer = self.submit_answer(sequence, body)
        except FieldError as error:
            log.warning("answer_unreadable octets=%d", len(body), extra={"reason": error.message})
            batch.settle(index, NO_ANSWER)
            return
        if answer[0] == 0:
            batch.settle(index, answer)
        else:
            self.refused(batch, index, answer[0], answer[0] in self.SLOW_DOWN)

    def _answered(self, command_id: int, sequence: int, body: bytes) -> None:
        future = self._asked.get(sequence)
        if future is None or future.done():
            return  # a late answer has been told as none
        if command_id == self.LOGIN | RESPONSE:
            with contextlib.suppress(FieldError):
                self._admitted = self.admits(body)
        future.set_result(body)
