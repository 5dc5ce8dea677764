"""The demo as it runs: a live view in the terminal, or lines where there is none."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct
from rich.cells import set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.cli.demo.behaviour import Player
from orchestrator.store.counts import Facts

LINES = 12


class Moment(Struct, frozen=True):
    """How things stand at one moment of the demo."""

    now: datetime
    starts_at: datetime
    ends_at: datetime
    facts: Facts

    @property
    def day(self) -> int:
        """The day of the demo, from 1."""
        return max(1, (self.now - self.starts_at) // timedelta(days=1) + 1)

    @property
    def share(self) -> float:
        """How much of it is over, 0 to 1."""
        whole = self.ends_at - self.starts_at
        return min(1.0, max(0.0, (self.now - self.starts_at) / whole))


class Screen(Protocol):
    """Where the demo is shown."""

    def say(self, words: str) -> None: ...

    def show(self, moment: Moment, players: Sequence[Player]) -> None: ...

    def close(self) -> None: ...


class Silence:
    """Nothing is shown: for scripts."""

    def say(self, words: str) -> None:
        pass

    def show(self, moment: Moment, players: Sequence[Player]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """A line for each day: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._day = 0

    def say(self, words: str) -> None:
        self._console.print(words, markup=False, highlight=False)

    def show(self, moment: Moment, players: Sequence[Player]) -> None:
        if moment.day > self._day:
            self._day = moment.day
            f = moment.facts
            self.say(
                f"day {moment.day}: {f.messages} messages, {f.delivered} delivered, "
                f"{f.replies} replies, {f.opted_out} opted out, {f.redeemed} redeemed"
            )

    def close(self) -> None:
        pass


class LiveView:
    """The whole terminal, redrawn: the day, the figures, what was just said."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._live.start()
        self._talk: deque[Text] = deque(maxlen=LINES)
        self._seen: dict[str, tuple[int, int]] = {}

    def say(self, words: str) -> None:
        self._live.console.print(words, markup=False, highlight=False)

    def show(self, moment: Moment, players: Sequence[Player]) -> None:
        self._overhear(players)
        self._live.update(self._picture(moment))

    def close(self) -> None:
        self._live.stop()

    def _overhear(self, players: Sequence[Player]) -> None:
        fresh: list[tuple[datetime, Text]] = []
        for player in players:
            key = player.person.subscriber.key
            heard, said = self._seen.get(key, (0, 0))
            name = str(player.person.subscriber.attributes["name"])
            fresh += [(m.at, _line(name, "◂", m.text, "cyan")) for m in player.heard[heard:]]
            fresh += [(m.at, _line(name, "▸", m.text, "green")) for m in player.said[said:]]
            self._seen[key] = (len(player.heard), len(player.said))
        for _, line in sorted(fresh, key=lambda pair: pair[0])[-LINES:]:
            self._talk.append(line)

    def _picture(self, moment: Moment) -> Panel:
        f = moment.facts
        figures = Table.grid(expand=True, padding=(0, 2))
        names = ("enrolled", "messages", "delivered", "replies", "opted out", "redeemed")
        values = (f.enrolled, f.messages, f.delivered, f.replies, f.opted_out, f.redeemed)
        for _ in names:
            figures.add_column(justify="center")
        figures.add_row(*(Text(f"{value:,}", "bold") for value in values))
        figures.add_row(*(Text(name, "dim") for name in names))
        talk = Text("\n").join([*self._talk] + [Text("")] * (LINES - len(self._talk)))
        talk.no_wrap, talk.overflow = True, "ellipsis"
        title = f"day {moment.day}  ·  {moment.now:%a %d %b %H:%M} UTC"
        return Panel(
            Group(
                ProgressBar(total=1.0, completed=moment.share), Text(""), figures, Text(""), talk
            ),
            title=f"[bold]Outreach[/]  {title}",
            border_style="blue",
        )


def _line(name: str, arrow: str, text: str, style: str) -> Text:
    return Text.assemble((f"{set_cell_size(name, 10)} {arrow} ", style), " ".join(text.split()))
