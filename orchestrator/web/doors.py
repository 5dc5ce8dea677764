"""The doors of the API, on a process's own means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import partial

from orchestrator.core.acts import Deed
from orchestrator.core.dossier import Dossier
from orchestrator.runtime import people
from orchestrator.runtime.context import Context
from orchestrator.runtime.intake import SOURCE, Intake
from orchestrator.runtime.reports import Broken, EventShape, Taken
from orchestrator.store import acts, importing, timeline
from orchestrator.store.erasure import Holdings
from orchestrator.store.subscribers import NewSubscriber
from orchestrator.store.timeline import Timeline
from orchestrator.web.app import Doors
from orchestrator.web.operations import missing
from orchestrator.web.problem import Flaw, ProblemError


def open_doors(context: Context, intake: Intake) -> Doors:
    """What the API opens to in a running installation."""

    async def take_events(
        reports: Sequence[EventShape], broken: Sequence[Broken], positions: Sequence[int] | None
    ) -> Taken:
        return await intake.take(reports, SOURCE, broken, positions)

    async def add_subscribers(news: Sequence[NewSubscriber], who: str) -> tuple[int, int]:
        now, locale = context.clock.now(), context.projects.project.locale
        async with context.pool.acquire() as connection, connection.transaction():
            by_key = {it.key: it for it in news}  # the last of several with one key wins
            added = await importing.add(
                connection, list(by_key.values()), now, locale, context.secret
            )
            if added.refused:
                raise _not_theirs(news, added.refused)
            if consents := _counted(by_key.values()):
                deed = Deed(who, "consents.reported", "subscribers", after=consents)
                await acts.record(connection, deed, now, context.secret)
            return added.made, added.known

    async def tell(key: str) -> Timeline | None:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, key)
            if found is None:
                return None
            counting = context.projects.project, context.clock.now()
            return await timeline.load(connection, found, counting=counting)

    async def export(key: str, who: str) -> Dossier | None:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, key)
            if found is None:
                return None
            now, secret = context.clock.now(), context.secret
            return await people.export(connection, found.id, who, now, secret)

    async def erase(key: str, who: str) -> Holdings | None:
        async with context.pool.acquire() as connection:
            found = await timeline.find(connection, key)
            if found is None:
                return None
            now, secret = context.clock.now(), context.secret
            return await people.erase(connection, found.id, who, now, secret)

    seen: dict[str, date] = {}

    async def admitted(who: str) -> None:
        """The first use of a key in a day is in the audit log, from each process."""
        now = context.clock.now()
        if seen.get(who) == now.date():
            return
        async with context.pool.acquire() as connection, connection.transaction():
            deed = Deed(who, "key.used", f"process:{context.name}")
            await acts.record(connection, deed, now, context.secret)
        seen[who] = now.date()

    return Doors(
        events=take_events,
        subscribers=add_subscribers,
        timeline=tell,
        export=export,
        erase=erase,
        admitted=admitted,
        waiting_for=partial(missing, context),
    )


def _counted(news: Iterable[NewSubscriber]) -> dict[str, int]:
    """How many consents were given and refused; nothing if none was said."""
    said = [consent.granted for it in news for consent in it.consents.values()]
    granted = sum(said)
    return {"granted": granted, "refused": len(said) - granted} if said else {}


def _not_theirs(news: Sequence[NewSubscriber], refused: Mapping[str, str]) -> ProblemError:
    """Whose address belongs to whom; two subscribers cannot share one, or an opt-out of the one
    would not hold for the other."""
    flaws = [
        Flaw(index, "addresses", f"It belongs to another subscriber: {refused[it.key]}.")
        for index, it in enumerate(news)
        if it.key in refused
    ]
    return ProblemError(409, "An address is taken", "Nothing of it was stored.", flaws=flaws)
