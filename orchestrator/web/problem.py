"""Errors as RFC 9457 problem details: what is wrong and what to do, never how we are built."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct
from redis.exceptions import RedisError

from orchestrator.core.errors import OutreachError
from orchestrator.runtime.streams import FullError
from orchestrator.store.failures import TRANSIENT

log = logging.getLogger("outreach.web")

_AWAY = (TimeoutError, RedisError, *TRANSIENT)
"""PostgreSQL or Redis cannot be reached, is restarting, has no room, or ended one of two requests
that waited for each other."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Flaw(Struct, frozen=True, omit_defaults=True):
    """What is wrong with one item of a batch: its position, from 0, and the field."""

    index: int
    field: str
    detail: str


class ProblemError(Exception):
    """The request is answered with this problem."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        flaws: Sequence[Flaw] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.flaws = flaws
        self.headers = headers or {}
        self.more = more or {}

    def response(self) -> web.Response:
        """As `application/problem+json`."""
        said: dict[str, Any] = {"type": "about:blank", "title": self.title, "status": self.status}
        if self.detail:
            said["detail"] = self.detail
        if self.flaws:
            said["errors"] = self.flaws
        said |= self.more
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(said),
            content_type="application/problem+json",
            headers=self.headers,
        )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong is answered as a problem. Pages and sockets of channels keep their own
    plain refusals."""
    try:
        return await handler(request)
    except ProblemError as problem:
        return problem.response()
    except FullError as full:
        retry = {"Retry-After": str(max(1, round(full.retry_s)))}
        detail = "Nothing of it was taken: send the same again in a moment."
        return ProblemError(429, "Too many events wait", detail, headers=retry).response()
    except OutreachError as error:
        return ProblemError(422, error.message, error.hint).response()
    except web.HTTPException as refusal:
        if refusal.status < 400 or not request.path.startswith("/v1/"):
            raise
        return _translated(refusal).response()
    except web.RequestPayloadError:
        return ProblemError(
            400, "The body cannot be read", "It is cut short, or not coded as its headers say."
        ).response()
    except Exception as error:
        return _unexpected(request, error).response()


def _translated(refusal: web.HTTPException) -> ProblemError:
    hints = {
        404: "The paths are those of /v1/openapi.json.",
        413: "Send fewer items at a time.",
    }
    allow = refusal.headers.get("Allow")
    return ProblemError(
        refusal.status,
        HTTPStatus(refusal.status).phrase,
        hints.get(refusal.status, f"Use {allow}." if allow else ""),
        headers={"Allow": allow} if allow else None,
    )


def _unexpected(request: web.Request, error: Exception) -> ProblemError:
    """Logged by where it happened: an error's own words may quote a number or a text."""
    incident = secrets.token_hex(6)
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "request_failed incident=%s method=%s error=%s at=%s",
        incident,
        request.method,
        type(error).__name__,
        " < ".join(f"{it.filename}:{it.lineno}" for it in reversed(frames[-6:])),
    )
    if isinstance(error, _AWAY):
        return ProblemError(
            503,
            "Not available just now",
            f"Nothing was lost: send the same again in a moment. Incident {incident}.",
            headers={"Retry-After": "2"},
        )
    return ProblemError(500, "That should not have happened", f"Our log has it as {incident}.")
