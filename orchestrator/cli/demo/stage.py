"""The stage of the demo: every part real, the clock fast, the carrier and its telephones ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from channels.carriers.mmsc import Mmsc, MmscSettings
from channels.carriers.smsc import Change, Smsc, SmscSettings
from channels.carriers.visitors import Visitors
from channels.webchat.link import mint
from orchestrator.cli.apply import apply_files
from orchestrator.cli.carrier import LOOPBACK, SHORT_CODE, Figures, mms_callback
from orchestrator.cli.demo.behaviour import Player
from orchestrator.cli.demo.cast import Person
from orchestrator.cli.demo.town import load_lists
from orchestrator.cli.listening import free_port, listening, shown
from orchestrator.cli.options import opened
from orchestrator.cli.simulated import write_channels
from orchestrator.cli.up import grow, plan_tree
from orchestrator.project import source
from orchestrator.project.shipped import programme, programme_folder
from orchestrator.runtime.clock import Clock
from orchestrator.runtime.context import Context
from orchestrator.runtime.embedded import Urls
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.runtime.tree import planted
from orchestrator.web.wall import create_wall

STARTS_AT = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
"""A Monday, eight in the morning in Shanghai."""

DAY = timedelta(days=1)

READY_S = 8.0
"""Real seconds that the processes usually need; the clock starts after them."""

LATENESS_H = 6
"""Hours of the demo (two real seconds) that an event of the network may be late."""

SWEEP_S = 0.1
"""Real seconds between sweeps: at a week in a minute, a quarter of an hour."""


class Stage(Struct, frozen=True):
    """What a demo plays on. The play begins at `begins_at`: on `STARTS_AT`, or at that hour of a
    later day, if the processes took longer than that to start."""

    context: Context
    clock: Clock
    begins_at: datetime
    players: Sequence[Player]
    figures: Figures
    wall: str


def demo_files() -> dict[str, str]:
    """The shipped programme. Some rules are slower than in earnest: at a week in a minute, the
    quarter of an hour that a purchase waits for its YES would be a tenth of a second, and the hour
    for which an answer is good a third; and what the network reports is minutes old when it
    comes."""
    files = programme()
    points, contact = "journeys/program/points.yaml", "journeys/program/contact.yaml"
    network = "journeys/program/events.yaml"
    return {
        **files,
        points: files[points].replace("hold: 15m", "hold: 6h"),
        contact: files[contact].replace("valid: 1h", "valid: 12h"),
        network: f"{files[network]}\nlateness: {LATENESS_H}h\n",
    }


def demo_settings(data: Path, speed: float) -> Settings:
    """An installation of the demo's own, whatever the environment says."""
    return replace(
        Settings.from_env({}, programme_folder()),
        data=data,
        sweep_s=SWEEP_S,
        web_port=free_port(LOOPBACK, 0, ""),
        clock=Clock.starting(STARTS_AT - timedelta(seconds=READY_S * speed), speed),
    )


@asynccontextmanager
async def set_stage(
    settings: Settings,
    urls: Urls,
    people: Sequence[Person],
    numbers: Mapping[str, frozenset[int]],
    log: Callable[[str, str], None],
    *,
    walled: bool,
) -> AsyncIterator[Stage]:
    """Worker, gateway and web run as processes; the carrier, its MMS centre, its telephones and the
    chat's visitors are here, each played by their person. `numbers` are in the lists of these
    names."""
    clock = settings.clock
    files = demo_files()
    pictures = source.read_pictures(programme_folder(), files)
    await apply_files(settings, urls.database_url, files, pictures)
    async with AsyncExitStack() as stack:
        smsc = Smsc(SmscSettings(remembered=400, receipt_delay_s=0.02), now=clock.now)
        await smsc.start()
        stack.push_async_callback(smsc.stop)
        mmsc = Mmsc(smsc, MmscSettings(deliver_after_s=0.02))
        dead = {it.address.removeprefix("+") for it in people if "mms" in it.dead}
        mmsc.faults.undeliverable = dead.__contains__
        for it in people:
            if "wap_push" in it.dead:
                smsc.handset(it.address).takes_pushes = False
        await mmsc.start()
        stack.push_async_callback(mmsc.stop)
        site = shown(LOOPBACK, settings.web_port)
        path = write_channels(settings.data, smsc.port, mmsc.port, site)
        settings = replace(settings, simulated=path)
        mmsc.callback = mms_callback(settings)
        secret = load_secret(settings)
        visitors = Visitors(site, lambda who: f"/chat?token={mint(who, secret)}", now=clock.now)
        figures = Figures(urls.database_url)
        stack.push_async_callback(figures.close)
        address = ""
        if walled:
            wall = create_wall([smsc, visitors], clock.now, figures.ask, short_code=SHORT_CODE)
            port = await stack.enter_async_context(listening(wall, LOOPBACK, 0, ""))
            address = f"{shown(LOOPBACK, port)}/"
        context = await stack.enter_async_context(
            opened(settings, urls.database_url, urls.redis_url, "demo")
        )
        # Before there is a matcher: it would not know them at once.
        await load_lists(context, numbers)
        tree = await stack.enter_async_context(planted(log))
        plan = plan_tree(settings, urls, workers=1, verbose=0)
        await asyncio.wait_for(grow(tree, plan), timeout=60)
        stack.push_async_callback(visitors.stop)
        players = _players(people, smsc, visitors, clock)
        async with context.pool.acquire() as connection:
            await context.projects.follow(connection)
        late = max(timedelta(0), clock.now() - STARTS_AT)
        begins_at = STARTS_AT + -(-late // DAY) * DAY
        yield Stage(context, clock, begins_at, players, figures, address)


def _players(
    people: Sequence[Person], smsc: Smsc, visitors: Visitors, clock: Clock
) -> list[Player]:
    """Each person at their phone, or at the chat's page."""
    players: list[Player] = []
    by_number: dict[str, Player] = {}
    for person in people:
        phone = (
            visitors.handset(person.address)
            if person.channel == "webchat"
            else smsc.handset(person.address)
        )
        player = Player(person, phone, SHORT_CODE, clock.now)
        players.append(player)
        by_number[phone.number] = player

    def look(change: Change) -> None:
        if change.kind == "arrived" and (player := by_number.get(change.number)):
            player.look()

    smsc.on_change.append(look)
    visitors.on_change.append(look)
    return players
