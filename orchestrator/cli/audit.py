"""`outreach audit`: who changed what, and that the log of it is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import typer

from orchestrator.cli.options import (
    JsonOption,
    ProjectOption,
    VerboseOption,
    read_settings,
    run_once,
)
from orchestrator.cli.show import plain
from orchestrator.core.acts import Act, Verdict, verify
from orchestrator.core.errors import OutreachError
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.store import acts


def audit(
    action: Annotated[
        str, typer.Argument(metavar="list|export|verify", help="What to do; list by default.")
    ] = "list",
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Where to export to, or what to verify; without it the database is verified.",
        ),
    ] = None,
    who: Annotated[
        str | None, typer.Option(metavar="WHO", help="List those by somebody: ann, api-key.")
    ] = None,
    what: Annotated[
        str | None,
        typer.Option(metavar="WHAT", help="List those of a kind: journey, subscriber.erased."),
    ] = None,
    about: Annotated[
        str | None, typer.Option(metavar="THING", help="List those about this: journey:hello.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="List those from then on: 2026-03-02.")
    ] = None,
    anchor: Annotated[
        str, typer.Option(metavar="HASH", help="Verify that the entry of this hash is there.")
    ] = "",
    most: Annotated[int, typer.Option(help="How many to list at most.", min=1)] = 50,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """List what operators did; export the log as JSON lines; verify that nobody changed it.

    Each entry holds the hash of the one before, and is sealed with OUTREACH_SECRET. `verify FILE`
    needs no database; without the secret only the hashes are looked at. Exit code 1: it is broken.
    """
    if action == "verify":
        _verify(file, anchor, json, project, verbose)
    elif action == "export" and file is not None:
        _export(file, json, project, verbose)
    elif action == "list" and file is None:
        moment = _moment(since)
        _list(who, what, about, moment, most, json, project, verbose)
    else:
        raise typer.BadParameter(
            "write: outreach audit, outreach audit export FILE, or outreach audit verify [FILE]"
        )


def _list(
    who: str | None,
    what: str | None,
    about: str | None,
    since: datetime | None,
    most: int,
    json: bool,
    project: Path | None,
    verbose: int,
) -> None:
    async def look(settings: Settings, connection: asyncpg.Connection) -> list[Act]:
        return await acts.latest(connection, most, since=since, who=who, what=what, about=about)

    found = run_once(project, verbose, look)
    if json:
        raws = [msgspec.Raw(act.line.encode()) for act in found]
        typer.echo(msgspec.json.encode(raws).decode())
        return
    for act in found:
        typer.echo(told(act))
    if not found:
        typer.echo("no entries")


def told(act: Act) -> str:
    """An entry on one line."""
    deed = act.deed
    facts = _facts(deed.after)
    if before := _facts(deed.before):
        facts.append(f"before: {' '.join(before)}")
    moment = f"{act.at:%Y-%m-%d %H:%M:%S}Z"
    said = f"{act.number:>6}  {moment}  {deed.who}  {deed.what}  {deed.about}"
    return plain("  ".join([said, *([" ".join(facts)] if facts else [])]))


def _facts(said: Mapping[str, Any]) -> list[str]:
    """What was so, save for what was nothing."""
    return [f"{name}={_short(value)}" for name, value in said.items() if value]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"


def _export(file: Path, json: bool, project: Path | None, verbose: int) -> None:
    async def write(settings: Settings, connection: asyncpg.Connection) -> Verdict:
        written: list[str] = []
        async for line in acts.lines(connection):
            written.append(line)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise OutreachError(f"{file} exists already", "name a file that does not") from None
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{line}\n" for line in written)
        return verify(written, load_secret(settings))

    _answer(run_once(project, verbose, write), f"{file}: ", json)


def _verify(file: Path | None, anchor: str, json: bool, project: Path | None, verbose: int) -> None:
    if file is not None:
        secret = _known_secret(read_settings(project))
        _answer(verify(_lines(file), secret, anchor), f"{file}: ", json)
        return

    async def look(settings: Settings, connection: asyncpg.Connection) -> Verdict:
        written = [line async for line in acts.lines(connection)]
        return verify(written, load_secret(settings), anchor)

    _answer(run_once(project, verbose, look), "", json)


def _answer(verdict: Verdict, where: str, json: bool) -> None:
    """What a verification came to is said; if something is wrong, the exit code is 1."""
    if json:
        typer.echo(msgspec.json.encode(verdict).decode())
    elif verdict.wrong:
        typer.echo(f"{where}line {verdict.line}: {verdict.wrong}")
        typer.echo(f"  the {verdict.entries} entries before it are whole")
    else:
        seals = "hashes and seals" if verdict.sealed else "hashes (not the seals: no secret)"
        typer.echo(f"{where}{verdict.entries} entries are whole, by their {seals}")
        typer.echo(f"  the last one's hash, to keep elsewhere: {verdict.head.hash}")
    if verdict.wrong:
        raise typer.Exit(1)


def _known_secret(settings: Settings) -> bytes | None:
    """The installation's secret, if this machine has it; none is made."""
    if settings.secret is None and (settings.data / "secret").is_file():
        return load_secret(settings) if settings.database_url is None else None
    return settings.secret


def _lines(file: Path) -> Iterator[str]:
    try:
        text = file.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise OutreachError(f"cannot read {file}: {error.strerror}") from None
    lines = text.split("\n")
    # Each line has its end: what follows the last one must be nothing.
    yield from lines if lines[-1] else lines[:-1]


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since: {text!r} is not a time like 2026-03-02") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
