"""`POST /v1/events`: one event, a list of them, or a stream, of any length, of one a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiohttp import web
from msgspec import Raw, Struct

from orchestrator.runtime.reports import (
    Broken,
    CheckedShape,
    EventShape,
    Taken,
    count_lines,
    quick_lines,
    quick_list,
    read_lines,
)
from orchestrator.runtime.streams import FullError
from orchestrator.web.problem import ProblemError
from orchestrator.web.shapes import read_batch, refuse_many

Take = Callable[[Sequence[EventShape], Sequence[Broken], Sequence[int] | None], Awaitable[Taken]]
"""Deals with reports and broken ones, given the position of each report: see `Intake.take`."""

LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")

MAX_EVENT_OCTETS = 1024 * 1024
"""Of one event, as a line, alone or in a list."""

_raws = msgspec.json.Decoder(list[Raw]).decode

PATIENCE_S = 20.0
"""A stream that cannot go on, since too many events wait, is held for so long before it is told."""

MOST_POSITIONS = 1_000
"""Of a stream, so many positions are told of each kind."""


class Streamed(Struct, frozen=True):
    """What became of a stream: how many `lines` were read, and of these how many events were
    `stored`, `known`, `queued` and `unmatched`, as of a batch; how many were `set_aside`, or about
    `strangers`, and at which lines, counted from 0, the first thousand of each were."""

    lines: int
    stored: int = 0
    known: int = 0
    queued: int = 0
    unmatched: int = 0
    set_aside: int = 0
    strangers: int = 0
    set_aside_at: tuple[int, ...] = ()
    strangers_at: tuple[int, ...] = ()

    def more(self, lines: int, taken: Taken) -> Streamed:
        """With so many more lines."""
        return Streamed(
            lines=self.lines + lines,
            stored=self.stored + taken.stored,
            known=self.known + taken.known,
            queued=self.queued + taken.queued,
            unmatched=self.unmatched + taken.unmatched,
            set_aside=self.set_aside + len(taken.set_aside),
            strangers=self.strangers + len(taken.strangers),
            set_aside_at=(*self.set_aside_at, *taken.set_aside)[:MOST_POSITIONS],
            strangers_at=(*self.strangers_at, *taken.strangers)[:MOST_POSITIONS],
        )


def post_events(take: Take) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler, which hands what is reported to `take`."""

    async def post(request: web.Request) -> web.Response:
        if request.content_type in LINES:
            return _answer(await _stream(request, take))
        return _answer(await take(_read(await request.read()), (), None))

    return post


def _read(body: bytes) -> Sequence[EventShape]:
    """The events of a body, all or none. Raises ProblemError as `read_batch`, and 413 if one is too
    long."""
    if len(body) > MAX_EVENT_OCTETS:
        _refuse_long(body)
    shapes = quick_list(body)
    if shapes is None:
        return read_batch(body, CheckedShape)
    refuse_many(shapes)
    return shapes


def _refuse_long(body: bytes) -> None:
    """Raises ProblemError (413) if one event of this body is too long. What is no JSON, others
    refuse."""
    body = body.strip()
    if body[:1] != b"[":
        if len(body) > MAX_EVENT_OCTETS:
            raise _too_long("The event", "It was not taken.")
        return
    try:
        items = _raws(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for position, item in enumerate(items):
        if memoryview(item).nbytes > MAX_EVENT_OCTETS:
            raise _too_long(f"Event {position}", "Nothing was taken.")


def _too_long(what: str, detail: str, **more: Streamed) -> ProblemError:
    return ProblemError(413, f"{what} is longer than {MAX_EVENT_OCTETS} octets", detail, more=more)


async def _stream(request: web.Request, take: Take) -> Streamed:
    """Lines are dealt with as they come. Nobody reads on while they are: a sender who is too fast
    finds that the connection takes no more."""
    done = Streamed(0)
    rest = b""
    async for octets in request.content.iter_any():
        lines, end, rest = (rest + octets).rpartition(b"\n")
        whole = lines + end
        fit = len(whole) if len(whole) <= MAX_EVENT_OCTETS else _fitting(whole)
        if fit:
            done = await _take(whole[:fit], done, take)
        if fit < len(whole) or len(rest) > MAX_EVENT_OCTETS:
            raise _too_long(f"Line {done.lines}", "All lines before it were taken.", taken=done)
    return await _take(rest, done, take) if rest else done


def _fitting(lines: bytes) -> int:
    """How many octets of these whole lines stand before the first that is too long."""
    fit = 0
    for line in lines.removesuffix(b"\n").split(b"\n"):
        if len(line) > MAX_EVENT_OCTETS:
            break
        fit += len(line) + 1
    return fit


async def _take(lines: bytes, done: Streamed, take: Take) -> Streamed:
    shapes: Sequence[EventShape] | None = quick_lines(lines)
    positions: Sequence[int] = range(done.lines, done.lines + len(shapes or ()))
    broken: Sequence[Broken] = ()
    if shapes is None:
        read, broken = read_lines(lines, done.lines)
        shapes, positions = [it for _, it in read], [at for at, _ in read]
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            taken = await take(shapes, broken, positions)
        except FullError as full:
            if time.monotonic() > until:
                raise ProblemError(
                    429,
                    "Too many events wait",
                    f"The first {done.lines} lines were taken: send the others again, or all.",
                    headers={"Retry-After": str(max(1, round(full.retry_s)))},
                    more={"taken": done},
                ) from None
            await asyncio.sleep(full.retry_s)
        else:
            return done.more(count_lines(lines), taken)


def _answer(counts: Taken | Streamed) -> web.Response:
    return web.Response(
        status=202,
        body=msgspec.json.encode(counts),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
