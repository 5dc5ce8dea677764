"""What the pictures of an MMS cost, apart from its way to the centre."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from io import BytesIO

from PIL import Image

from channels.base import Means, Media, Outgoing
from channels.mms.making import Maker
from channels.mms.settings import MmsSettings
from channels.pictures import Frame, fit
from orchestrator.core.delivery import Spoken
from orchestrator.core.media import Picture
from orchestrator.core.model import Content

MESSAGES = 2_000


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


def measure(kept: Media) -> dict[str, float | None]:
    """Making the bodies of messages with this picture, and making a large photo fit a screen."""
    made_us = asyncio.run(_making(kept))
    large = photo(2000, 1500, 900_000)
    cpu = time.process_time()
    for _ in range(10):
        fit(large, Frame(640, 480, 60_000))
    return {
        "mms_picture_octets": len(kept.octets),
        "mms_making_us": round(made_us),
        "fitting_a_3_megapixel_photo_ms": round((time.process_time() - cpu) / 10 * 1e3, 1),
    }


async def _making(kept: Media) -> float:
    async def media(name: str) -> Media:
        return kept

    async def history(channel: str, address: str, limit: int) -> Sequence[Spoken]:
        return []

    means = Means(b"x" * 16, lambda: datetime.now(UTC), history, media=media)
    settings = MmsSettings(url="http://127.0.0.1:9/mm7", sender="10086")
    maker = Maker(settings, means, "key")
    content = Content(text="五大入口任您选" * 10, subject="今日", image="a.jpg")
    messages = [Outgoing(n, n, f"+86138{n:08}", content) for n in range(MESSAGES)]
    await maker.submit(messages[0])
    cpu = time.process_time()
    for message in messages:
        await maker.submit(message)
    return (time.process_time() - cpu) / MESSAGES * 1e6
