"""What `channels.yaml` may say of a WeChat official account."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class WeChatSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`app_id` and `app_secret`: the account's, from its console; take the secret from the
    environment. `token`: what was typed there for the callback's signature. `aes_key`: the
    EncodingAESKey, 43 letters, if messages are encrypted.

    `public_url`: how they reach the web processes, `https://outreach.example`, for
    `outreach channels` to print. `path` is where callbacks come in. `hold_s`: how long a callback
    is held for the answer, which then costs no quota; WeChat waits five seconds. `api_url`:
    another API server. `connections`: requests under way at once. `deadline_s`: after that an
    outcome is unknown. `probe_s`: how often we look whether the API is there.
    """

    app_id: Annotated[str, Meta(pattern=r"^[\w-]{4,64}$")]
    app_secret: Annotated[str, Meta(min_length=1, max_length=200)]
    token: Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{3,32}$")]
    aes_key: Annotated[str, Meta(pattern=r"^([A-Za-z0-9+/]{43})?$")] = ""
    public_url: Annotated[str, Meta(pattern=r"^(https?://.+)?$")] = ""
    path: Annotated[str, Meta(pattern=r"^/[\w/-]+$")] = "/wechat"
    hold_s: Annotated[float, Meta(ge=0, le=4.8)] = 4.5
    api_url: Annotated[str, Meta(pattern=r"^https?://.+$")] = "https://api.weixin.qq.com"
    connections: Annotated[int, Meta(ge=1, le=1000)] = 20
    deadline_s: Annotated[float, Meta(gt=0)] = 10.0
    probe_s: Annotated[float, Meta(gt=0)] = 60.0

    def __repr__(self) -> str:
        return f"WeChatSettings({self.app_id})"
