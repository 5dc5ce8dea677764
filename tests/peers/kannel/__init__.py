"""Debian's Kannel, running: bearerbox, smsbox and wapbox on free ports of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from msgspec import Struct

from tests.peers.programs import require

PACKAGE = "kannel"
_CONF = Path(__file__).parent / "kannel.conf"
_PORTS = ("admin", "smsbox", "wapbox", "sendsms", "ppg")
_NOBODY = (
    "http://127.0.0.1:9/mo?from=%p&to=%P&text=%b&coding=%c&charset=%C&udh=%u&id=%I&smsc=%i&time=%t"
)


class Kannel(Struct, frozen=True):
    """A running Kannel. It logs into `folder`."""

    folder: Path
    admin_port: int
    sendsms_port: int
    ppg_port: int

    @property
    def pap_url(self) -> str:
        """Its push proxy gateway, for user `pi` with password `pipass`."""
        return f"http://127.0.0.1:{self.ppg_port}/wappush"

    @property
    def sendsms_url(self) -> str:
        """Its HTTP way in, for user `tester` with password `foobar`."""
        return f"http://127.0.0.1:{self.sendsms_port}/cgi-bin/sendsms"


@asynccontextmanager
async def kannel(
    folder: Path,
    smpp_port: int,
    *,
    system_id: str = "outreach",
    password: str = "secret",
    mo_url: str = _NOBODY,
) -> AsyncIterator[Kannel]:
    """Kannel runs, an ESME of the SMPP carrier at `smpp_port`; messages from telephones go to
    `mo_url` by GET, with Kannel's own escapes (`%p`, `%b`) filled in. Its programs have ended
    at the end."""
    programs = {name: require(name, PACKAGE) for name in ("bearerbox", "smsbox", "wapbox")}
    ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
    conf = folder / "kannel.conf"
    conf.write_text(
        _CONF.read_text().format(
            folder=folder,
            smpp_port=smpp_port,
            system_id=system_id,
            password=password,
            mo_url=mo_url,
            **{f"{name}_port": port for name, port in ports.items()},
        )
    )
    listens = {"bearerbox": "smsbox", "smsbox": "sendsms", "wapbox": "ppg"}
    async with AsyncExitStack() as stack:
        for name, program in programs.items():
            await stack.enter_async_context(_running(program, conf))
            await _open(ports[listens[name]], folder)
        yield Kannel(folder, ports["admin"], ports["sendsms"], ports["ppg"])


@asynccontextmanager
async def _running(program: str, conf: Path) -> AsyncIterator[None]:
    with (conf.parent / f"{Path(program).name}.out").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            program, "-v", "1", str(conf), stdout=said, stderr=said, cwd=conf.parent
        )
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 3)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _open(port: int, folder: Path) -> None:
    """Somebody listens at the port. Fails with what the programs said, if that takes too long."""
    for _ in range(300):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        await writer.wait_closed()
        return
    raise AssertionError(f"Kannel does not listen:\n{_said(folder)}")


def _said(folder: Path) -> str:
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.out"))


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has now: all are held until all are known."""
    held = [socket.socket() for _ in range(count)]
    try:
        for probe in held:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()
