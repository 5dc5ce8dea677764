"""What an MMS with a picture of 60 KB costs us: `python -m tests.bench.mms`.

The channel sends to a process of its own that takes everything and says nothing else; its cost is
nobody's. CPU is user and system time of this process.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO

from PIL import Image

from channels.base import Inbox, Means, Media, Outgoing
from channels.mms import mm7
from channels.mms.channel import MmsChannel
from channels.mms.making import Maker
from channels.mms.mm7 import Answer, Letter
from channels.mms.settings import MmsSettings
from channels.pictures import Frame, fit
from orchestrator.core.delivery import Spoken
from orchestrator.core.media import Picture
from orchestrator.core.model import Content

MESSAGES = 2_000
BATCH = 50


def photo(width: int, height: int, octets: int) -> Media:
    """A JPEG of about so many octets."""
    small = Image.frombytes("RGB", (width // 6, height // 6), random.Random(1).randbytes(
        (width // 6) * (height // 6) * 3
    ))  # fmt: skip
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    for quality in range(95, 5, -3):
        made = BytesIO()
        image.save(made, "JPEG", quality=quality)
        if len(made.getvalue()) <= octets:
            break
    raw = made.getvalue()
    return Media(Picture(sha256(raw).hexdigest(), "image/jpeg", width, height, len(raw)), raw)


async def sink() -> None:
    """Takes every request, and answers that it was taken."""
    said = mm7.write(Letter(Answer("SubmitRsp", 1000, "Success", "m1"), "t", "urn:x", "6.8.0"))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(said)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readuntil(b"\r\n\r\n"):
            length = int(line.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            writer.write(head + said)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(3600)


async def measure() -> dict[str, float]:
    kept = photo(640, 480, 60_000)

    async def media(name: str) -> Media:
        return kept

    async def history(channel: str, address: str, limit: int) -> Sequence[Spoken]:
        return []

    async def nothing(items: object) -> None:
        pass

    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name if __spec__ else __name__, "sink",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    port = int(await child.stdout.readline())
    means = Means(b"x" * 16, lambda: datetime.now(UTC), history, media=media)
    settings = MmsSettings(url=f"http://127.0.0.1:{port}/mm7", sender="10086")
    channel = MmsChannel("mms", settings, means)
    content = Content(text="五大入口任您选" * 10, subject="今日", image="a.jpg")
    messages = [Outgoing(n, n, f"+86138{n:08}", content) for n in range(MESSAGES)]
    await channel.start(Inbox(nothing, nothing))
    await channel.send(messages[:BATCH])
    cpu, wall = time.process_time(), time.perf_counter()
    for start in range(0, MESSAGES, BATCH):
        outcomes = await channel.send(messages[start : start + BATCH])
        assert all(outcome.result == "accepted" for outcome in outcomes)
    sent_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    await channel.stop()
    child.kill()
    await child.wait()
    maker = Maker(settings, means, "key")
    await maker.submit(messages[0])
    cpu = time.process_time()
    for message in messages:
        await maker.submit(message)
    made_s = time.process_time() - cpu
    large = photo(2000, 1500, 900_000)
    cpu = time.process_time()
    for _ in range(10):
        fit(large, Frame(640, 480, 60_000))
    return {
        "picture_octets": len(kept.octets),
        "cpu_us_per_message": round(sent_s / MESSAGES * 1e6),
        "of_it_making_us": round(made_s / MESSAGES * 1e6),
        "messages_per_s": round(MESSAGES / wall_s),
        "fitting_a_3_megapixel_photo_ms": round((time.process_time() - cpu) / 10 * 1e3, 1),
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["sink"]:
        asyncio.run(sink())
    else:
        print(json.dumps(asyncio.run(measure())))
