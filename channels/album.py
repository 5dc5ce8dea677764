"""The picture that a message shows, as its carrier takes it."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from msgspec import Struct

from channels.base import Media, MediaError
from channels.pictures import Fitted, Fitting, Frame

log = logging.getLogger("outreach.pictures")

NO_PICTURE = "no_picture"
"""The code of a message that was accepted, but without the picture that it should show."""

_MOST_REMEMBERED = 1_000


class Sight(Struct, frozen=True):
    """What a message shows: `picture`, one of the project's, known by its `digest`; or the one at
    `address`, which the carrier fetches itself; or nothing. `because` says why nothing if there
    should be something."""

    picture: Fitted | None = None
    digest: str = ""
    address: str = ""
    because: str = ""

    def __bool__(self) -> bool:
        return self.picture is not None or bool(self.address)

    def without(self, because: str) -> Sight:
        """Nothing, and why."""
        return Sight(because=because)


NOTHING = Sight()


class Album:
    """Finds pictures by the names that templates give them, and makes them fit `frame`. With
    `fetches`, the carrier shows those at an `https://` address too."""

    def __init__(
        self, media: Callable[[str], Awaitable[Media]], frame: Frame, *, fetches: bool = False
    ) -> None:
        self._media = media
        self._frame = frame
        self._fetches = fetches
        self._fitting = Fitting()
        self._ahead: OrderedDict[int, None] = OrderedDict()

    async def find(self, image: str) -> Sight:
        """What a message with this `Content.image` shows. The words matter more: what cannot be
        shown is left out. Raises what the store raises when it is away."""
        name = image.strip().partition(" ")[0]  # what may stand behind it is for MMS
        if not name:
            return NOTHING
        if name.startswith(("https://", "http://")):
            return Sight(address=name) if self._fetches else Sight(because="it lies elsewhere")
        try:
            media = await self._media(name)
            made = await self._fitting.fit(media, self._frame)
        except MediaError as error:
            log.warning("picture_left_out", extra={"because": error.message})
            return Sight(because=error.message)
        return Sight(made, media.picture.hash)

    def went_ahead(self, message_id: int) -> None:
        """The picture of this message has been sent, before its words: a second try of the words
        in this process does not send it again."""
        self._ahead[message_id] = None
        if len(self._ahead) > _MOST_REMEMBERED:
            self._ahead.popitem(last=False)

    def is_ahead(self, message_id: int) -> bool:
        """Whether the picture of this message has been sent already."""
        return message_id in self._ahead
