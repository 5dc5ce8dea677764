"""A simulated SGIP gateway (SMG), on the same codec as the channel. It takes submits where it
listens, and calls the provider to bring reports and what phones say."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable
from functools import cached_property

from channels.carriers.exchange import Caller, Exchange, Parcel, in_utc
from channels.carriers.handset import Handset
from channels.carriers.taken import Taken
from channels.china import text
from channels.china.numbers import incoming
from channels.china.times import BEIJING
from channels.china.wire import RESPONSE
from channels.sgip import pdu, status
from channels.sgip.session import Sequences
from channels.sms import pdu as air

_NODE = 100101
"""Beijing's first gateway (§3.3: 1AAAAX)."""


class SgipCaller(Caller):
    """A connection with a provider: one that it made, or one that the gateway did."""

    protocol = "sgip"
    header_octets = pdu.HEADER_OCTETS
    max_octets = pdu.MAX_PDU_OCTETS
    SUBMIT = pdu.SUBMIT
    END = pdu.UNBIND

    def __init__(
        self, loop: asyncio.AbstractEventLoop, exchange: SgipExchange, *, calls: str = ""
    ) -> None:
        super().__init__(loop, exchange)
        self._gateway = exchange
        self._calls = calls
        self._binding = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._calls:
            self._binding = self.next_sequence()
            login = pdu.Bind(pdu.TO_PROVIDER, *self._gateway.login)
            self.say(pdu.BIND, self._binding, pdu.bind_body(login))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._calls:
            self._gateway.hung_up()

    def asked(self, command_id: int, sequence: int, body: bytes) -> None:
        if command_id == pdu.BIND:
            self._bind(pdu.read_bind(body), sequence)
        elif command_id == pdu.TRACE and self.account:
            answer = pdu.stages_body(self._gateway.stages(pdu.read_trace(body)))
            self.say(command_id | RESPONSE, sequence, answer)

    def read_submit(self, body: bytes) -> air.SubmitSm:
        submit = pdu.read_submit(body)
        return air.SubmitSm(
            source_addr=submit.sp_number,
            destination_addr=incoming(submit.phones[0]).removeprefix("+"),
            esm_class=air.HAS_HEADER if submit.udhi & 1 else 0,
            validity_period=in_utc(submit.expire_time),
            registered_delivery=int(submit.report_flag == 1),
            data_coding=text.on_the_air(submit.coding),
            short_message=submit.content,
        )

    def submit_answer(self, message_id: int, result: int) -> bytes:
        return pdu.result_body(result)

    def parcel_result(self, body: bytes) -> int:
        return pdu.read_result(body)

    def next_sequence(self) -> int:
        return self._gateway.sequences.next()

    def _answered(self, sequence: int, body: bytes) -> None:
        if not self._calls or sequence != self._binding:
            super()._answered(sequence, body)
        elif pdu.read_result(body) == status.OK:
            self.entered(self._calls)
        else:
            self.close()

    def _bind(self, asked: pdu.Bind, sequence: int) -> None:
        password = self.exchange.settings.accounts.get(asked.name)
        result = status.OK
        if asked.login_type != pdu.TO_GATEWAY:
            result = status.WRONG_LOGIN_TYPE
        elif password is None or not hmac.compare_digest(
            password.encode(), asked.password.encode()
        ):
            result = status.WRONG_LOGIN
        self.say(pdu.BIND | RESPONSE, sequence, pdu.result_body(result))
        if result == status.OK:
            self.account = asked.name
            self.exchange.joined(self)


class SgipExchange(Exchange):
    """The gateway. `provider` says where it finds the provider; it logs in there with `login`."""

    protocol = "sgip"
    THROTTLED = status.BUSY
    WRONG_PHONE = status.WRONG_PHONE
    WRONG_LENGTH = status.WRONG_LENGTH
    provider: Callable[[], tuple[str, int]] | None = None
    login = ("unicom", "knock")
    _calling = False

    @cached_property
    def sequences(self) -> Sequences:
        """The numbers of this gateway's requests."""
        return Sequences(_NODE)

    def new_customer(self) -> SgipCaller:
        return SgipCaller(self._loop, self)

    def message_id(self, customer: Caller, sequence: int) -> int:
        return sequence

    def message(self, handset: Handset, to: str, msg_fmt: int, udhi: int, part: bytes) -> Parcel:
        body = pdu.deliver_body(pdu.Deliver(handset.number, to, part, msg_fmt, udhi))
        return self._parcel(next(iter(self.settings.accounts)), pdu.DELIVER, body)

    def report(self, taken: Taken) -> Parcel:
        delivered = taken.state == 2
        report = pdu.Report(
            taken.message_id,
            taken.message.destination_addr,
            0 if delivered else 2,
            0 if delivered else 29,
        )
        body = pdu.report_body(report)
        return self._parcel(taken.account, pdu.REPORT, body)

    def _parcel(self, account: str, command_id: int, body: bytes) -> Parcel:
        return Parcel(account, command_id, lambda _: body, sequence=self.sequences.next())

    def stages(self, asked: pdu.Trace) -> tuple[pdu.Stage, ...]:
        """Where a message has been: here, if it ever was."""
        taken = self.taken.get(asked.sequence)
        if taken is None:
            return ()
        at = taken.at.astimezone(BEIJING).strftime("%y%m%d%H%M%S")
        return (pdu.Stage(1 if taken.state == 1 else 0, str(_NODE), at, at),)

    def queue(self, parcel: Parcel) -> None:
        super().queue(parcel)
        self._call(parcel.account)

    def brought_back(self, parcel: Parcel, delay: bool) -> None:
        super().brought_back(parcel, delay)
        if not delay:
            self._agenda.put(self.settings.redeliver_after_s, self._call, parcel.account)

    def hung_up(self) -> None:
        """A connection that we made has ended."""
        self._calling = False

    def _call(self, account: str) -> None:
        """The provider is called, unless it is on the line or nothing waits for it."""
        if self._calling or self.provider is None or not self._outbox[account]:
            return
        self._calling = True
        task = self._loop.create_task(self._dial(account, *self.provider()))
        self._scripts.add(task)
        task.add_done_callback(self._scripts.discard)

    async def _dial(self, account: str, host: str, port: int) -> None:
        try:
            await self._loop.create_connection(
                lambda: SgipCaller(self._loop, self, calls=account), host, port
            )
        except OSError:
            self._calling = False
            self._agenda.put(self.settings.redeliver_after_s, self._call, account)
