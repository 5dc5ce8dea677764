"""The API as an OpenAPI 3.1 document, made of the very shapes that requests are read by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from orchestrator.core.dossier import Dossier
from orchestrator.core.model import DESK_CHANNELS
from orchestrator.runtime.counter import Honoured
from orchestrator.runtime.inviting import Invitation
from orchestrator.runtime.reports import EventShape, Taken, Word
from orchestrator.store.erasure import Holdings
from orchestrator.store.timeline import Timeline
from orchestrator.web.codes import ShownCode
from orchestrator.web.desk import Release, Said, Shown, Standing, Take
from orchestrator.web.events import LINES, MAX_EVENT_OCTETS, Streamed
from orchestrator.web.invitations import InvitationShape
from orchestrator.web.problem import Flaw
from orchestrator.web.shapes import MAX_ITEMS, SubscriberShape

PATH = "/v1/openapi.json"


class Problem(Struct, frozen=True):
    """What is wrong, as RFC 9457 says it; `errors` names each flaw of a batch."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: tuple[Flaw, ...] = ()


class Added(Struct, frozen=True):
    """How many subscribers were made and how many were known."""

    made: int
    known: int


class Erased(Struct, frozen=True):
    """What there was of a subscriber, and is no more."""

    erased: Holdings


class Invited(Invitation, frozen=True, omit_defaults=True):
    """The invitation; `qr` is its link as SVG, if that was asked for."""

    qr: str = ""


class Alive(Struct, frozen=True):
    """The process answers."""

    alive: bool


class Ready(Struct, frozen=True):
    """Whether the process reaches all it needs, and what it does not."""

    ready: bool
    waiting_for: tuple[str, ...]


_SPOKEN = (
    EventShape,
    SubscriberShape,
    Taken,
    Streamed,
    Added,
    Timeline,
    Dossier,
    Erased,
    Alive,
    Ready,
    Problem,
    Take,
    Release,
    Said,
    Shown,
    Standing,
    ShownCode,
    Honoured,
    InvitationShape,
    Invited,
)
_REASONS = {
    400: "The body is not JSON.",
    401: "No API key, or an unknown one.",
    403: "The key is not good for this.",
    404: "There is no such subscriber.",
    409: "It belongs to somebody else, or is over, or the request was another one before; nothing "
    "was stored.",
    413: f"More than {MAX_ITEMS} items, or too many octets: one event has at most "
    f"{MAX_EVENT_OCTETS}, however it comes.",
    422: "Something is not as it must be; nothing was stored.",
    429: "Too many events wait for matchers; nothing was taken: send it again after Retry-After.",
    500: "A mistake of ours; the log has it under the incident that is named.",
    503: "PostgreSQL or Redis is away: the same request again helps.",
}


_EVENTS = (
    "One event, or up to a thousand in a list, whole or not at all; or a stream of lines. Each "
    "names its subscriber by your `subscriber` key or by their telephone `number`. The same "
    "`source_id` twice is one event. What is not as its type is declared is set aside, and counted."
)
_STREAM = (
    "NDJSON: one event a line, as many as you like. It is read as it comes, and slowly if too much "
    "waits. A line that cannot be read is set aside; the answer counts the lines that were."
)


