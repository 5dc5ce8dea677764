"""A bare socket that somebody plays by hand."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from channels.sms.wire import stop_listening

PATIENCE_S = 5.0
"""What somebody who plays has to find that the other end hung up."""


@asynccontextmanager
async def listening(
    play: Callable[[StreamReader, StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A listening port; `play` is the part on each connection, then it hangs up. Whoever still
    plays when the block has ended is heard out; everything is closed afterwards."""
    playing: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        playing.add(task)
        try:
            await play(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await stop_listening(server)
        if playing:
            _, late = await asyncio.wait(playing, timeout=PATIENCE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late)
        if failures:
            raise failures[0]
