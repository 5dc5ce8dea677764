"""Logs: one line per event on stderr, `key=value`, without phone numbers or bodies."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
import traceback
from typing import Any, TextIO

OURS = ("orchestrator", "channels", "bot", "outreach")
"""Loggers whose messages are events already: `name key=value …`."""

_QUIET = {
    "arq": logging.WARNING,
    "aiohttp.access": logging.CRITICAL,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "telegram": logging.CRITICAL,
}
"""Others say at least so much: arq writes arguments at INFO, an access log the keys in paths, httpx
the bot's token, python-telegram-bot what is said."""

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_EVENT = re.compile(r"[a-z][a-z0-9_]*( [a-z][a-z0-9_]*=\S*)*")
_LONG_NUMBER = re.compile(r"\+?\d{7,}")


def set_up_logs(level: int, stream: TextIO | None = None) -> None:
    """From now on everything at `level` or above is written to `stream`, by default stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Logfmt())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(level, least))


class Logfmt(logging.Formatter):
    """`at=… level=… from=… event key=value`. Of an exception it shows the type and where it came
    from; what it says may quote a subscriber, and stands in their timeline instead."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        message = _escaped(record.getMessage())
        if record.name.partition(".")[0] not in OURS:
            message = _LONG_NUMBER.sub("…", message)
        parts = [
            f"at={moment}.{int(record.msecs):03d}Z",
            f"level={record.levelname.lower()}",
            f"from={record.name}",
            message if _EVENT.fullmatch(message) else f"said={_quoted(message)}",
        ]
        parts += [
            f"{name}={_quoted(_escaped(str(value)))}"
            for name, value in vars(record).items()
            if name not in _PLAIN
        ]
        if record.exc_info and record.exc_info[1] is not None:
            parts += _about(record.exc_info[1])
        return " ".join(parts)


def log_loop_errors(loop: asyncio.AbstractEventLoop) -> None:
    """What the loop has to say of forgotten failures goes to the log, without what they said."""
    log = logging.getLogger("outreach.loop")

    def handle(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        log.error("loop_error", exc_info=error, extra={"what": context.get("message", "")})

    loop.set_exception_handler(handle)


def _about(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    trail = " < ".join(
        f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno}" for frame in reversed(frames)
    )
    return [f"error={type(error).__name__}", *([f'trace="{trail}"'] if trail else [])]


def _quoted(text: str) -> str:
    if text and " " not in text and '"' not in text and "=" not in text:
        return text
    return '"' + text.replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
