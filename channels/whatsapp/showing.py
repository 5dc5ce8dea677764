"""Pictures as the Cloud API takes them: uploaded once, for a month (Cloud API, "Media")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from channels.album import Album, Sight
from channels.base import Media
from channels.calls import Answer, form
from channels.pictures import Frame
from channels.uploads import Uploads
from channels.whatsapp.words import Asked

FRAME = Frame(4_096, 4_096, 5_000_000, ("image/png", "image/jpeg"), ("RGB", "RGBA"))
"""JPEG or PNG of 5 MB, 8 bits, RGB or RGBA (Cloud API, "Supported media types")."""

LASTS_S = 29 * 24 * 3600.0
"""Meta keeps what was uploaded for 30 days."""

Post = Callable[[str, bytes, str], Awaitable[Answer]]
"""Path, body and content type of a request to the number."""


class _Id(Struct, frozen=True):
    id: str = ""


class NotTakenError(Exception):
    """WhatsApp did not take the picture: `answer` says why."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Shows(Album):
    """The pictures of messages, and the ids under which Meta has them."""

    def __init__(self, media: Callable[[str], Awaitable[Media]]) -> None:
        super().__init__(media, FRAME, fetches=True)
        self._uploads = Uploads(LASTS_S)

    async def given(self, sight: Sight, post: Post) -> tuple[Asked, bool]:
        """The picture as a message names it, and whether Meta has had it for a while. Raises
        NotTakenError, and what `post` raises."""
        if sight.picture is None:
            return {"link": sight.address}, False
        async with self._uploads.giving(sight.digest) as known:
            if known:
                return {"id": known}, True
            it = sight.picture
            fields = {"messaging_product": "whatsapp", "type": it.mime}
            answer = await post("/media", *form(fields, "file", it.mime, it.octets))
            try:
                media_id = msgspec.json.decode(answer.body, type=_Id).id
            except (msgspec.DecodeError, UnicodeError):
                media_id = ""
            if answer.status != 200 or not media_id:
                raise NotTakenError(answer)
            self._uploads.keep(sight.digest, media_id)
        return {"id": media_id}, False

    def forget(self, sight: Sight, given: Asked) -> None:
        """Meta knows this id no more."""
        self._uploads.forget(sight.digest, given["id"])
