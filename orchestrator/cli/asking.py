"""`outreach query` and `outreach recall`: what became of messages, and taking them back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated

import asyncpg
import msgspec
import typer
from msgspec import Struct

from orchestrator.cli.acting import operator, record
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.show import plain
from orchestrator.core.errors import OutreachError
from orchestrator.core.grammar import parse_duration
from orchestrator.runtime.settings import Settings
from orchestrator.store import errands, timeline
from orchestrator.store.errands import Answer, Group, Kind, Meant, Tally
from orchestrator.store.ids import instant_of

MOST, WAIT_S = 100_000, 15.0
LINES = 20
"""Messages that are told of one by one; of more, only how many."""

_GOOD: dict[Kind, frozenset[str]] = {
    "query": frozenset({"held", "delivered", "undelivered", "expired", "rejected", "recalled"}),
    "recall": frozenset({"recalled", "withdrawn"}),
}
"""Answers that are what was asked for."""

WhoArgument = Annotated[
    str | None, typer.Argument(help="Only theirs: a key, phone number, or CHANNEL:ADDRESS.")
]
MessageOption = Annotated[
    int | None,
    typer.Option(
        help="Only this one, by its id in `outreach show`.", metavar="ID", min=1, max=2**63 - 1
    ),
]
JourneyOption = Annotated[
    str | None, typer.Option(help="Only those of this journey.", metavar="NAME")
]
ChannelOption = Annotated[
    str | None, typer.Option(help="Only those that went by this channel.", metavar="NAME")
]
OlderOption = Annotated[
    str | None,
    typer.Option(help="Only those decided at least so long ago: 90m, 6h, 2d.", metavar="TIME"),
]
DaysOption = Annotated[int, typer.Option(help="How many days to look back.", min=1)]
MostOption = Annotated[int, typer.Option(help="How many to take at most, the oldest first.", min=1)]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait for the answers.", min=0)]


class Asked(Struct, frozen=True):
    """What was asked of carriers, and what they said until now. `dropped`: messages that no gateway
    had yet, and that will not be sent."""

    batch: int
    asked: int
    dropped: int
    tally: list[Tally]
    answers: list[Answer]


def query(
    who: WhoArgument = None,
    message: MessageOption = None,
    journey: JourneyOption = None,
    channel: ChannelOption = None,
    older: OlderOption = None,
    days: DaysOption = 30,
    most: MostOption = 1000,
    wait: WaitOption = WAIT_S,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Ask carriers what became of messages that had no receipt, or no answer at all.

    Without anything to go by, it says how many such messages there are. The gateway that holds the
    channel asks; what a carrier says counts as a receipt. Exit code 1: of some it said nothing.
    """
    named = any(it is not None for it in (who, message, journey, channel, older))

    async def do(settings: Settings, connection: asyncpg.Connection) -> list[Group] | Asked:
        meant = await _meant(settings, connection, who, message, journey, channel, older, days)
        if not named:
            return await errands.count(connection, meant)
        return await ask(settings, connection, "query", meant, most, wait)

    found = run_once(project, verbose, do)
    if isinstance(found, Asked):
        _say("query", found, json)
    elif json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        for line in _open(found):
            typer.echo(line)


