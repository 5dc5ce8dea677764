"""What `channels.yaml` may say of a WhatsApp business number."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from orchestrator.core.errors import OutreachError

GAP = re.compile(r"\{\{\s*(\w+)\s*\}\}")
LANGUAGE = r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$"


class Approved(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template that Meta has approved. `name` and `language` are those of the console, `body` its
    words there, with `{{1}}` or `{{name}}` for what differs. `image`: a picture stands above it.
    `buttons`: the labels of its quick replies, in order."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Meta(pattern=LANGUAGE)]
    body: Annotated[str, Meta(min_length=1, max_length=1024)]
    image: bool = False
    buttons: Annotated[tuple[str, ...], Meta(max_length=10)] = ()

    def __post_init__(self) -> None:
        gaps = GAP.findall(self.body)
        if len({it.isdigit() for it in gaps}) > 1:
            raise OutreachError(
                f"the template {self.name} has gaps with numbers and with names",
                "write its body as it stands in Meta's console",
            )


class WhatsAppSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`phone_number_id`: the number's id in Meta's console. `access_token`: of a system user who
    may send; `app_secret`: of the app, which signs webhooks; take both from the environment.
    `verify_token`: what was typed into the console beside the webhook's address.

    `public_url`: how they reach the web processes, `https://outreach.example`, for
    `outreach channels` to print. `path` is where webhooks come in. `number`: the number itself,
    in digits, for links that open the chat. `templates`: what may go to those who have not written
    for 24 hours: a message whose words are those of a template's `body` goes as that template.
    `template`: the name of one whose body is `{{1}}`, in `template_language`, for all other words;
    without it they go as they are, and are refused. `menu`: what stands on the button that opens a
    list of more than three buttons. `graph_url`: another Graph API server; `version`: its version.
    `connections`: requests under
    way at once. `deadline_s`: after that an outcome is unknown. `probe_s`: how often we look
    whether the API is there.
    """

    phone_number_id: Annotated[str, Meta(pattern=r"^\d{5,30}$")]
    access_token: Annotated[str, Meta(min_length=1, max_length=1000)]
    app_secret: Annotated[str, Meta(min_length=8, max_length=200)]
    verify_token: Annotated[str, Meta(min_length=8, max_length=200)]
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    path: Annotated[str, Meta(pattern=r"^/[\w/-]+$")] = "/whatsapp"
    number: Annotated[str, Meta(pattern=r"^(\d{6,15})?$")] = ""
    templates: tuple[Approved, ...] = ()
    template: Annotated[str, Meta(pattern=r"^[a-z0-9_]{0,512}$")] = ""
    template_language: Annotated[str, Meta(pattern=LANGUAGE)] = "en"
    menu: Annotated[str, Meta(min_length=1, max_length=20)] = "☰"
    graph_url: Annotated[str, Meta(pattern=r"^https?://.+$")] = "https://graph.facebook.com"
    version: Annotated[str, Meta(pattern=r"^v\d+\.\d+$")] = "v23.0"
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    deadline_s: Annotated[float, Meta(gt=0)] = 15.0
    probe_s: Annotated[float, Meta(gt=0)] = 60.0

    @property
    def approved(self) -> tuple[Approved, ...]:
        """All templates: those with buttons and a picture first, the one for any words last."""
        richest = sorted(self.templates, key=lambda it: (not it.buttons, not it.image))
        if not self.template:
            return tuple(richest)
        any_words = Approved(name=self.template, language=self.template_language, body="{{1}}")
        return (*richest, any_words)

    def __repr__(self) -> str:
        return f"WhatsAppSettings(number {self.phone_number_id})"


def chat_link(settings: WhatsAppSettings, words: str) -> str:
    """The address that opens the chat with `LINK words` ready to be sent (WhatsApp, "Click to
    chat"). Raises OutreachError if nothing says which number it is."""
    if not settings.number:
        raise OutreachError("nothing says which number it is", "write `number: '8613800138000'`")
    return f"https://wa.me/{settings.number}?text=LINK%20{words}"
