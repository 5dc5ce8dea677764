"""A carrier account in one URL."""

from __future__ import annotations

import math

import pytest

from channels.sms import addresses, pdu
from channels.sms.settings import SettingsError, SmppSettings


def test_a_url_names_the_account_and_its_options() -> None:
    settings = SmppSettings.from_url(
        "smpp://me:p%40ss@smsc.example:2776?window=50&source=10086&rate=200&deadline_s=5&bind=split"
    )
    assert (settings.host, settings.port) == ("smsc.example", 2776)
    assert (settings.system_id, settings.password) == ("me", "p@ss")
    assert (settings.window, settings.source, settings.bind) == (50, "10086", "split")
    assert (settings.rate_per_s, settings.deadline_s) == (200.0, 5.0)
    assert not settings.tls


def test_what_is_left_out_has_a_sensible_value() -> None:
    settings = SmppSettings.from_url("smpp://me@host")
    assert (settings.port, settings.window, settings.rate_per_s) == (2775, 100, math.inf)
    assert SmppSettings.from_url("smpps://me@host").tls
    assert SmppSettings.from_url("smpp://me@host?source=+8610086").source == "+8610086"


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("http://me@host", "http"),
        ("host:2775", "SMPP"),
        ("smpp://host", "system_id"),
        ("smpp://me@", "host"),
        ("smpp://me@host:port", "port"),
        ("smpp://me@host?windo=1", "windo"),
        ("smpp://me@host?window=many", "window"),
        ("smpp://me@host?window=0", "window"),
        ("smpp://me@host?rate=-1", "rate_per_s"),
        ("smpp://me@host?window=1&window=2", "window"),
        ("smpp://me@host?receipt_ids=octal", "receipt_ids"),
        ("smpp://me@host/path", "path"),
        ("smpp://me@host?outbind_port=2776", "outbind_password"),
        ("smpp://me@host?outbind_cert=a.pem", "go together"),
        ("smpp://me@host?outbind_ca=a.pem", "outbind_ca needs"),
        ("smpp://me:far-too-long-a-password@host", "password"),
        ("smpp://a-system-id-of-17@host", "system_id"),
    ],
)
def test_a_wrong_url_is_refused_by_name_and_with_the_way_to_write_it(url: str, named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SmppSettings.from_url(url)
    assert named in refused.value.message
    assert refused.value.hint


def test_a_password_is_not_printed() -> None:
    assert "hunter2" not in repr(SmppSettings.from_url("smpp://me:hunter2@host"))


@pytest.mark.parametrize(
    ("number", "triple"),
    [
        ("+8613800138000", b"\x01\x018613800138000\0"),
        ("8613800138000", b"\x00\x018613800138000\0"),
        ("10086", b"\x00\x0110086\0"),
    ],
)
def test_a_plus_means_international(number: str, triple: bytes) -> None:
    assert addresses.destination(number, None, None) == triple


@pytest.mark.parametrize("number", ["", "+", "nobody", "+86 138", "١٢٣٤٥", "1" * 21, "12", "+8²"])
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(pdu.PduError):
        addresses.destination(number, None, None)


@pytest.mark.parametrize(
    ("sender", "triple"),
    [
        ("10086", b"\x00\x0110086\0"),
        ("+8610086", b"\x01\x018610086\0"),
        ("Bank", b"\x05\x00Bank\0"),
        ("", b"\x00\x00\0"),
    ],
)
def test_a_sender_is_a_code_a_number_or_a_name(sender: str, triple: bytes) -> None:
    assert addresses.source(sender, None, None) == triple


@pytest.mark.parametrize(
    ("ton", "number", "country", "address"),
    [
        (1, "8613800138000", "", "+8613800138000"),
        (0, "+8613800138000", "", "+8613800138000"),
        (0, "8613800138000", "", "+8613800138000"),
        (0, "13800138000", "86", "+8613800138000"),
        (2, "013800138000", "86", "+8613800138000"),
        (0, "8613800138000", "86", "+8613800138000"),
        (0, "10086", "86", "10086"),
        (5, "Bank", "86", "Bank"),
        (0, "", "", ""),
    ],
)
def test_who_wrote_is_kept_as_subscribers_are(
    ton: int, number: str, country: str, address: str
) -> None:
    assert addresses.subscriber(ton, number, country) == address
