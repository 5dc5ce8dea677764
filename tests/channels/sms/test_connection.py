"""How a channel comes to be connected: TLS with verification, and carriers that call us."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from channels.carriers.smsc import Smsc
from channels.sms.channel import SmsChannel
from channels.sms.settings import SettingsError, SmppSettings
from tests.channels.contract.rig import Kept, until
from tests.channels.sms.conftest import CALLED, NUMBER, bound, message

CERTIFICATES = Path(__file__).parent / "certificates"


@pytest.fixture
async def tls_smsc() -> AsyncIterator[Smsc]:
    """A carrier that shows a certificate for `localhost`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "carrier.pem", CERTIFICATES / "carrier.key")
    made = Smsc(tls=context)
    await made.start()
    yield made
    await made.stop()


async def test_a_trusted_carrier_is_spoken_to_over_tls(tls_smsc: Smsc) -> None:
    url = f"smpps://outreach:secret@localhost:{tls_smsc.port}?ca={CERTIFICATES / 'carrier.pem'}"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Kept().inbox)
    await until(lambda: channel.health() == "up")
    [outcome] = await channel.send([message(1)])
    assert outcome.result == "accepted"
    await channel.stop()


@pytest.mark.parametrize(
    ("host", "trusted"), [("localhost", ""), ("127.0.0.1", f"?ca={CERTIFICATES / 'carrier.pem'}")]
)
async def test_a_carrier_without_a_trusted_certificate_for_its_name_gets_no_password(
    tls_smsc: Smsc, host: str, trusted: str
) -> None:
    url = f"smpps://outreach:secret@{host}:{tls_smsc.port}{trusted}"
    channel = SmsChannel(SmppSettings.from_url(url))
    await channel.start(Kept().inbox)
    await until(lambda: "certificate verify failed" in channel.trouble)
    assert channel.health() == "connecting"
    assert not tls_smsc.customers
    await channel.stop()


async def test_a_carrier_that_calls_with_the_agreed_password_may_bring_texts(smsc: Smsc) -> None:
    async with bound(smsc.port, CALLED) as (channel, kept):
        said = smsc.handset(NUMBER).say("hello?", "10086")
        await smsc.outbind("127.0.0.1", channel.outbind_port, "knock")
        await until(lambda: said.acknowledged_at)
        assert [reply.text for reply in kept.replies] == ["hello?"]


async def test_a_caller_with_a_wrong_password_is_hung_up_on(
    smsc: Smsc, caplog: pytest.LogCaptureFixture
) -> None:
    async with bound(smsc.port, CALLED) as (channel, _):
        await smsc.outbind("127.0.0.1", channel.outbind_port, "wrong")
        await until(lambda: "outbind_refused" in caplog.text)
        assert not any(customer.receives for customer in smsc.customers)


OURS = f"&outbind_cert={CERTIFICATES / 'carrier.pem'}&outbind_key={CERTIFICATES / 'carrier.key'}"
KNOWN_ONLY = f"{OURS}&outbind_ca={CERTIFICATES / 'carrier.pem'}"


def caller(*, shows: bool = False) -> ssl.SSLContext:
    """What a carrier calls with that trusts our certificate, and perhaps shows its own."""
    context = ssl.create_default_context(cafile=CERTIFICATES / "carrier.pem")
    if shows:
        context.load_cert_chain(CERTIFICATES / "carrier.pem", CERTIFICATES / "carrier.key")
    return context


@pytest.mark.parametrize(("options", "shows"), [(OURS, False), (KNOWN_ONLY, True)])
async def test_a_carrier_may_call_over_tls(smsc: Smsc, options: str, shows: bool) -> None:
    async with bound(smsc.port, CALLED + options) as (channel, kept):
        await smsc.outbind("localhost", channel.outbind_port, "knock", caller(shows=shows))
        await until(lambda: len(smsc.customers) == 2)
        smsc.handset(NUMBER).say("1", "10086")
        await until(lambda: kept.replies)


async def test_whoever_calls_without_tls_or_a_known_certificate_is_sent_nothing(
    smsc: Smsc, caplog: pytest.LogCaptureFixture
) -> None:
    async with bound(smsc.port, CALLED + KNOWN_ONLY, 1.0) as (channel, _):
        with suppress(OSError):
            await smsc.outbind("localhost", channel.outbind_port, "knock", caller())
        await smsc.outbind("localhost", channel.outbind_port, "knock")
        await until(lambda: caplog.text.count("outbind_failed") == 2)
        assert len(smsc.customers) == 1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("&outbind_cert=/nowhere.pem&outbind_key=/nowhere.key", "No such file"),
        (f"&outbind_cert={__file__}&outbind_key={__file__}", "outbind_cert and outbind_key"),
        (f"{OURS}&outbind_ca={__file__}", "outbind_ca cannot be used"),
    ],
)
async def test_a_certificate_that_cannot_be_used_is_told_at_the_start(
    smsc: Smsc, options: str, word: str
) -> None:
    url = f"smpp://outreach:secret@127.0.0.1:{smsc.port}?source=10086{CALLED}{options}"
    channel = SmsChannel(SmppSettings.from_url(url))
    with pytest.raises(SettingsError, match=word):
        await channel.start(Kept().inbox)
    await channel.stop()
