"""A message told with its picture: in one, or the picture first and then the words."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from telegram.error import TelegramError

from channels.album import Album, Sight
from channels.base import Media
from channels.pictures import Frame
from channels.telegram.api import BotApi
from channels.telegram.status import PICTURE, judged
from channels.telegram.words import MAX_CAPTION, Said, units
from channels.uploads import Uploads

FRAME = Frame(5_000, 5_000, 10_000_000)
"""Width and height together are 10,000 at most (Bot API, sendPhoto)."""

_BARE = Said("", None)


class Shows:
    """Tells messages with their pictures. Each is uploaded once, and known by its `file_id` after
    that, which never ends (Bot API, "Sending files")."""

    def __init__(self, media: Callable[[str], Awaitable[Media]]) -> None:
        self._album = Album(media, FRAME, fetches=True)
        self._uploads = Uploads(math.inf)

    async def find(self, image: str) -> Sight:
        """As `Album.find`."""
        return await self._album.find(image)

    async def tell(
        self, api: BotApi, number: int, chat: str, said: Said, sight: Sight
    ) -> tuple[int, str]:
        """The message is sent: its number in the chat, and why its picture is missing, or ''. The
        words matter more, so a picture that Telegram does not take is left out. Raises
        TelegramError if the words were not taken."""
        if not sight or self._album.is_ahead(number):
            return await api.send(chat, said), sight.because
        below = units(said.text) <= MAX_CAPTION
        because = ""
        try:
            shown = await self._show(api, chat, sight, said if below else _BARE)
            if below:
                return shown, ""
            self._album.went_ahead(number)
        except TelegramError as error:
            outcome = judged(number, error)
            refused = outcome.code == PICTURE
            if not said.text or not (refused or (outcome.result == "unknown" and not below)):
                raise
            because = outcome.reason if refused else "whether its picture came, nobody knows"
        return await api.send(chat, said), because

    async def _show(self, api: BotApi, chat: str, sight: Sight, said: Said) -> int:
        picture = sight.picture
        if picture is None:
            sent, _ = await api.show(chat, sight.address, said)
            return sent
        moves = picture.mime == "image/gif"
        async with self._uploads.giving(sight.digest) as known:
            if known:
                try:
                    sent, _ = await api.show(chat, known, said, moves=moves)
                except TelegramError as error:  # an id of another bot, or of long ago
                    if judged(0, error).code != PICTURE:
                        raise
                    self._uploads.forget(sight.digest, known)
                else:
                    return sent
            sent, file_id = await api.show(chat, picture, said, moves=moves)
            self._uploads.keep(sight.digest, file_id)
        return sent
