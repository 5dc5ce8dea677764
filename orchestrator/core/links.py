"""Tracked links. While a message is rendered, `link(url)` says the address and remembers it; once
the message has an id, a short signed address of our own domain takes its place.

A target is only ever what a template said in that very message, so that nobody can make our domain
lead elsewhere; and nothing is stored for a link but the message it stands in.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.core.errors import RenderError
from orchestrator.core.model import Button, Content
from orchestrator.core.render import MessageTemplate

LIVES = timedelta(days=60)
"""So long after its message a link leads somewhere."""

PATH = "/l/"
MOST = 16
"""Links in one message."""
_LONGEST = 2_000

_URL = re.compile(r"https?://[^\s\x00-\x20\x7f<>\"]+")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_MAC_BITS = 40
_INDEX_BITS = 4
_MESSAGE_BITS = 63
_LONGEST_TOKEN = 40


class Link(Struct, frozen=True):
    """Which link of which message."""

    subscriber_id: int
    message_id: int
    index: int


class Links:
    """Stands for `link` while one message is rendered; `targets` are where its links lead."""

    def __init__(self) -> None:
        self.targets: list[str] = []

    def __call__(self, url: str) -> str:
        """The address, which is remembered. RenderError for what is no web address."""
        url = url.strip()
        if len(url) > _LONGEST or not _URL.fullmatch(url):
            raise RenderError("link: this is no web address", "write link('https://…')")
        if url not in self.targets:
            if len(self.targets) == MOST:
                raise RenderError(f"there are more than {MOST} links", "split the message")
            self.targets.append(url)
        return url


def rendered(
    wordings: MessageTemplate, word: str, locale: str, variables: Mapping[str, Any]
) -> Content:
    """The message for one channel word, with the links that are to be tracked. RenderError."""
    links = Links()
    content = wordings.render(word, locale, {**variables, "link": links})
    return replace(content, links=tuple(links.targets)) if links.targets else content


def tracked(
    content: Content, site: str, subscriber_id: int, message_id: int, secret: bytes
) -> Content:
    """The content with short addresses below `site` (`https://go.example`) in place of its links,
    which it keeps in `links`."""
    places = {
        url: f"{site}{PATH}{sign(Link(subscriber_id, message_id, index), secret)}"
        for index, url in enumerate(content.links)
    }
    # The longest first, and none that is only the beginning of another address.
    known = "|".join(re.escape(url) for url in sorted(places, key=len, reverse=True))
    found = re.compile(f"(?:{known})(?![A-Za-z0-9_/?&=%#~-])")

    def written(text: str) -> str:
        return found.sub(lambda url: places[url[0]], text)

    return replace(
        content,
        text=written(content.text),
        subject=written(content.subject),
        href=written(content.href),
        buttons=tuple(Button(it.label, written(it.reply)) for it in content.buttons),
    )


def sign(link: Link, secret: bytes) -> str:
    """The link's token: letters and digits, 40 bits of them an HMAC under `secret`."""
    number = link.subscriber_id << _MESSAGE_BITS | link.message_id
    return _written((number << _INDEX_BITS | link.index) << _MAC_BITS | _mac(link, secret))


def read(token: str, secret: bytes) -> Link | None:
    """The link of a token that we signed, or None."""
    if not 0 < len(token) <= _LONGEST_TOKEN or not _VALUES.keys() >= set(token):
        return None
    number = 0
    for digit in token:
        number = number * len(_DIGITS) + _VALUES[digit]
    number, mac = number >> _MAC_BITS, number & (1 << _MAC_BITS) - 1
    number, index = number >> _INDEX_BITS, number & (1 << _INDEX_BITS) - 1
    link = Link(number >> _MESSAGE_BITS, number & (1 << _MESSAGE_BITS) - 1, index)
    if link.subscriber_id >= 1 << 63:
        return None
    size = _MAC_BITS // 8
    right = _mac(link, secret).to_bytes(size)
    return link if hmac.compare_digest(right, mac.to_bytes(size)) else None


def _mac(link: Link, secret: bytes) -> int:
    signed = f"link:{link.subscriber_id}:{link.message_id}:{link.index}"
    return int.from_bytes(hmac.digest(secret, signed.encode(), "sha256")[: _MAC_BITS // 8])


def _written(number: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
