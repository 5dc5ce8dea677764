"""What a carrier is asked of a message that it took before: query_sm and cancel_sm (SMPP 3.4 §4.8
and §4.9). Both may be asked again: they change nothing that they have changed already."""

from __future__ import annotations

import asyncio
import contextlib

from channels.sms import pdu, receipt, status
from channels.sms.batch import UNKNOWN, UNSENT
from channels.sms.pace import Pace
from channels.sms.session import RequestError, Session
from orchestrator.core.delivery import Fate, Word

Triple = tuple[int, int, str]
"""An address: type of number, numbering plan, and the number or name."""

_HELD = (1, 6)
"""ENROUTE, and ACCEPTED: read on the subscriber's behalf, which is no delivery."""
_GONE = 7
"""UNKNOWN (§5.2.28)."""
_NO_SUCH = frozenset({status.QUERY_FAILED, status.INVALID_MESSAGE_ID})
_NOT_SPOKEN = frozenset({status.INVALID_COMMAND_ID})
_LATER = frozenset({*status.SLOW_DOWN, status.INCORRECT_BIND_STATUS})


async def query(session: Session, pace: Pace, message_id: int, named: str, source: Triple) -> Fate:
    """What became of the message that the carrier calls `named`."""
    try:
        answer = await _answer(session, pace, pdu.QuerySm(named, *source))
    except RequestError as error:
        word: Word = "missing" if error.status in _NO_SUCH else "refused"
        return _failed(message_id, error, word, "the carrier knows of no such message")
    assert isinstance(answer, pdu.QuerySmResp)
    state = answer.message_state
    if state in _HELD:
        return Fate(message_id, "held", reason="the carrier has not brought it yet")
    if state == _GONE:
        return Fate(message_id, "missing", "UNKNOWN", "the carrier has lost sight of it")
    found = receipt.final_of(state)
    if found is None:
        return Fate(message_id, "silent", reason="the carrier's answer means nothing")
    final, code = found
    failed = f"/{answer.error_code:03}" if answer.error_code else ""
    return Fate(message_id, final, f"{code}{failed}")


async def recall(
    session: Session, pace: Pace, message_id: int, named: str, source: Triple, to: Triple
) -> Fate:
    """The carrier does not bring the message any more; if it refuses, why, if it says so."""
    try:
        await _answer(session, pace, pdu.CancelSm("", named, *source, *to))
    except RequestError as error:
        refused = _failed(message_id, error, "refused", "the carrier does not take it back")
        if refused.word != "refused":
            return refused
        known = await query(session, pace, message_id, named, source)
        return known if known.word not in ("held", "refused", "silent", "cannot") else refused
    return Fate(message_id, "recalled")


async def drop(session: Session, pace: Pace, named: str, source: Triple, to: Triple) -> None:
    """The carrier has been asked not to bring what it calls `named`; whether it obeys is all the
    same."""
    with contextlib.suppress(RequestError):
        await _answer(session, pace, pdu.CancelSm("", named, *source, *to))


async def _answer(session: Session, pace: Pace, asked: pdu.Pdu) -> pdu.Pdu:
    """Requests go at the pace of submits: carriers count them all."""
    while not pace.room(session.loop.time()):  # noqa: ASYNC110 — awaits time itself
        await asyncio.sleep(pace.delay_s())
    pace.spend(1)
    return await session.request(asked)


def _failed(message_id: int, error: RequestError, word: Word, reason: str) -> Fate:
    if error.status == UNKNOWN:
        return Fate(message_id, "silent", reason="the carrier gave no answer")
    if error.status == UNSENT:
        return Fate(message_id, "silent", reason="not connected to the carrier")
    code = status.name(error.status)
    if error.status in _LATER:
        return Fate(message_id, "silent", code, "the carrier takes no more for now")
    if error.status in _NOT_SPOKEN:
        return Fate(message_id, "cannot", code, "the carrier does not know this request")
    return Fate(message_id, word, code, reason)
