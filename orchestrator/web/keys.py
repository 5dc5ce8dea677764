"""Who may use the API: holders of a key, each for what the key is good for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web
from aiohttp.typedefs import Middleware

from orchestrator.runtime.settings import ApiKey
from orchestrator.web.problem import Handler, ProblemError

HOLDER = web.RequestKey("holder", str)
"""Where a request says whose key it came with, by its name."""


def key_name(key: str) -> str:
    """What a key is called where it must not be told: `api-key:` and the first eight digits of its
    SHA-256, which say nothing of a key of 16 random characters."""
    return f"api-key:{_digest(key).hex()[:8]}"


def scope_of(method: str, path: str) -> str:
    """What a key must be good for to be let in here; '': any key is."""
    if path == "/v1/events":
        return "events"
    if path.startswith("/v1/desk/"):
        return "desk"
    if path.startswith("/v1/subscribers"):
        return "read" if method in ("GET", "HEAD") else "subscribers"
    return ""


def key_holders(
    api_keys: Collection[ApiKey], admitted: Callable[[str], Awaitable[None]]
) -> Middleware:
    """Only bearers of a key pass to `/v1/`, and only to what it is good for. Digests are compared,
    all of them, in constant time."""
    known = [(_digest(it.key), it.scopes) for it in api_keys]

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v1/"):
            return await handler(request)
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        digest = _digest(key.strip())
        matches = [scopes for it, scopes in known if hmac.compare_digest(digest, it)]
        if scheme.lower() != "bearer" or not matches:
            raise ProblemError(
                401,
                "An API key is needed",
                "Send it as `Authorization: Bearer KEY`.",
                headers={"WWW-Authenticate": 'Bearer realm="outreach"'},
            )
        scope = scope_of(request.method, request.path)
        if scope and not any(scope in scopes for scopes in matches):
            good = " and ".join(sorted(frozenset[str]().union(*matches)))
            raise ProblemError(
                403,
                f"The key is not good for `{scope}`",
                f"It is good for: {good}. Whoever runs this gives keys out: OUTREACH_API_KEYS.",
            )
        request[HOLDER] = key_name(key.strip())
        await admitted(request[HOLDER])
        return await handler(request)

    return admit


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
