"""What a carrier says that no column or index can hold, as it comes out of JSON and XML: it is
stored as far as it can be, and nothing that came with it is lost."""

from __future__ import annotations

import pytest

from orchestrator.core.delivery import Outcome, Receipt, Reply
from orchestrator.runtime.context import Context
from orchestrator.runtime.ingest import Ingest
from tests.runtime.conftest import office
from tests.runtime.installation import number, people, rows, value
from tests.runtime.test_delivery import claimed, queued, recorded

__all__ = ["office"]  # a fixture

ENDLESS = "".join(chr(0x4E00 + n % 9_973) for n in range(20_000))
"""Of twenty thousand characters that no compression makes short enough for an index."""


@pytest.mark.parametrize("odd", [ENDLESS, "\0", "\ud800", "a\0\udfff" * 999])
async def test_an_odd_outcome_keeps_no_other_from_being_recorded(office: Context, odd: str) -> None:
    await queued(office, 2)
    claim = await claimed(office)
    first, second = (it.outgoing.message_id for it in claim.messages)
    said = [Outcome(first, "accepted", odd), Outcome(second, "rejected", "", odd, odd)]
    await recorded(office, claim, said)
    await Ingest(office).inbox.receipts([Receipt("sms", odd, "delivered", odd)])
    found = await rows(office, "SELECT state FROM messages WHERE journey <> '' ORDER BY id")
    assert found == [("delivered" if len(odd) > 1 else found[0][0],), ("rejected",)]


@pytest.mark.parametrize("odd", [ENDLESS, "\0", "\ud800"])
async def test_an_odd_reason_to_send_later_keeps_no_other_from_waiting(
    office: Context, odd: str
) -> None:
    await queued(office, 2)
    claim = await claimed(office)
    said = [
        Outcome(it.outgoing.message_id, "unsent", "", odd, odd, "later") for it in claim.messages
    ]
    await recorded(office, claim, said)
    assert await rows(office, "SELECT DISTINCT state FROM messages") == [("queued",)]


@pytest.mark.parametrize(
    ("sender", "source_id"), [(ENDLESS, "1"), (number(7), ENDLESS), (ENDLESS, ENDLESS)]
)
async def test_an_odd_reply_keeps_no_other_from_being_stored(
    office: Context, sender: str, source_id: str
) -> None:
    await people(office, range(1))
    ingest = Ingest(office)
    odd = Reply("sms", sender, "points", source_id)
    await ingest.inbox.replies([odd, Reply("sms", number(0), "points", "2")])
    await ingest.inbox.replies([odd])
    await ingest.answered()
    assert await value(office, "SELECT count(*) FROM events WHERE kind = 'reply'") == 2
    assert await value(office, "SELECT count(*) FROM failures") == 0
