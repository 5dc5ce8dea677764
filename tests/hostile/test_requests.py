"""Requests that mean no good, over real sockets: all are answered in words or hung up on, soon and
in bounded memory, and the others are served meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from multidict import CIMultiDict

from channels.webchat.channel import COOKIE
from channels.webchat.link import mint
from tests.channels.webchat.conftest import SECRET, Chat
from tests.hostile.api import AUTHORIZED, KEY, Api, serving

EVENT = {"subscriber": "ann", "name": "order.placed", "source_id": "e1"}
ANN = {"key": "ann", "timezone": "UTC", "attributes": {"name": "Ann"}}
PLACES = ("/v1/events", "/v1/subscribers")
MOST_MB = 120.0


@pytest.fixture
async def api(database_url: str, redis_url: str) -> AsyncIterator[Api]:
    async with serving(database_url, redis_url) as made:
        assert (await post(made, "/v1/subscribers", json.dumps(ANN).encode()))[0] == 200
        yield made


async def post(api: Api, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers={**AUTHORIZED, **headers}) as session,
        session.post(api.url + path, data=io.BytesIO(body)) as answer,
    ):
        if answer.status >= 400:
            assert answer.content_type == "application/problem+json"
        return answer.status, await answer.json(content_type=None)


async def raw(url: str, octets: bytes, within_s: float = 10.0) -> bytes:
    """What comes back for these octets until the other end hangs up or is silent for a second."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    found = b""
    try:
        writer.write(octets)
        await writer.drain()
        async with asyncio.timeout(within_s):
            while piece := await asyncio.wait_for(reader.read(65_536), 1.0):
                found += piece
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return found


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _forget_peak() -> float:
    """The peak is what is held now (proc(5): clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_mb()


DEEP = b"[" * 200_000
BODIES = {
    "nothing": b"",
    "a word": b"ann",
    "null": b"null",
    "a number": b"1",
    "an empty list": b"[]",
    "lists in lists": b"[[[]]]",
    "deep lists": DEEP,
    "deep objects": b'{"a":' * 100_000,
    "deep properties": json.dumps(EVENT)[:-1].encode() + b', "properties": {"a": ' + DEEP + b"}}",
    "honest but deep": json.dumps(EVENT)[:-1].encode()
    + b', "properties": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}",
    "NaN": b'{"subscriber": "ann", "name": "x", "source_id": "n1", "properties": {"a": NaN}}',
    "an endless number": b'{"subscriber": "ann", "name": "x", "source_id": "n2",'
    b' "properties": {"a": ' + b"9" * 100_000 + b"}}",
    "a number beyond floats": b'{"subscriber": "ann", "name": "x", "source_id": "n3",'
    b' "properties": {"a": 1e99999}}',
    "half a character": b'{"subscriber": "ann", "name": "\\ud800", "source_id": "n4"}',
    "half a character inside": b'{"subscriber": "ann", "name": "x", "source_id": "n5",'
    b' "properties": {"\\udc00": "\\ud800"}}',
    "NUL": b'{"subscriber": "ann", "name": "x\\u0000", "source_id": "n6"}',
    "NUL in a key": b'{"key": "ann", "attributes": {"\\u0000": 1}}',
    "octets that are no text": b'{"subscriber": "\xff\xfe"}',
    "another encoding": '{"subscriber": "ann"}'.encode("utf-16"),
    "a mark before it": b"\xef\xbb\xbf" + json.dumps(EVENT).encode(),
    "a key twice": b'{"subscriber": "ann", "subscriber": "eve", "name": "x", "source_id": "n7"}',
    "a key nobody knows": b'{"subscriber": "ann", "name": "x", "source_id": "n8", "admin": true}',
    "a prototype": b'{"__proto__": {"admin": true}, "constructor": 1, "__class__": 1}',
    "long ago": b'{"subscriber": "ann", "name": "x", "source_id": "n9",'
    b' "at": "0001-01-01T00:00:00+18:43"}',
    "at the end of time": b'{"subscriber": "ann", "name": "x", "source_id": "n10",'
    b' "at": "9999-12-31T23:59:59-18:43"}',
    "a leap second": b'{"subscriber": "ann", "name": "x", "source_id": "n11",'
    b' "at": "2016-12-31T23:59:60Z"}',
    "consent in another age": b'{"key": "bob", "consents": {"marketing": {"granted": true,'
    b' "at": "0001-01-01T00:00:00+23:59"}}}',
    "a channel without end": json.dumps({"key": "b", "addresses": {"x" * 5_000: "y"}}).encode(),
    "a purpose without end": json.dumps(
        {"key": "b", "consents": {"x" * 5_000: {"granted": True, "at": "2026-01-01T00:00:00Z"}}}
    ).encode(),
    "a place that is a file": b'{"key": "bob", "timezone": "../../../../etc/passwd"}',
    "a place without end": json.dumps({"key": "bob", "timezone": "a/" * 90}).encode(),
    "too many": json.dumps([{**EVENT, "source_id": str(n)} for n in range(1_001)]).encode(),
    "many tags": json.dumps({"key": "tagged", "tags": [str(n) for n in range(200_000)]}).encode(),
    "a large attribute": json.dumps({"key": "big", "attributes": {"a": "x" * 3_000_000}}).encode(),
    "too large": json.dumps({"key": "x" * 5_000_000}).encode(),
    "a form": b"subscriber=ann&name=x",
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "SQL": json.dumps({**EVENT, "source_id": "'; DROP TABLE events; --"}).encode(),
    "a template": json.dumps({**ANN, "attributes": {"name": "{{ 7*7 }}{% raw %}"}}).encode(),
}  # fmt: skip


async def test_every_body_is_taken_or_refused_in_words_and_none_breaks_a_turn(api: Api) -> None:
    for name, body in BODIES.items():
        for path in PLACES:
            async with asyncio.timeout(20):
                status, said = await post(api, path, body)
            assert status in (200, 202, 400, 413, 422), (name, path, status, said)
    assert await api.turn() == 0
    assert await api.value("SELECT count(*) FROM failures") == 0
    async with (
        aiohttp.ClientSession(headers=AUTHORIZED) as session,
        session.get(api.url + "/v1/subscribers/ann") as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/xml", "multipart/form-data", "application/json; charset=utf-16",
     "application/json; charset=nonsense", "application/x-www-form-urlencoded", "a" * 4_000, "///"],
)  # fmt: skip
async def test_whatever_the_content_is_called_it_is_read_as_json(api: Api, kind: str) -> None:
    status, _ = await post(api, "/v1/events", json.dumps(EVENT).encode(), **{"Content-Type": kind})
    assert status == 202


def _gzipped(times: int, octets: bytes) -> bytes:
    for _ in range(times):
        octets = gzip.compress(octets, 9)
    return octets


async def test_what_is_compressed_may_not_unfold_without_end(api: Api) -> None:
    packer = zlib.compressobj(9)
    unfolding = b"".join([*(packer.compress(b" " * 2**20) for _ in range(256)), packer.flush()])
    bombs = {
        "deflate": [unfolding, b"", b"nonsense", unfolding[:1_000]],
        "gzip": [_gzipped(1, b" " * 2**25), _gzipped(3, b" " * 2**25), b"", b"\x1f\x8b" * 500],
        "br": [b"\xff" * 1_000],
        "zstd": [b"\x28\xb5\x2f\xfd" + b"\xff" * 1_000],
        "gzip, gzip": [_gzipped(2, b" " * 2**25)],
    }
    before = _forget_peak()
    for encoding, bodies in bombs.items():
        for body in bodies:
            octets = (
                b"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
                b"Connection: close\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
                % (KEY.encode(), encoding.encode(), len(body))
            )
            found = await raw(api.url, octets + body)
            assert found[9:12] in (b"400", b"413", b"415", b""), (encoding, found[:200])
    assert _peak_mb() - before < MOST_MB


def _request(*lines: bytes, first: bytes = b"GET /v1/subscribers/ann HTTP/1.1") -> bytes:
    return b"\r\n".join((first, b"Host: x", *lines, b"", b""))


RAW = {
    "a thousand headers": _request(*(b"X-%d: y" % n for n in range(1_000))),
    "headers without end": _request(*(b"X-%d: y" % n for n in range(200_000))),
    "one long header": _request(b"X: " + b"y" * 5_000_000),
    "one long name": _request(b"x" * 1_000_000 + b": y"),
    "a long path": _request(first=b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1"),
    "a long method": _request(first=b"G" * 100_000 + b" / HTTP/1.1"),
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "nonsense": bytes(range(256)) * 100,
    "only line ends": b"\r\n" * 100_000,
    "two lengths": _request(b"Content-Length: 5", b"Content-Length: 50",
                            first=b"POST /v1/events HTTP/1.1"),
    "a negative length": _request(b"Content-Length: -1", first=b"POST /v1/events HTTP/1.1"),
    "a length of words": _request(b"Content-Length: ten", first=b"POST /v1/events HTTP/1.1"),
    "an endless length": _request(b"Content-Length: " + b"9" * 5_000,
                                  first=b"POST /v1/events HTTP/1.1"),
    "a length and chunks": _request(b"Content-Length: 5", b"Transfer-Encoding: chunked",
                                    first=b"POST /v1/events HTTP/1.1") + b"0\r\n\r\nGET / ",
    "chunks of nonsense": _request(b"Transfer-Encoding: chunked",
                                   first=b"POST /v1/events HTTP/1.1") + b"zz\r\nabc\r\n",
    "a chunk without end": _request(b"Transfer-Encoding: chunked",
                                    first=b"POST /v1/events HTTP/1.1") + b"F" * 100_000,
    "a header in two lines": _request(b"X: a", b" b", b"\tc"),
    "a header with NUL": _request(b"X: a\0b"),
    "a header cut in two": _request(b"X: a\nAuthorization: Bearer x"),
    "a forged key": _request(b"Authorization: Bearer " + b"\xff" * 1_000),
    "many keys": _request(*[b"Authorization: Bearer x"] * 100),
    "no scheme": _request(b"Authorization: " + KEY.encode()),
    "a key in a cookie": _request(b"Cookie: " + b"a=b; " * 10_000),
    "pipelined": _request() * 500,
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
async def test_octets_that_are_no_request_are_refused_and_others_are_served(
    api: Api, name: str
) -> None:
    before = _forget_peak()
    found = await raw(api.url, RAW[name])
    statuses = {line[9:12] for line in found.split(b"\r\n") if line.startswith(b"HTTP/1.")}
    assert statuses <= {b"400", b"401", b"404", b"405", b"411", b"413", b"414", b"431"}, found[:300]
    assert b"Traceback" not in found
    assert _peak_mb() - before < MOST_MB
    assert (await post(api, "/v1/events", json.dumps(EVENT).encode()))[0] == 202


@pytest.mark.parametrize(
    "key",
    ["%00", "%ff%fe", "%ed%a0%80", "..%2f..%2fetc%2fpasswd", "%2e%2e", "a" * 7_000, "%F0%9F%98%80",
     "'%20OR%201=1--", "%0d%0aX-Evil:%20yes", "*", "webchat:", ":", "+", "%25", "${jndi:x}", "٣٣"],
)  # fmt: skip
async def test_a_key_that_means_no_good_is_nobodys(api: Api, key: str) -> None:
    octets = _request(
        b"Authorization: Bearer " + KEY.encode(), b"Connection: close",
        first=b"GET /v1/subscribers/%b HTTP/1.1" % key.encode(),
    )  # fmt: skip
    found = await raw(api.url, octets)
    assert found[9:12] in (b"404", b"400"), found[:300]
    assert b"x-evil" not in found.partition(b"\r\n\r\n")[0].lower()


async def test_a_request_replayed_a_hundred_times_at_once_happened_once(api: Api) -> None:
    body = json.dumps([EVENT, {**EVENT, "source_id": "e2"}, EVENT]).encode()
    answers = await asyncio.gather(*(post(api, "/v1/events", body) for _ in range(100)))
    assert {status for status, _ in answers} == {202}
    assert sum(said["stored"] for _, said in answers) == 2
    assert await api.value("SELECT count(*) FROM events") == 2
    assert await api.turn() == 0
    assert await api.value("SELECT balance_points FROM accounts") == 10


async def test_hundreds_who_speak_slowly_keep_nobody_else_waiting(api: Api) -> None:
    parts = urlsplit(api.url)
    before = _forget_peak()
    slow = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(300)]
    for round_ in range(3):
        for number, (_, writer) in enumerate(slow):
            writer.write((b"POST /v1/events HTTP/1.1\r\n", b"Host: x\r\nContent-Length: 99\r\n",
                          b"X-%d: y\r\n" % number)[round_])  # fmt: skip
        async with asyncio.timeout(10):
            assert (await post(api, "/v1/events", json.dumps(EVENT).encode()))[0] == 202
    assert _peak_mb() - before < MOST_MB
    for _, writer in slow:
        writer.close()


# The chat's socket, below the frames that a browser would send (RFC 6455 §5.2).


def _frame(first: int, payload: bytes, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    if size < 126:
        head = struct.pack(">BB", first, 0x80 | size)
    elif size < 65_536:
        head = struct.pack(">BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, size)
    return head + bytes(4) + payload


def _unfolding() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(b" " * 2**27) + packer.flush(zlib.Z_SYNC_FLUSH)


FRAMES = {
    "nonsense": bytes(range(256)) * 20,
    "no text": _frame(0x81, b"\xff\xfe\xed\xa0\x80"),
    "a frame of 2^63 octets": _frame(0x81, b"x", 2**63),
    "a frame of a unfolding": _frame(0x81, b"x" * 100_000, 2**30),
    "reserved bits": _frame(0xB1, b"x"),
    "a reserved opcode": _frame(0x83, b"x"),
    "a long ping": _frame(0x89, b"x" * 1_000),
    "pings": _frame(0x89, b"x") * 20_000,
    "a ping in parts": _frame(0x09, b"x"),
    "parts without end": _frame(0x01, b"{") + _frame(0x00, b"x" * 60_000) * 200,
    "parts of nothing": _frame(0x01, b"") + _frame(0x00, b"") * 100_000,
    "a part of what never began": _frame(0x80, b"x"),
    "not masked": b"\x81\x05hello",
    "a close without reason": _frame(0x88, b"x"),
    "a close with a false reason": _frame(0x88, b"\x00\x01"),
    "what unfolds": _frame(0xC1, _unfolding()),
    "what does not unfold": _frame(0xC1, b"\xff" * 100),
    "deep lists": _frame(0x81, b"[" * 3_000),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_frames_that_are_none_end_their_own_page_only(name: str) -> None:
    chat = Chat()
    await chat.run()
    url = str(chat.server.make_url("/"))
    cookie = f"{COOKIE}={mint('eve', SECRET)}".encode()
    hello = _request(
        b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"Cookie: " + cookie,
        b"Sec-WebSocket-Extensions: permessage-deflate", first=b"GET /chat/socket HTTP/1.1",
    )  # fmt: skip
    before = _forget_peak()
    async with chat.page("ann") as ann:
        found = await raw(url, hello + FRAMES[name])
        assert found[:12] in (b"HTTP/1.1 101", b"")  # nothing: hung up on while still writing
        assert b"Traceback" not in found
        assert _peak_mb() - before < MOST_MB
        await ann.socket.send_json({"type": "say", "id": "ann-said-1", "text": "still here"})
        async with asyncio.timeout(10):
            while "still here" not in chat.kept.texts:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0.01)
    await chat.end()
    assert chat.kept.texts == ["still here"]


@pytest.mark.parametrize(
    "token", ["", "eve", "a.b", "." * 5_000, mint("eve", b"another secret of some octets"), "\xff"]
)
async def test_a_forged_cookie_opens_no_socket(token: str) -> None:
    chat = Chat()
    await chat.run()
    headers = CIMultiDict({"Cookie": f"{COOKIE}={token}"})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(chat.server.make_url("/chat/socket"), headers=headers)
    assert refused.value.status == 403
    await chat.end()