@cache
def document() -> Mapping[str, Any]:
    """The whole document, as plain data."""
    (*schemas,), components = msgspec.json.schema_components(
        _SPOKEN, ref_template="#/components/schemas/{name}"
    )
    by_kind = dict(zip(_SPOKEN, schemas, strict=True))
    # Of the two ways to say whom an event is about, it takes one.
    number = components["EventShape"]["properties"]["number"]
    number["anyOf"] = [it for it in number["anyOf"] if it["type"] != "number"]
    components["EventShape"]["oneOf"] = [{"required": ["subscriber"]}, {"required": ["number"]}]

    def answer(kind: type[Struct], description: str) -> dict[str, Any]:
        return _content(by_kind[kind], description)

    def either(one: type[Struct], other: type[Struct], description: str) -> dict[str, Any]:
        return _content({"anyOf": [by_kind[one], by_kind[other]]}, description)

    def problems(*statuses: int) -> dict[str, Any]:
        return {
            str(status): _content(
                by_kind[Problem], _REASONS[status], "application/problem+json"
            )
            for status in statuses
        }  # fmt: skip

    def sent(kind: type[Struct]) -> dict[str, Any]:
        return {"required": True, "content": {"application/json": {"schema": by_kind[kind]}}}

    def post(summary: str, kind: type[Struct], answers: dict[str, Any]) -> dict[str, Any]:
        one = by_kind[kind]
        batch = {"type": "array", "items": one, "maxItems": MAX_ITEMS}
        body = {"application/json": {"schema": {"anyOf": [one, batch]}}}
        return {
            "summary": summary,
            "description": (kind.__doc__ or "").replace("\n", " "),
            "requestBody": {"required": True, "content": body},
            "responses": answers,
        }

    events = post(
        "Something happened to subscribers.",
        EventShape,
        {
            "202": either(Taken, Streamed, "It will survive a crash: what is to be done follows."),
            **problems(400, 401, 403, 413, 422, 429, 500, 503),
        },
    )
    one_or_several = events["requestBody"]["content"]
    stream = {LINES[0]: {"schema": {"type": "string", "description": _STREAM}}}
    key = {
        "name": "key",
        "in": "path",
        "required": True,
        "description": "Your own key of them, a phone number, or an address like `webchat:ann`.",
        "schema": msgspec.json.schema(Word),
    }
    desk = {
        "name": "channel",
        "in": "path",
        "required": True,
        "description": "Calls to make, or whoever comes to the counter.",
        "schema": {"type": "string", "enum": [*DESK_CHANNELS]},
    }
    item = {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "As `next` named it.",
        "schema": msgspec.json.schema(Word),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Outreach",
            "version": "1",
            "summary": "Tell what happens to subscribers; ask what was done about it.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/events": {
                "post": {
                    **events,
                    "description": _EVENTS,
                    "requestBody": {"required": True, "content": {**one_or_several, **stream}},
                }
            },
            "/v1/subscribers": {
                "post": post(
                    "These are subscribers.",
                    SubscriberShape,
                    {
                        "200": answer(Added, "Stored."),
                        **problems(400, 401, 403, 409, 413, 422, 500, 503),
                    },
                )
            },
            "/v1/subscribers/{key}": {
                "get": {
                    "summary": "What became of a subscriber.",
                    "parameters": [key],
                    "responses": {
                        "200": answer(Timeline, "Who they are, and their story."),
                        **problems(401, 403, 404, 500, 503),
                    },
                },
                "delete": {
                    "summary": "A subscriber is erased; their opt-outs stay, under a key.",
                    "parameters": [key],
                    "responses": {
                        "200": answer(Erased, "They are gone, and this is what there was."),
                        **problems(401, 403, 404, 500, 503),
                    },
                },
            },
            "/v1/subscribers/{key}/export": {
                "get": {
                    "summary": "All that is held about a subscriber.",
                    "parameters": [key],
                    "responses": {
                        "200": answer(Dossier, "Everything."),
                        **problems(401, 403, 404, 500, 503),
                    },
                }
            },
            "/v1/subscribers/{key}/invitations": {
                "post": {
                    "summary": "A link that makes a chat this subscriber's.",
                    "parameters": [key],
                    "requestBody": sent(InvitationShape),
                    "responses": {
                        "201": answer(Invited, "Good once, and for a while."),
                        **problems(400, 401, 403, 404, 409, 422, 500, 503),
                    },
                }
            },
            "/v1/desk/{channel}/next": {
                "post": {
                    "summary": "Take the first item that nobody has.",
                    "parameters": [desk],
                    "requestBody": sent(Take),
                    "responses": {
                        "200": answer(Shown, "It is reserved for you."),
                        "204": {"description": "There is none."},
                        **problems(400, 401, 403, 404, 422, 500, 503),
                    },
                }
            },
            "/v1/desk/{channel}/subscribers/{key}": {
                "get": {
                    "summary": "What may be spoken of with whoever stands there.",
                    "parameters": [desk, key],
                    "responses": {
                        "200": _content({"type": "array", "items": by_kind[Shown]}, "These."),
                        **problems(401, 403, 404, 500, 503),
                    },
                }
            },
            "/v1/desk/items/{id}/outcome": {
                "post": {
                    "summary": "Say what came of an item.",
                    "parameters": [item],
                    "requestBody": sent(Said),
                    "responses": {
                        "200": answer(Standing, "It is known."),
                        **problems(400, 401, 403, 404, 409, 422, 500, 503),
                    },
                }
            },
            "/v1/desk/items/{id}/release": {
                "post": {
                    "summary": "Give an item back.",
                    "parameters": [item],
                    "requestBody": sent(Release),
                    "responses": {
                        "200": answer(Standing, "Somebody else may take it."),
                        **problems(400, 401, 403, 404, 409, 422, 500, 503),
                    },
                }
            },
            "/v1/desk/counter/codes": {
                "post": {
                    "summary": "Use the code of somebody who comes for what their points bought.",
                    "requestBody": sent(ShownCode),
                    "responses": {
                        "200": answer(Honoured, "What became of it."),
                        **problems(400, 401, 403, 404, 409, 422, 500, 503),
                    },
                }
            },
            PATH: {
                "get": {
                    "summary": "This document.",
                    "responses": {
                        "200": _content({"type": "object"}, "OpenAPI 3.1."),
                        **problems(401),
                    },
                }
            },
            "/livez": {
                "get": {
                    "summary": "Is the process alive?",
                    "security": [],
                    "responses": {"200": answer(Alive, "It is.")},
                }
            },
            "/readyz": {
                "get": {
                    "summary": "Does it reach all it needs?",
                    "security": [],
                    "responses": {
                        "200": answer(Ready, "It does."),
                        "503": answer(Ready, "It does not."),
                    },
                }
            },
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _content(
    schema: Mapping[str, Any], description: str, kind: str = "application/json"
) -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}
