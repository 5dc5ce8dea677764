"""Pictures made to fit a phone and a message: smaller if they must, never larger."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from io import BytesIO

from msgspec import Struct
from PIL import Image, ImageOps

from channels.base import Media, MediaError
from orchestrator.core.media import MAX_PIXELS

Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Of a process that reads no others.

FORMATS = ("PNG", "JPEG", "GIF")
QUALITIES = (88, 75, 60, 45, 30)
_SMALLER = 0.7
_LEAST_PIXELS = 32
_MOST_OCTETS = 16 * 1024 * 1024


class Frame(Struct, frozen=True):
    """What a picture must fit: pixels, octets, and the kinds that the other side reads. With
    `modes`, it reads pictures of these modes of Pillow's alone, such as `RGB`."""

    width: int
    height: int
    octets: int
    kinds: tuple[str, ...] = ("image/png", "image/jpeg", "image/gif")
    modes: tuple[str, ...] = ()


class Fitted(Struct, frozen=True):
    """A picture as it goes out."""

    mime: str
    octets: bytes
    width: int
    height: int

    def __repr__(self) -> str:
        return f"Fitted({self.mime} {self.width}x{self.height} {len(self.octets)})"


def fit(media: Media, frame: Frame) -> Fitted:
    """The picture, as it is if it fits, else scaled and packed tighter until it does. An animation
    that must be scaled becomes its first picture, and so does one of another kind. Takes tens of
    milliseconds. Raises MediaError."""
    it = media.picture
    small = it.width <= frame.width and it.height <= frame.height and it.size <= frame.octets
    fits = small and it.mime in frame.kinds
    if fits and not frame.modes:
        return Fitted(it.mime, media.octets, it.width, it.height)
    try:
        with Image.open(BytesIO(media.octets), formats=FORMATS) as opened:
            if fits and opened.mode in frame.modes:
                return Fitted(it.mime, media.octets, it.width, it.height)
            opened.draft("RGB", (frame.width, frame.height))  # JPEGs are read at half the size.
            image: Image.Image = ImageOps.exif_transpose(opened)
            drawn = it.mime != "image/jpeg"
            image = image.convert("RGBA" if drawn else "RGB")
    except Exception:  # Decoders fail in many ways; it was looked at when it was applied.
        raise MediaError("the picture cannot be read any more") from None
    image.thumbnail((frame.width, frame.height), Image.Resampling.LANCZOS)
    while min(image.size) >= 1 and max(image.size) >= _LEAST_PIXELS:
        for octets, mime in _packed(image, drawn):
            if len(octets) <= frame.octets:
                return Fitted(mime, octets, *image.size)
        smaller = [max(1, round(side * _SMALLER)) for side in image.size]
        image = image.resize((smaller[0], smaller[1]), Image.Resampling.LANCZOS)
    raise MediaError("the picture cannot be made small enough", "raise `max_octets`")


def _packed(image: Image.Image, drawn: bool) -> Iterator[tuple[bytes, str]]:
    """The picture's octets, ever fewer: what was drawn first without loss."""
    if drawn:
        octets = BytesIO()
        image.save(octets, "PNG", optimize=True)
        yield octets.getvalue(), "image/png"
    if image.mode == "RGBA":
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        image = paper
    for quality in QUALITIES:
        octets = BytesIO()
        image.save(octets, "JPEG", quality=quality, optimize=True)
        yield octets.getvalue(), "image/jpeg"


class Fitting:
    """Pictures that were made to fit, kept while there is room. One is made at a time, beside the
    event loop."""

    def __init__(self, most_octets: int = _MOST_OCTETS) -> None:
        self._most_octets = most_octets
        self._kept: OrderedDict[tuple[str, Frame], Fitted | MediaError] = OrderedDict()
        self._octets = 0
        self._making = asyncio.Lock()

    async def fit(self, media: Media, frame: Frame) -> Fitted:
        """As `fit`; what was made before is there at once."""
        key = (media.picture.hash, frame)
        if key not in self._kept:
            async with self._making:
                if key not in self._kept:
                    self._keep(key, await asyncio.to_thread(_tried, media, frame))
        found = self._kept[key]
        self._kept.move_to_end(key)
        if isinstance(found, MediaError):
            raise found
        return found

    def _keep(self, key: tuple[str, Frame], made: Fitted | MediaError) -> None:
        self._kept[key] = made
        self._octets += _weight(made)
        while self._octets > self._most_octets and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._octets -= _weight(gone)


def _weight(it: Fitted | MediaError) -> int:
    return 200 + (len(it.octets) if isinstance(it, Fitted) else 0)


def _tried(media: Media, frame: Frame) -> Fitted | MediaError:
    try:
        return fit(media, frame)
    except MediaError as error:
        return error
