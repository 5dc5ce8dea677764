"""Pictures that a simulated carrier was given, and the ids by which it knows them."""

from __future__ import annotations

import hashlib
from io import BytesIO

from PIL import Image

from channels.carriers.handset import Shot


class Gallery:
    """Gives a new id for each picture that it takes, and forgets all when it `forget`s."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._kept: dict[str, Shot] = {}
        self.given = 0

    def take(self, octets: bytes) -> str:
        """The id of a new picture. ValueError if it is none."""
        try:
            with Image.open(BytesIO(octets), formats=("PNG", "JPEG", "GIF")) as image:
                image.load()
                mime = f"image/{(image.format or '').lower()}"
        except (OSError, SyntaxError) as error:
            raise ValueError("no picture") from error
        self.given += 1
        carrier_id = f"{self._prefix}{self.given}"
        self._kept[carrier_id] = shot(mime, octets)
        return carrier_id

    def find(self, carrier_id: str) -> Shot | None:
        """The picture of this id."""
        return self._kept.get(carrier_id)

    def forget(self) -> None:
        """No id means anything any more."""
        self._kept.clear()


def shot(mime: str, octets: bytes) -> Shot:
    """The picture as a screen shows it."""
    return Shot(mime, octets, hashlib.sha256(octets).hexdigest()[:32])


def size_of(octets: bytes) -> tuple[int, int, str]:
    """Width and height in pixels, and Pillow's mode."""
    with Image.open(BytesIO(octets)) as image:
        return (*image.size, image.mode)
