"""Pictures as customer-service messages: uploaded once, and shown before the words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from channels.album import Album, Sight
from channels.base import Media
from channels.pictures import Frame
from channels.uploads import Uploads
from channels.wechat.api import Api
from channels.wechat.status import PICTURE
from orchestrator.core.delivery import Outcome

FRAME = Frame(4_096, 4_096, 10_000_000)
"""PNG, JPEG or GIF of 10 MB (WeChat, "Adding Temporary Materials")."""

LASTS_S = 3 * 24 * 3600 - 3600.0
"""A media_id is good for three days; an hour less, for who is slow."""

_UNKNOWN_ID = 40007


class Shows(Album):
    """Shows pictures to people. The account keeps one for three days."""

    def __init__(self, media: Callable[[str], Awaitable[Media]]) -> None:
        super().__init__(media, FRAME)
        self._uploads = Uploads(LASTS_S)

    async def show(self, api: Api, address: str, sight: Sight) -> tuple[int, str]:
        """The picture is sent, or the errcode says why not. Raises as the API's calls do."""
        assert sight.picture is not None
        async with self._uploads.giving(sight.digest) as known:
            if known:
                errcode, msgid = await api.show(address, known)
                if errcode != _UNKNOWN_ID:
                    return errcode, msgid
                self._uploads.forget(sight.digest, known)
            errcode, media_id = await api.upload(sight.picture)
            if errcode:
                return errcode, ""
            self._uploads.keep(sight.digest, media_id)
        return await api.show(address, media_id)

    def weighed(self, shown: Outcome) -> Outcome:
        """What became of the picture, as far as the words are concerned: if WeChat does not take
        it, or it may have come, they go all the same, and `reason` says so."""
        number = shown.message_id
        if shown.result == "accepted":
            self.went_ahead(number)
            return Outcome(number, "accepted")
        if shown.code in PICTURE:
            return Outcome(number, "accepted", reason=shown.reason)
        if shown.result == "unknown":
            return Outcome(number, "accepted", reason="whether it came, nobody knows")
        return shown
