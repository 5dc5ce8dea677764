"""What a log line looks like, and what it never holds."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest

from orchestrator.runtime.logs import Logfmt, log_loop_errors

NUMBER, WORDS = "+8613800138000", "dear canary"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Logfmt())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def test_an_event_of_ours_is_keys_and_values(stream: io.StringIO) -> None:
    log = logging.getLogger("orchestrator.runtime.turn")
    log.info("turn_taken subscribers=%d", 500, extra={"lane": "a b"})
    line = stream.getvalue()
    assert line.startswith("at=20")
    assert 'from=orchestrator.runtime.turn turn_taken subscribers=500 lane="a b"\n' in line


def test_what_others_say_stays_on_one_line_and_without_numbers(stream: io.StringIO) -> None:
    logging.getLogger("some.library").warning("sending\nto %s\x1b[31m now", NUMBER)
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert 'said="sending\\nto …\\x1b[31m now"' in line


def test_of_an_exception_the_log_has_its_kind_and_place_not_its_words(stream: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError(f"{NUMBER} wrote {WORDS}")

    try:
        fail()
    except ValueError:
        logging.getLogger("orchestrator").exception("decision_failed subscriber=%d", 7)
    line = stream.getvalue()
    assert 'decision_failed subscriber=7 error=ValueError trace="cli/test_logs.py:' in line
    assert NUMBER not in line
    assert WORDS not in line


async def test_a_forgotten_failure_is_logged_without_its_words(stream: io.StringIO) -> None:
    loop = asyncio.get_running_loop()
    log_loop_errors(loop)
    try:
        loop.call_exception_handler({"message": "lost", "exception": ValueError(WORDS)})
    finally:
        loop.set_exception_handler(None)
    assert "loop_error what=lost error=ValueError" in stream.getvalue()
    assert WORDS not in stream.getvalue()
