"""What `channels.yaml` may say of a Telegram bot."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from orchestrator.core.errors import OutreachError


class TelegramSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`token`: what BotFather gave for the bot, `123456:ABC…`; take it from the environment.

    `mode`: `webhook` if Telegram can call us, for web processes; `polling` if not, as on a laptop:
    then one gateway holds the bot. `public_url`: how Telegram reaches the web processes,
    `https://outreach.example`; the webhook is set there at every start. Without it somebody else
    sets it. `path` is where updates come in. `bot`: the bot's name without `@`, for links that
    open it. `api_url`: another Bot API server, `proxy`: the way to it. `rate_per_s`: messages a
    second to all (Telegram allows 30), per web process. `gap_s`: seconds between two to the same
    person, beyond a burst of three. `connections`: requests under way at once. `deadline_s`:
    after that an outcome is unknown. `poll_s`: how long one poll waits. `probe_s`: how often we
    look whether the Bot API is there.
    """

    token: Annotated[str, Meta(pattern=r"^\d{1,20}:[\w-]{1,100}$")]
    mode: Literal["webhook", "polling"] = "webhook"
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    path: Annotated[str, Meta(pattern=r"^/[\w/-]+$")] = "/telegram"
    bot: Annotated[str, Meta(pattern=r"^(\w{4,32})?$")] = ""
    api_url: Annotated[str, Meta(pattern=r"^https?://.+$")] = "https://api.telegram.org"
    proxy: str = ""
    rate_per_s: Annotated[float, Meta(gt=0)] = 30.0
    gap_s: Annotated[float, Meta(ge=0)] = 1.0
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    deadline_s: Annotated[float, Meta(gt=0)] = 15.0
    poll_s: Annotated[int, Meta(ge=0, le=50)] = 30
    probe_s: Annotated[float, Meta(gt=0)] = 60.0

    def __post_init__(self) -> None:
        if self.mode == "polling" and self.public_url:
            raise OutreachError(
                "a bot that is polled has no webhook", "leave out `public_url:` or `mode: polling`"
            )

    def __repr__(self) -> str:
        return f"TelegramSettings(bot {self.bot_id}, {self.mode})"

    @property
    def bot_id(self) -> str:
        """The bot's own number, which is no secret."""
        return self.token.partition(":")[0]


def start_link(settings: TelegramSettings, words: str) -> str:
    """The address that opens the bot and has the person say `/start WORDS` (Bot API, "Deep
    linking"). `words`: up to 64 of `A-Za-z0-9_-`. Raises OutreachError if the bot has no name."""
    if not settings.bot:
        raise OutreachError("nothing says what the bot is called", "write `bot: our_bot`")
    return f"https://t.me/{settings.bot}?start={words}"