def recall(
    who: WhoArgument = None,
    message: MessageOption = None,
    journey: JourneyOption = None,
    channel: ChannelOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it, do not only count.")] = False,
    days: DaysOption = 30,
    most: MostOption = MOST,
    wait: WaitOption = WAIT_S,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Take messages back: what is queued is not sent, what a carrier still holds it does not bring.

    They go on to no other channel. A push that was delivered is deleted on the phone, if it is
    named by --message. Needs --yes unless one message is named. Exit code 1: some were not taken
    back.
    """
    if all(it is None for it in (who, message, journey, channel)):
        raise typer.BadParameter("say which: a subscriber, --message, --journey or --channel")

    async def do(settings: Settings, connection: asyncpg.Connection) -> Asked:
        meant = await _meant(settings, connection, who, message, journey, channel, None, days)
        if not yes and message is None:
            groups = await errands.count(connection, meant)
            raise OutreachError(
                f"carriers would be asked for {sum(it.messages for it in groups)} messages, and "
                "what is queued would not be sent",
                "add --yes to do it",
            )
        return await ask(settings, connection, "recall", meant, most, wait)

    _say("recall", run_once(project, verbose, do), json)


async def ask(
    settings: Settings,
    connection: asyncpg.Connection,
    kind: Kind,
    meant: Meant,
    most: int = MOST,
    wait_s: float = WAIT_S,
) -> Asked:
    """Carriers have been asked, and have answered or had `wait_s` for it."""
    now = settings.clock.now()
    dropped = await errands.drop_queued(connection, meant, now) if kind == "recall" else 0
    async with connection.transaction():
        batch, asked = await errands.ask(connection, kind, meant, operator(), now, most)
        what = "messages.queried" if kind == "query" else "messages.recalled"
        said = {"batch": batch, "asked": asked, "dropped": dropped, "channel": meant.channel}
        await record(settings, connection, what, _about(meant), after=said)
    give_up_at = time.monotonic() + wait_s
    tally = await errands.tally(connection, batch)
    while any(it.word is None for it in tally) and time.monotonic() < give_up_at:
        await asyncio.sleep(0.2)
        tally = await errands.tally(connection, batch)
    answers = await errands.answers(connection, batch, most)
    return Asked(batch, asked, dropped, tally, answers)


def told(found: Asked) -> Iterator[str]:
    """What was asked and said, line by line."""
    if found.dropped:
        yield f"{found.dropped} messages were queued still, and are not sent"
    if not found.asked:
        yield "no message is out of which anything could be asked"
    for it in found.answers if found.asked <= LINES else ():
        code = f" {it.code}" if it.code else ""
        reason = f": {it.reason}" if it.reason else ""
        said = f"{it.word or 'no answer yet'}{code}{reason}"
        yield plain(f"{it.message_id}  {it.subscriber}  {it.channel}  {said}")
    for total in found.tally:
        yield f"{total.channel}: {total.messages} {total.word or 'without an answer yet'}"
    waiting = sorted({it.channel for it in found.tally if it.word is None})
    if waiting:
        yield (
            f"whoever holds {', '.join(waiting)} asks as soon as it is connected; is it running? "
            "`outreach show` tells the answer"
        )


async def _meant(
    settings: Settings,
    connection: asyncpg.Connection,
    who: str | None,
    message: int | None,
    journey: str | None,
    channel: str | None,
    older: str | None,
    days: int,
) -> Meant:
    now = settings.clock.now()
    subscriber_id = None
    if who is not None:
        found = await timeline.find(connection, who)
        if found is None:
            raise OutreachError(
                f"there is no subscriber {who}",
                "ask by key, by phone number with its country (+86…), or by CHANNEL:ADDRESS",
            )
        subscriber_id = found.id
    before = now + timedelta(days=1) if older is None else now - parse_duration(older)
    since = now - timedelta(days=days) if message is None else instant_of(message)
    return Meant(before, since, subscriber_id, message, journey, channel)


def _about(meant: Meant) -> str:
    if meant.message_id is not None:
        return f"message:{meant.message_id}"
    if meant.subscriber_id is not None:
        return f"subscriber:{meant.subscriber_id}"
    return f"journey:{meant.journey}" if meant.journey is not None else "messages"


def _open(groups: Sequence[Group]) -> Iterator[str]:
    """How many messages wait for their last word."""
    for it in groups:
        yield f"{it.channel}: {it.messages} {it.state}, the oldest since {it.since:%Y-%m-%d %H:%M}Z"
    yield "ask for them: outreach query --older 1h" if groups else "every message has its last word"


def _say(kind: Kind, found: Asked, json: bool) -> None:
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        for line in told(found):
            typer.echo(line)
    if any(it.word not in _GOOD[kind] for it in found.tally):
        raise typer.Exit(1)
