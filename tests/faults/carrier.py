"""A carrier with worse manners than the simulated one: what is wrong with it may change."""

from __future__ import annotations

import time
from random import Random

from channels.carriers.customer import Customer, Delivery
from channels.carriers.faults import Faults
from channels.carriers.smsc import Smsc, SmscSettings
from channels.carriers.taken import Taken
from channels.sms import codec, pdu, status


class RudeSmsc(Smsc):
    """`nacks`: how likely a submit is thrown back with generic_nack. `full`: how likely the queue
    is full. `shuffled_s`: every response waits up to so long, each its own time. `slow_s`: every
    response waits so long, while the message and its receipt do not. `receipts_twice`: every
    receipt comes twice. `refused_binds`: so many binds are refused yet."""

    def __init__(self, settings: SmscSettings, seed: int) -> None:
        super().__init__(settings, faults=Faults(seed))
        self.nacks = 0.0
        self.full = 0.0
        self.shuffled_s = 0.0
        self.slow_s = 0.0
        self.receipts_twice = False
        self.refused_binds = 0
        self.binds = 0
        self.taken_at: list[float] = []
        self._rude = Random(seed)
        self._cut_next = False
        self._silent: list[Customer] = []

    def cut_in_a_pdu(self) -> None:
        """The next response is cut in the middle, and the connection with it."""
        self._cut_next = True

    def fall_silent(self) -> None:
        """The connections are half-open: nothing is read any more, and nothing answered."""
        for customer in list(self.customers):
            assert customer.transport is not None
            customer.transport.pause_reading()
            self._silent.append(customer)

    def forget_silent(self) -> None:
        """What was written into half-open connections is lost for ever."""
        for customer in self._silent:
            customer.abort()
        self._silent.clear()

    def password(self, system_id: str) -> str | None:
        self.binds += 1
        if self.refused_binds > 0:
            self.refused_binds -= 1
            return None
        return super().password(system_id)

    def submitted(self, customer: Customer, sequence: int, message: pdu.SubmitSm) -> None:
        if customer in self._silent:
            return
        if self.nacks and self._rude.random() < self.nacks:
            customer.write(codec.encode(pdu.GenericNack(), sequence, status.SYSTEM_ERROR))
        elif self.full and self._rude.random() < self.full:
            answer = codec.response(pdu.SubmitSm.command_id, sequence, status.QUEUE_FULL)
            self._answer(customer, answer)
        else:
            super().submitted(customer, sequence, message)

    def _take(self, account: str, message: pdu.SubmitSm) -> Taken:
        self.taken_at.append(time.monotonic())
        return super()._take(account, message)

    def _answer(self, customer: Customer, octets: bytes) -> None:
        if self._cut_next:
            self._cut_next = False
            customer.flush()
            if customer.transport is not None:
                customer.transport.write(octets[: len(octets) // 2])
                customer.transport.close()
            return
        wait_s = self.slow_s + (self._rude.random() * self.shuffled_s if self.shuffled_s else 0.0)
        if wait_s:
            self._loop.call_later(wait_s, customer.write, octets)
        else:
            super()._answer(customer, octets)

    def _queue(self, delivery: Delivery) -> None:
        super()._queue(delivery)
        if self.receipts_twice:
            super()._queue(Delivery(delivery.account, delivery.body))
