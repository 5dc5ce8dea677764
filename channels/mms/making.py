"""A message as one SubmitReq: the envelope, and with it the slides."""

from __future__ import annotations

import re
import secrets

from msgspec import Struct

from channels.base import Means, MediaError
from channels.mms import parcel, slides
from channels.mms.letters import Letter, Submit, Who
from channels.mms.mm7 import write
from channels.mms.parcel import Part
from channels.mms.settings import MmsSettings
from channels.pictures import Fitted, Fitting, Frame
from orchestrator.core.delivery import Outgoing
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Content

ENVELOPE = 'text/xml; charset="utf-8"'
CONTENT = "content"
_STARTS = {"3gpp": "envelope", "china": "/tnn-200102/mm7-vasp"}
_AROUND_OCTETS = 2_048
"""For what stands around the parts of a message: the presentation, and their heads."""
_STEP_OCTETS = 1_024
"""A picture is made for one of few sizes, whatever the length of the words beside it."""
_LONGEST_SUBJECT = 80
_SCREEN = re.compile(r"(\d{2,4})[x×*](\d{2,4})")


class MakingError(OutreachError):
    """The message cannot be an MMS; the text says why."""


class Parcel(Struct, frozen=True):
    """The HTTP body of a request, and its content type."""

    content_type: str
    body: bytes


class Maker:
    """Makes requests for one account."""

    def __init__(self, settings: MmsSettings, means: Means, key: str) -> None:
        self._settings = settings
        self._media = means.media
        self._key = key
        self._fitting = Fitting()

    @property
    def who(self) -> Who:
        it = self._settings
        return Who(it.vasp_id, it.vas_id, it.sender, it.plain_sender or it.dialect == "china")

    def transaction(self, message_id: int) -> str:
        """The same for each try of one message."""
        return f"{message_id}.{self._key[:12]}"

    async def parts(self, content: Content) -> list[Part]:
        """What the phone shows, the presentation first. Raises MakingError."""
        settings = self._settings
        name, width, height = _named(content.image, settings.width, settings.height)
        if not name and not content.text:
            raise MakingError("the message says and shows nothing")
        if len(content.text) > settings.max_text:
            raise MakingError(f"the text has over {settings.max_text} characters")
        try:
            words = len(content.text.encode())
            picture: Fitted | None = None
            if name:
                left = settings.max_octets - words - _AROUND_OCTETS
                frame = Frame(width, height, max(0, left // _STEP_OCTETS * _STEP_OCTETS))
                picture = await self._fitting.fit(await self._media(name), frame)
            made = slides.slides(content.text, picture, width, height)
        except MediaError as error:
            raise MakingError(error.message) from None
        except UnicodeEncodeError:
            raise MakingError("the text holds what is no character") from None
        if sum(len(it.octets) for it in made) > settings.max_octets:
            raise MakingError(f"the message has over {settings.max_octets} octets")
        return made

    async def submit(self, message: Outgoing) -> Parcel:
        """The SubmitReq with its content. Raises MakingError."""
        settings = self._settings
        number = _number(message.address)
        if settings.dialect == "china":
            number = number.removeprefix("+")
        if len(message.content.subject) > _LONGEST_SUBJECT:
            raise MakingError(f"the subject has over {_LONGEST_SUBJECT} characters")
        parts = await self.parts(message.content)
        asked = Submit(
            who=self.who,
            to=number,
            service_code=settings.service_code,
            message_class=settings.message_class,
            expires=message.valid_until,
            delivery_report=settings.delivery_report,
            read_reply=settings.read_reply,
            priority=settings.priority,
            subject=message.content.subject,
            charged_party=settings.charged_party,
            charged_party_id=settings.charged_party_id.replace("{to}", number),
            distribution=settings.distribution,
            href=f"cid:{CONTENT}",
            adapt=settings.adapt,
        )
        transaction = self.transaction(message.message_id)
        letter = Letter(asked, transaction, settings.namespace, settings.mm7_version)
        try:
            return packed(letter, parts, settings)
        except ValueError:
            raise MakingError("the subject holds what XML cannot carry") from None


def packed(
    letter: Letter, parts: list[Part], settings: MmsSettings, boundary: str | None = None
) -> Parcel:
    """The letter and the parts of its content in one body. ValueError as `mm7.write`."""
    boundary = boundary or secrets.token_hex(16)
    inner = f"{boundary}-content"
    content = Part(
        parcel.related(inner, slides.SMIL, slides.START),
        parcel.pack(parts, inner, settings.transfer),
        CONTENT,
    )
    start = _STARTS[settings.dialect]
    body = parcel.pack([Part(ENVELOPE, write(letter), start), content], boundary)
    return Parcel(parcel.related(boundary, "text/xml", start), body)


def _number(address: str) -> str:
    digits = address.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and 3 <= len(digits) <= 20):
        raise MakingError("the address is not a telephone number")
    return address


def _named(image: str, width: int, height: int) -> tuple[str, int, int]:
    """The picture's name, and the screen it is for: `seven-days/entrance.png 240x320`."""
    name, _, screen = image.strip().partition(" ")
    if found := _SCREEN.fullmatch(screen.strip()):
        width, height = min(width, int(found[1])), min(height, int(found[2]))
    return name, max(16, width), max(16, height)
