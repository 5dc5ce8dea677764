"""A message as a phone plays it: SMIL (the MMS profile, OMA MMS Conformance §8.1), its picture and
its words."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from channels.mms.parcel import Part
from channels.pictures import Fitted

SMIL = "application/smil"
START = "smil"
_SHOWN_S = 8
_NAMES = {"image/png": "image.png", "image/jpeg": "image.jpg", "image/gif": "image.gif"}


def slides(text: str, picture: Fitted | None, width: int, height: int) -> list[Part]:
    """The parts, the presentation first. ValueError for a text that UTF-8 cannot carry."""
    parts: list[Part] = []
    if picture is not None:
        name = _NAMES[picture.mime]
        parts.append(Part(picture.mime, picture.octets, name, name))
    if text:
        parts.append(Part("text/plain; charset=utf-8", text.encode(), "text.txt", "text.txt"))
    presentation = _smil([it.name for it in parts], width, height)
    return [Part(f"{SMIL}; charset=utf-8", presentation.encode(), START, "start.smil"), *parts]


def _smil(names: list[str], width: int, height: int) -> str:
    """One slide: the picture above, the words below."""
    shown = [("text" if it.endswith(".txt") else "img", it) for it in names]
    share = {"img": height * 2 // 3, "text": height // 3} if len(shown) > 1 else {}
    regions, items, top = "", "", 0
    for tag, name in shown:
        tall = share.get(tag, height)
        region = "Text" if tag == "text" else "Image"
        fit = "" if tag == "text" else ' fit="meet"'
        regions += (
            f'<region id="{region}" left="0" top="{top}" width="{width}" height="{tall}"{fit}/>'
        )
        items += f"<{tag} src={quoteattr(name)} region={quoteattr(region)}/>"
        top += tall
    return (
        f'<smil><head><layout><root-layout width="{width}" height="{height}"/>{regions}</layout>'
        f'</head><body><par dur="{_SHOWN_S}s">{items}</par></body></smil>'
    )
