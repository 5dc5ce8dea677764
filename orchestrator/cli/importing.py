"""`outreach import`: subscribers from a CSV file."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from orchestrator.cli.acting import record
from orchestrator.cli.country import usual_country
from orchestrator.cli.options import JsonOption, ProjectOption, VerboseOption, run_once
from orchestrator.cli.rows import IGNORED, Bad, Reader
from orchestrator.cli.table import Row, Table, opened
from orchestrator.runtime.projects import Projects
from orchestrator.runtime.settings import Settings, load_secret
from orchestrator.store import importing
from orchestrator.store.subscribers import NewSubscriber

BATCH = 1000
LONGEST_CELL = 1_000_000


_Reject = Callable[[Row, str], None]


class Summary(Struct):
    """What an import came to, in rows."""

    read: int = 0
    made: int = 0
    known: int = 0
    rejected: int = 0


def import_csv(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Columns are named in its first line.")
    ],
    country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Completes phone numbers without one: 86 [default: OUTREACH_COUNTRY].",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
    project: ProjectOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Take in subscribers: key, phone, locale, timezone, tags, consent; the rest are attributes.

    Rows that cannot be taken go to FILE.rejected.csv with their line and the reason; all others
    are kept. Importing the same file again changes nothing. Exit code 1: some were rejected.
    """
    rejects = file.with_name(f"{file.stem}.rejected.csv")

    async def take(settings: Settings, connection: asyncpg.Connection) -> Summary:
        locale = (await Projects().follow(connection)).locale
        with opened(file) as table, _rejected(rejects, table.header) as reject:
            now = settings.clock.now()
            reader = Reader(
                table.header,
                country=usual_country(country, settings),
                how=f"import {file.name}",
                now=now,
            )
            importer = _Importer(connection, reader, reject, locale, now, load_secret(settings))
            about = f"import:{file.name}"
            await _note(settings, connection, "import.began", about)
            with _progress(file) as show:
                for row in table:
                    await importer.take(row)
                    if not importer.summary.read % BATCH:
                        show(table)
                await importer.flush()
            done = {**msgspec.structs.asdict(importer.summary), "consents": importer.consents}
            await _note(settings, connection, "import.ended", about, done)
        return importer.summary

    csv.field_size_limit(LONGEST_CELL)
    summary = run_once(project, verbose, take)
    if json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        typer.echo(
            f"{summary.read} rows read: {summary.made} subscribers made, {summary.known} known, "
            f"{summary.rejected} rows rejected"
        )
    if summary.rejected:
        if not json:
            typer.echo(f"  the rejected ones are in {rejects}, with the reasons", err=True)
        raise typer.Exit(1)


class _Importer:
    """Takes rows, and stores them by the thousand."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        reader: Reader,
        reject: _Reject,
        locale: str,
        now: datetime,
        secret: bytes,
    ) -> None:
        self.summary = Summary()
        self.consents = 0
        self._secret = secret
        self._connection = connection
        self._reader = reader
        self._reject = reject
        self._locale = locale
        self._now = now
        self._batch: dict[str, tuple[Row, NewSubscriber]] = {}

    async def take(self, row: Row) -> None:
        self.summary.read += 1
        try:
            if row.trouble:
                raise Bad(row.trouble)
            subscriber = self._reader.read(row.cells)
        except Bad as reason:
            self._put_aside(row, str(reason))
            return
        if subscriber.key in self._batch:  # the later row adds to the earlier one
            await self.flush()
        self._batch[subscriber.key] = (row, subscriber)
        if len(self._batch) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        """What was taken so far is stored."""
        if not self._batch:
            return
        batch, self._batch = self._batch, {}
        added = await self._store([subscriber for _, subscriber in batch.values()])
        self.summary.made += added.made
        self.summary.known += added.known
        taken = [s for _, s in batch.values() if s.key not in added.refused]
        self.consents += sum(len(s.consents) for s in taken)
        for key, owner in added.refused.items():
            self._put_aside(batch[key][0], f"its address belongs to another subscriber: {owner}")

    # Two programs that lock the same rows may meet; the one that PostgreSQL ends tries again.
    @retry(
        retry=retry_if_exception_type(asyncpg.DeadlockDetectedError),
        stop=stop_after_attempt(8),
        wait=wait_random_exponential(0.05, 2),
        reraise=True,
    )
    async def _store(self, news: list[NewSubscriber]) -> importing.Added:
        async with self._connection.transaction():
            return await importing.add(
                self._connection, news, self._now, self._locale, self._secret
            )

    def _put_aside(self, row: Row, reason: str) -> None:
        self.summary.rejected += 1
        self._reject(row, reason)


async def _note(
    settings: Settings,
    connection: asyncpg.Connection,
    what: str,
    about: str,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Rows are committed by the thousand, so the audit log has the beginning and the end."""
    async with connection.transaction():
        await record(settings, connection, what, about, after=after)


@contextmanager
def _rejected(path: Path, header: list[str]) -> Iterator[_Reject]:
    """Rows can be put aside into the file at `path`, readable by us only. It is made with the
    first of them; one of an earlier import is gone."""
    path.unlink(missing_ok=True)
    with ExitStack() as stack:
        writers: list[Any] = []

        def reject(row: Row, reason: str) -> None:
            if not writers:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                file = stack.enter_context(os.fdopen(handle, "w", newline="", encoding="utf-8-sig"))
                writers.append(csv.writer(file))
                writers[0].writerow([*IGNORED, *header])
            writers[0].writerow([row.line, reason, *row.cells])

        yield reject


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[Table], None]]:
    """On a terminal, a bar shows how far we are."""
    if not sys.stderr.isatty():
        yield lambda table: None
        return
    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("import", total=file.stat().st_size)
        yield lambda table: progress.update(task, completed=table.read_octets)
