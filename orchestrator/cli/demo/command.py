"""The command itself: options, the run, the summary and its checks."""

from __future__ import annotations

import json as json_text
import logging
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Mapping, Set
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestrator.cli.demo.cast import cast
from orchestrator.cli.demo.judge import JOURNEY, MUST_BE_ZERO, Plan, judge
from orchestrator.cli.demo.play import AFTER, ends_at, play
from orchestrator.cli.demo.show import Lines, LiveView, Screen, Silence
from orchestrator.cli.demo.stage import LATENESS_H, STARTS_AT, Stage, demo_settings, set_stage
from orchestrator.cli.demo.town import WAITS_S, Town, in_time, in_vain, not_fired, town
from orchestrator.cli.options import JsonOption, VerboseOption, run, stop_asked
from orchestrator.runtime.embedded import run_servers
from orchestrator.runtime.logs import set_up_logs
from orchestrator.store import audit, counts, reckoning

SPEED = 10_080.0
"""A week in a minute."""

LATENCY_S = 2.0
"""Real seconds that a message may need from its decision to the screen."""


def demo(
    subscribers: Annotated[
        int, typer.Option(min=1, max=5000, help="How many people take part.")
    ] = 200,
    days: Annotated[int, typer.Option(min=1, max=120, help="How many days they live.")] = 7,
    speed: Annotated[
        float, typer.Option(min=1, max=50_000, help="How much faster than life.")
    ] = SPEED,
    seed: Annotated[int, typer.Option(help="Whose habits: another number, other people.")] = 1,
    headless: Annotated[
        bool, typer.Option("--headless", help="Without terminal view and phone wall.")
    ] = False,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the phone wall until Ctrl-C.")] = False,
    json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Watch people live through the shipped programme in about a minute.

    Every part is real: PostgreSQL, Valkey, arq, SMPP and MM7 over TCP, the bot, the points. Only
    the clock is fast and the telephones are simulated; open the phone wall and type as any of them.
    At the end the demo compares what stood on the screens with the plan. Exit code 0: all checks
    hold.
    """
    set_up_logs(logging.ERROR)
    screen = _screen(headless, json)
    with tempfile.TemporaryDirectory(prefix="outreach-demo-") as folder:
        settings = demo_settings(Path(folder) / "data", speed)
        screen.say("Starting PostgreSQL and Valkey …")
        with run_servers(settings) as urls:
            settings = demo_settings(Path(folder) / "data", speed)
            log: deque[str] = deque(maxlen=40)

            def hear(name: str, line: str) -> None:
                log.append(f"{name}: {line}")
                if verbose:
                    print(log[-1], file=sys.stderr)

            async def whole() -> dict[str, float]:
                people = cast(subscribers, STARTS_AT, seed)
                whole_town = town(STARTS_AT, STARTS_AT + timedelta(days=days) + AFTER, seed)
                async with set_stage(
                    settings,
                    urls,
                    [*people, *whole_town.people],
                    whole_town.lists,
                    hear,
                    walled=not headless,
                ) as stage:
                    if stage.wall:
                        screen.say(f"The phone wall: {stage.wall}")
                    began = time.monotonic()
                    there = whole_town.later(stage.begins_at - STARTS_AT)
                    activated, late = await play(stage, people, there, days, screen)
                    result = await _reckon(stage, activated, there, late, days, speed)
                    result["seconds"] = round(time.monotonic() - began, 1)
                    screen.close()
                    if stay and stage.wall:
                        _summarise(result, json=False)
                        await _stay(stage)
                    return result

            try:
                result = run(whole)
            except BaseException:
                print("\n".join(log), file=sys.stderr)
                raise
            finally:
                screen.close()
    failed = [name for name in MUST_BE_ZERO if result[name]]
    if failed:
        print("\n".join(log), file=sys.stderr)
    if json or not stay:
        _summarise(result, json=json)
    raise typer.Exit(1 if failed else 0)


def _screen(headless: bool, json: bool) -> Screen:
    console = Console(stderr=json)
    if json:
        return Silence()
    return LiveView(console) if console.is_terminal and not headless else Lines(console)


async def _stay(stage: Stage) -> None:
    typer.echo(f"The phone wall stays at {stage.wall} — Ctrl-C ends it.")
    await stop_asked().wait()


async def _reckon(
    stage: Stage,
    activated: Mapping[str, datetime],
    there: Town,
    late: Set[int | str],
    days: int,
    speed: float,
) -> dict[str, float]:
    """Every figure of the summary."""
    async with stage.context.pool.acquire() as connection:
        recorded = await reckoning.messages(connection)
        entrances = await reckoning.entrances(connection, JOURNEY)
        fired = await reckoning.fired(connection)
        sold = await reckoning.sold(connection)
        states = await counts.messages(connection, STARTS_AT - timedelta(days=1))
        wrong = await audit.imbalances(connection)
        failures = await counts.failures(connection, STARTS_AT - timedelta(days=1))
    players = stage.players
    slow = timedelta(seconds=LATENCY_S * speed)
    plan = Plan(stage.context.projects.project, activated, ends_at(stage, days), slow)
    found = judge(plan, players, recorded, entrances)
    rewards = plan.project.rewards
    bought = sum(player.bought for player in players)
    codes = [code for player in players for code in player.codes]
    by_word = Counter(heard.word for player in players for heard in player.heard)
    held, held_fired = in_time(there, fired, late)
    oversold = sum(max(0, count - rewards[name].stock) for name, count in sold.items())
    oversold += max(0, bought - sum(sold.values()))
    return {
        "subscribers": len(activated),
        "days": days,
        "enrolled": sum(e.status != "control" for e in entrances.values()),
        "control": sum(e.status == "control" for e in entrances.values()),
        "messages": sum(r.state != "suppressed" for rows in recorded.values() for r in rows),
        "expected_steps": found.expected,
        "delivered": found.messages,
        **{f"by_{word}": by_word[word] for word in ("sms", "mms", "wap_push", "chat")},
        "rerouted": found.rerouted,
        "network_events": len(there.events),
        "passers_by": len(there.people),
        "came_late": len(late),
        "fired": len(fired),
        "offered": sum(r.journey in WAITS_S for rows in recorded.values() for r in rows),
        "replies": sum(len(player.said) for player in players),
        "opted_out": sum(player.confirmation is not None for player in players),
        "redeemed": bought,
        "lost": found.lost,
        "duplicates": found.duplicates + len(codes) - len(set(codes)),
        "early": found.early,
        "outside_hours": found.outside_hours,
        "over_cap": found.over_cap,
        "uninvited": found.uninvited,
        "after_opt_out": found.after_opt_out,
        "without_consent": found.without_consent,
        "wrong_channel": found.wrong_channel,
        "untold": found.untold,
        "not_fired": not_fired(held, held_fired, plan.ends_at - timedelta(hours=LATENESS_H) - slow),
        "fired_in_vain": in_vain(held, held_fired, recorded),
        "ledger_imbalance": len(wrong),
        "oversold": oversold,
        "failed_turns": failures,
        "unfinished": sum(
            count for state, count in states.items() if state in ("queued", "accepted", "unknown")
        ),
    }


def _summarise(result: dict[str, float], *, json: bool) -> None:
    if json:
        print(json_text.dumps(result))
        return
    console = Console()
    table = Table(show_header=False, box=None, padding=(0, 2))
    for name, value in result.items():
        must = name in MUST_BE_ZERO
        mark = ("[green]✓[/]" if not value else "[red]✗[/]") if must else ""
        table.add_row(name.replace("_", " "), f"[bold]{value:,}[/]", mark)
    console.print(table)
    good = not any(result[name] for name in MUST_BE_ZERO)
    console.print(
        "[green]Every check holds.[/]" if good else "[red]Some checks do not hold.[/]",
    )
