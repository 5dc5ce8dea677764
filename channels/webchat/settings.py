"""What `channels.yaml` may say of the web chat."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class WebChatSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path` is where the page stands. `https: true` if it is only reached by HTTPS. `origins`:
    sites (`https://chat.example`) whose pages may connect besides our own."""

    path: Annotated[str, Meta(pattern=r"^/[\w/-]+$")] = "/chat"
    https: bool = False
    origins: tuple[str, ...] = ()
