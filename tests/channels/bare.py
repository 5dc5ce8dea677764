"""A bare socket that somebody plays by hand."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


@asynccontextmanager
async def listening(
    play: Callable[[StreamReader, StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A listening port; `play` is the part on each connection, then it hangs up."""
    failures: list[BaseException] = []

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        try:
            await play(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if failures:
            raise failures[0]
