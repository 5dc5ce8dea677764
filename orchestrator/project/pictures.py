"""Pictures as authors give them: looked at without being trusted."""

from __future__ import annotations

import warnings
from hashlib import sha256
from io import BytesIO

from orchestrator.core.media import MAX_PIXELS, Mime, Picture
from orchestrator.project.findings import Finding, Mark, ProjectErrors

MAX_OCTETS = 2 * 1024 * 1024
_MIMES: dict[str, Mime] = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif"}


def look(name: str, raw: bytes) -> Picture:
    """What the picture of this file is. ProjectErrors if it is none, or too large."""
    if len(raw) > MAX_OCTETS:
        raise _wrong(name, f"the picture is larger than {MAX_OCTETS} octets", "save it smaller")
    # Only a project that has pictures pays for the library.
    from PIL import Image

    # A GIF may turn out larger than it says once it is read; over twice this is an error then.
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            with Image.open(BytesIO(raw), formats=tuple(_MIMES)) as image:
                _check_pixels(name, image.size)
                image.load()
                _check_pixels(name, image.size)
                width, height = image.size
                mime = _MIMES[image.format or ""]
        except ProjectErrors:
            raise
        except Image.DecompressionBombError:
            message = f"the picture has over {MAX_PIXELS} pixels"
            raise _wrong(name, message, "save it with fewer") from None
        except Exception:  # Decoders fail in many ways on what is no picture.
            message = "this is no PNG, JPEG or GIF that can be read"
            raise _wrong(name, message, "save it again in one of these formats") from None
    return Picture(sha256(raw).hexdigest(), mime, width, height, len(raw))


def _check_pixels(name: str, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        message = f"the picture has {width} x {height} pixels, over {MAX_PIXELS}"
        raise _wrong(name, message, "save it with fewer: a phone shows a thousandth")


def _wrong(name: str, message: str, hint: str) -> ProjectErrors:
    return ProjectErrors([Finding(Mark(name), message, hint, "picture")])
