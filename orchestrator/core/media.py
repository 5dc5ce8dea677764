"""Pictures that authors put beside their templates, named by what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from orchestrator.core.errors import OutreachError

Mime = Literal["image/png", "image/jpeg", "image/gif"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif")

MAX_PIXELS = 12_000_000
"""Of one picture: what its octets become in memory is bounded by this."""

_POINTER = re.compile(
    r"(image/(?:png|jpeg|gif)) (\d{1,5})x(\d{1,5}) (\d{1,9}) sha256:([0-9a-f]{64})"
)
_MIMES: dict[str, Mime] = {it: it for it in ("image/png", "image/jpeg", "image/gif")}


class MediaError(OutreachError):
    """There is no such picture, or it cannot be used."""


class Picture(Struct, frozen=True):
    """What a picture is, without its octets: `hash` is the SHA-256 of them, `size` how many."""

    hash: str
    mime: Mime
    width: int
    height: int
    size: int

    def pointer(self) -> str:
        """The text that stands for the picture among a project's texts: another one for any other
        picture."""
        return f"{self.mime} {self.width}x{self.height} {self.size} sha256:{self.hash}"


class Media(Struct, frozen=True):
    """A picture with its octets."""

    picture: Picture
    octets: bytes

    def __repr__(self) -> str:
        return f"Media({self.picture.pointer()})"


def is_picture(path: str) -> bool:
    """Whether a project's file of this path is a picture."""
    return path.startswith("templates/") and path.endswith(SUFFIXES)


def pointed(text: str) -> Picture:
    """The picture that a project's text stands for. Raises MediaError."""
    found = _POINTER.fullmatch(text)
    if found is None:
        raise MediaError("this is no picture", "read the project from its folder")
    mime, width, height, size, digest = found.groups()
    return Picture(digest, _MIMES[mime], int(width), int(height), int(size))


def pictures_in(files: Mapping[str, str]) -> dict[str, Picture]:
    """A project's pictures by the name that `mms_image` and `chat_image` give them. Raises
    MediaError."""
    return {
        path.removeprefix("templates/"): pointed(text)
        for path, text in files.items()
        if is_picture(path)
    }
