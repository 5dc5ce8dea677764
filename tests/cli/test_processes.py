"""The processes one by one, as systemd runs them: ready, standing by, ended."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from channels.carriers.smsc import Smsc
from orchestrator.cli.carrier import smpp_url
from tests.cli.shell import OUTREACH, clean_env, eventually


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - what is waited for is in another process
            await asyncio.sleep(0.05)


class Started:
    """A process, what it wrote, and what it told its starter."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, told: socket.socket) -> None:
        self.process = process
        self._log = log
        self._told = told

    @property
    def written(self) -> str:
        return self._log.read_text()

    def ready(self) -> bool:
        assert self.process.poll() is None, self.written
        try:
            return b"READY=1" in self._told.recv(100)
        except BlockingIOError:
            return False


@contextmanager
def started(name: str, env: Mapping[str, str], folder: Path, *options: str) -> Iterator[Started]:
    folder.mkdir()
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        (folder / "log").open("w") as log,
    ):
        os.chdir(folder)
        told.bind("notify")
        told.setblocking(False)
        process = subprocess.Popen(
            [*OUTREACH, name, *options],
            env=clean_env(**env, NOTIFY_SOCKET="notify"),
            stdout=log,
            stderr=log,
        )
        try:
            yield Started(process, folder / "log", told)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def back_again() -> Iterator[None]:
    """Notify sockets have short, relative paths; afterwards we are where we were."""
    here = Path.cwd()
    yield
    os.chdir(here)


@pytest.mark.parametrize("name", ["worker", "web"])
def test_a_process_says_when_it_is_ready_and_ends_cleanly(
    name: str, applied: Mapping[str, str], tmp_path: Path
) -> None:
    env = {**applied, "OUTREACH_WEB_PORT": "0"}
    with started(name, env, tmp_path / name) as it:
        eventually(it.ready)
        it.process.send_signal(signal.SIGTERM)
        assert it.process.wait(30) == 0
        assert f"{name}_ended" in it.written
        assert "Traceback" not in it.written


@pytest.mark.parametrize("name", ["worker", "matcher", "gateway", "web"])
async def test_every_process_tells_its_metrics_where_it_is_asked_to(
    name: str, applied: Mapping[str, str], tmp_path: Path
) -> None:
    smsc = Smsc()
    await smsc.start()
    ports = {"OUTREACH_OPS_PORT": "0", "OUTREACH_WEB_PORT": "0"}
    env = {**applied, **ports, "OUTREACH_SMPP_URL": smpp_url(smsc.port)}
    try:
        with started(name, env, tmp_path / name) as it:
            await until(it.ready)
            found = re.search(r"_ready url=(http://127\.0\.0\.1:\d+)", it.written)
            assert found is not None, it.written
            async with aiohttp.ClientSession() as http:
                for path, said in {
                    "/livez": '"alive":true',
                    "/readyz": '"ready":true',
                    "/metrics": "outreach_due_lag_seconds 0.0",
                }.items():
                    async with http.get(found[1] + path) as answer:
                        assert answer.status == 200
                        assert said in await answer.text()
    finally:
        await smsc.stop()


async def test_a_channel_has_one_gateway_and_another_that_takes_over(
    applied: Mapping[str, str], tmp_path: Path
) -> None:
    smsc = Smsc()
    await smsc.start()
    env = {**applied, "OUTREACH_SMPP_URL": smpp_url(smsc.port)}
    try:
        with started("gateway", env, tmp_path / "a") as first:
            await until(first.ready)
            await until(lambda: len(smsc.customers) == 1)
            with started("gateway", env, tmp_path / "b") as second:
                await until(second.ready)
                assert "gateway_stands_by channel=sms" in second.written
                assert len(smsc.customers) == 1
                first.process.kill()
                await until(lambda: "smpp_bound" in second.written)
                assert len(smsc.customers) == 1
                second.process.send_signal(signal.SIGTERM)
                await until(lambda: second.process.poll() is not None)
                assert second.process.returncode == 0
    finally:
        await smsc.stop()


async def test_a_standby_can_be_ended(applied: Mapping[str, str], tmp_path: Path) -> None:
    smsc = Smsc()
    await smsc.start()
    env = {**applied, "OUTREACH_SMPP_URL": smpp_url(smsc.port)}
    try:
        with started("gateway", env, tmp_path / "a") as first:
            await until(first.ready)
            with started("gateway", env, tmp_path / "b") as second:
                await until(second.ready)
                second.process.send_signal(signal.SIGTERM)
                await until(lambda: second.process.poll() is not None)
                assert second.process.returncode == 0
            assert first.process.poll() is None
    finally:
        await smsc.stop()
