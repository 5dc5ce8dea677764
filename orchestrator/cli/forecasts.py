"""Forecasts as they stand on a terminal: tables, and rows of numbers as small bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.core.verdict import LACKING
from orchestrator.project.forecast import Difference, Fate, Forecast, Goal
from orchestrator.project.plots import amount
from orchestrator.project.traffic import Replay, Sums

_BARS = "▁▂▃▄▅▆▇█"
_WIDEST = 60
_BESIDE_BARS = 40
"""Columns of a terminal that names and figures take."""
_MOST_CHANGES = 40


def sparkline(values: Sequence[float], widest: int = _WIDEST) -> str:
    """A row of numbers as bars, at most `widest` of them."""
    if len(values) > widest:
        width = -(-len(values) // widest)
        values = [sum(values[at : at + width]) for at in range(0, len(values), width)]
    top = max(values, default=0) or 1
    return "".join(_BARS[min(7, round(value / top * 7))] if value else " " for value in values)


def show(console: Console, told: Forecast) -> None:
    """What a simulation said, for people."""
    console.print(
        Text.assemble(
            (told.project, "bold"),
            f": {told.people:,} people, {told.days} days from {told.start}, seed {told.seed}; "
            f"{told.decisions:,} decisions",
        )
    )
    cost = f", {float(told.cost):,.2f} {told.currency}" if told.cost else ""
    each = told.messages / told.people if told.people else 0.0
    console.print(
        f"{told.messages:,} messages ({each:.1f} a person){cost}; "
        f"{told.replies:,} replies, {told.opt_outs:,} opt-outs, {told.opt_ins:,} opt-ins\n"
    )
    _bars(console, told)
    _channels(console, told)
    _journeys(console, told.journeys)
    _reasons(console, told)
    _points(console, told)


def _bars(console: Console, told: Forecast) -> None:
    table = _table("", "", "", right=())
    widest = max(10, min(_WIDEST, console.width - _BESIDE_BARS))
    hours = [sum(of) for of in zip(*(it.per_hour for it in told.channels.values()), strict=True)]
    series = {
        "messages by day": told.per_day,
        "by hour (theirs)": hours,
        "put off by day": told.put_off_per_day,
        "opt-outs by day": told.opt_outs_per_day,
        "points owed": told.points.liability,
    }
    for name, values in series.items():
        top = max(values, default=0)
        table.add_row(name, sparkline(values, widest), f" at most {amount(top)}")
    console.print(table, "")


def _channels(console: Console, told: Forecast) -> None:
    table = _table(
        "channel", "messages", "units", "failed", "cost", "most/s", "most/min", "rate/s", "wait s"
    )
    for name, it in told.channels.items():
        table.add_row(
            name, f"{it.messages:,}", f"{it.units:,}", f"{it.failed:,}", f"{float(it.cost):,.2f}",
            f"{it.peak_second.count:,}", f"{it.peak_minute.count:,}",
            f"{it.rate_per_s:g}" if it.rate_per_s else "",
            f"{it.wait_s:,}" if it.wait_s is not None else "",
        )  # fmt: skip
    console.print(table, "")


def _journeys(console: Console, journeys: Mapping[str, Fate]) -> None:
    table = _table(
        "journey", "entered", "wanted", "sent", "withheld", "put off", "late h", "goal", "held out"
    )
    for name, it in journeys.items():
        table.add_row(
            name, amount(it.entered), amount(it.wanted), amount(it.sent),
            amount(sum(it.withheld.values())), amount(it.held), f"{it.late_h:,.1f}",
            _goal(it.goal), _goal(it.control_goal),
        )  # fmt: skip
    console.print(table, "")
    absent = [f"{name}: nobody came in; {it.absent}" for name, it in journeys.items() if it.absent]
    if absent:
        console.print(Text("\n".join([*absent, ""])), soft_wrap=True)
    starved = _table("kept back", "by messages of", "times", "hours lost", right=(2, 3))
    for name, it in journeys.items():
        for by, count in it.held_by.items():
            starved.add_row(name, by, f"{count:,}", f"{it.late_by_h.get(by, 0.0):,.0f}")
    if starved.row_count:
        console.print(starved, "")


def _goal(goal: Goal | None) -> str:
    return f"{goal.share:.1%}" if goal is not None else ""


def _reasons(console: Console, told: Forecast) -> None:
    table = _table("reason", "put off", "withheld")
    for reason in dict.fromkeys([*told.put_off, *told.withheld]):
        put_off, withheld = told.put_off.get(reason, 0), told.withheld.get(reason, 0)
        table.add_row(reason[:60], f"{put_off:,}", f"{withheld:,}")
    if table.row_count:
        console.print(table, "")
    if any(reason.partition(":")[0] in LACKING for reason in told.put_off):
        console.print(
            "holidays_expired: nobody knows the holidays of these days yet, so these messages wait "
            "to the end; renew journeys/program/holidays.yaml, or choose another --start\n"
        )


def _points(console: Console, told: Forecast) -> None:
    points = told.points
    console.print(
        f"points: {points.issued:,} issued, {points.spent:,} spent, {points.expired:,} expired; "
        f"{points.liability[-1]:,} owed at the end ({points.before:,} before)"
    )
    short = [
        f"{name} ({it.redeemed:,} of {it.stock:,})"
        for name, it in told.rewards.items()
        if it.redeemed > it.stock
    ]
    if short:
        console.print(f"sold out before the end: {', '.join(short)}")
    for reason, people in told.broken.items():
        console.print(f"[red]{people:,} people could not be played:[/red] ", Text(reason))


def show_changes(console: Console, changes: Iterable[Difference], against: str) -> None:
    """What differs from another version."""
    table = _table(f"against {against}", "before", "after", "change")
    differing = [it for it in changes if it.change]
    for it in differing[:_MOST_CHANGES]:
        table.add_row(it.name, f"{it.before:,}", f"{it.after:,}", it.change)
    if not differing:
        console.print(f"Nothing differs from {against}.")
        return
    console.print(table, "")
    if len(differing) > _MOST_CHANGES:
        more = len(differing) - _MOST_CHANGES
        console.print(f"and {more} figures more: --json and --report have all of them")


def show_replay(console: Console, found: Replay, days: int) -> None:
    """What a contact policy says of past messages."""
    sums = found.sums
    if not sums.messages and not sums.withheld_before:
        console.print(f"no messages went in the last {days} days: there is nothing to replay")
        return
    console.print(
        f"{sums.messages:,} messages of the last {days} days to {found.people:,} people: "
        f"{sums.as_before:,} would go as they did, {sums.later:,} later, {sums.never:,} not at all"
    )
    console.print(
        f"{sums.withheld_before:,} were withheld then; {sums.withheld_now_go:,} of them would go\n"
    )
    table = _table("journey", "messages", "as before", "later", "late h", "never", "now go")
    for name, it in sorted(found.journeys.items()):
        table.add_row(
            name, f"{it.messages:,}", f"{it.as_before:,}", f"{it.later:,}", f"{_late(it):,.1f}",
            f"{it.never:,}", f"{it.withheld_now_go:,}",
        )  # fmt: skip
    console.print(table, "")
    reasons = _table("reason", "put off", "withheld")
    for reason in dict.fromkeys([*dict(found.put_off.most_common()), *found.withheld]):
        reasons.add_row(reason, f"{found.put_off[reason]:,}", f"{found.withheld[reason]:,}")
    if reasons.row_count:
        console.print(reasons)


def _late(sums: Sums) -> float:
    return sums.late_h / sums.later if sums.later else 0.0


def _table(*heads: str, right: Iterable[int] | None = None) -> Table:
    """A table without lines; all but the first column are numbers unless `right` says which."""
    numbers = {*(range(1, len(heads)) if right is None else right)}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_header=any(heads))
    for number, head in enumerate(heads):
        justify = "right" if number in numbers else "left"
        table.add_column(Text(head), justify=justify, no_wrap=number > 0)  # type: ignore[arg-type]
    return table
