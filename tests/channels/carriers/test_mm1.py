"""What the simulated MMS centre tells a telephone, octet by octet."""

from __future__ import annotations

import pytest

from channels.carriers import mm1
from channels.carriers.mm1 import Mm1Error, Notification

NOTICE = Notification("mm1", "10086", "Hi", 300, 86_400, "http://m/1")


def test_a_notification_is_what_the_specification_says() -> None:
    assert mm1.encode(NOTICE) == (
        b"\x01\x06\x03\xbe\xaf\x84"  # a push for the application mms.ua
        b"\x8c\x82\x98mm1\0\x8d\x92"  # M-Notification.ind, its transaction, version 1.2
        b"\x89\x11\x8010086/TYPE=PLMN\0"
        b"\x96Hi\0\x8a\x80\x8e\x02\x01\x2c"  # its subject, personal, 300 octets
        b"\x88\x05\x81\x03\x01\x51\x80"  # for 86,400 seconds
        b"\x83http://m/1\0"
    )


@pytest.mark.parametrize("subject", ["", "五大入口", "五" * 80])
def test_a_phone_finds_the_message_whatever_its_subject(subject: str) -> None:
    notice = Notification("mm1", "10086", subject, 0, 1, "http://m/1")
    assert mm1.location(mm1.encode(notice)) == "http://m/1"


@pytest.mark.parametrize("cut", range(len(mm1.encode(NOTICE)) - 1))
def test_what_is_cut_short_is_no_notification(cut: int) -> None:
    with pytest.raises(Mm1Error):
        mm1.location(mm1.encode(NOTICE)[:cut])
