"""A forecast as a page for people: one HTML file that loads nothing, light or dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from html import escape
from typing import Any

from orchestrator.project import plots
from orchestrator.project.forecast import Difference, Fate, Forecast, Goal
from orchestrator.project.plots import HALF, amount

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--soft:#60646c;--rule:#e0e1e6;
--c1:#3b6fd4;--c2:#d9822b;--c3:#2f9e6e;--c4:#b0458f;--c5:#8b6f2f;--c6:#5f5fc4;--c7:#c0392b;
--c8:#4a90a4;--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e6e8eb;--soft:#9ba1a9;
--rule:#2c3138;--c1:#7aa2f7;--c2:#e5a15c;--c3:#5cc79a;--c4:#d583bd;--c5:#c2a866;--c6:#9d9df0;
--c7:#ea7a70;--c8:#7fc0d4;--bad:#ea7a70}}
body{font:15px/1.5 system-ui,sans-serif;background:var(--paper);color:var(--ink);
max-width:1060px;margin:2rem auto;padding:0 1.2rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}
h3{font-size:.95rem;margin:1.2rem 0 .3rem}p,figcaption{color:var(--soft);margin:.3rem 0 .8rem}
.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1.2rem 0}
.cards div{border:1px solid var(--rule);border-radius:8px;padding:.6rem 1rem;min-width:7.5rem}
.cards b{display:block;font-size:1.35rem;font-variant-numeric:tabular-nums}
.cards span{color:var(--soft);font-size:.85rem}
.wide,.plot{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
summary{color:var(--soft);cursor:pointer;margin:.6rem 0}
th,td{padding:.35rem .6rem;border-bottom:1px solid var(--rule);text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,.text{text-align:left}
td.text{white-space:normal}
.bad{color:var(--bad)}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
svg text.name{text-anchor:end}svg line{stroke:var(--rule)}svg .hit{fill:transparent}
svg .hit:hover{fill:var(--ink);opacity:.08}svg polyline{fill:none;stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;font-size:.85rem}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:0 2rem}
""" + "".join(
    f"svg .c{n}{{fill:var(--c{n})}}svg .l{n}{{stroke:var(--c{n})}}.k{n}{{background:var(--c{n})}}"
    for n in range(1, plots.COLOURS + 1)
)


def page(told: Forecast, changes: Sequence[Difference] = (), against: str = "") -> str:
    """The whole page; with `changes`, from a forecast of another version, `against`, to this."""
    body = "\n".join(_body(told, changes, against))
    title = f"{escape(told.project)}: {told.people:,} people, {told.days} days"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _body(told: Forecast, changes: Sequence[Difference], against: str) -> Iterator[str]:
    end = told.start + timedelta(days=told.days - 1)
    yield f"<h1>{escape(told.project)}, simulated</h1>"
    yield (
        f"<p>{told.people:,} people from {told.start} to {end}, seed {told.seed}: "
        f"{told.decisions:,} decisions, as production takes them.</p>"
    )
    yield _cards(told)
    if changes:
        yield from _changes(changes, against)
    days = [f"{told.start + timedelta(days=day):%-d %b}" for day in range(told.days)]
    yield "<h2>Messages</h2>"
    yield "<h3>Each day, by channel</h3>"
    yield plots.stacked({name: it.per_day for name, it in told.channels.items()}, days)
    yield '<div class="two"><div><h3>By hour of the subscribers’ clocks</h3>'
    hours = [f"{hour}:00" for hour in range(24)]
    yield plots.stacked({name: it.per_hour for name, it in told.channels.items()}, hours, HALF)
    yield "</div><div><h3>Put off and withheld each day</h3>"
    kept = {"put off": told.put_off_per_day, "withheld": told.withheld_per_day}
    yield plots.lines(kept, days, HALF)
    yield "</div></div>"
    yield from _load(told)
    yield from _journeys(told)
    yield '<h2>What was kept back, and why</h2><div class="two"><div><h3>Put off (how often)</h3>'
    yield plots.rows(told.put_off) if told.put_off else "<p>Nothing.</p>"
    yield "</div><div><h3>Withheld (messages)</h3>"
    yield plots.rows(told.withheld) if told.withheld else "<p>Nothing.</p>"
    yield "</div></div>"
    yield '<h2>Answers</h2><div class="two"><div><h3>Replies each day</h3>'
    yield plots.stacked({"replies": told.replies_per_day}, days, HALF)
    yield "</div><div><h3>Opt-outs each day</h3>"
    yield plots.stacked({"opt-outs": told.opt_outs_per_day}, days, HALF)
    yield "</div></div>"
    yield from _points(told, days)


def _cards(told: Forecast) -> str:
    each = told.messages / told.people if told.people else 0
    cards = {
        "messages": amount(told.messages),
        "a person": f"{each:.1f}",
        f"cost, {told.currency}".rstrip(", "): f"{float(told.cost):,.2f}",
        "replies": amount(told.replies),
        "opt-outs": amount(told.opt_outs),
        "points owed at the end": amount(told.points.liability[-1]),
    }
    drawn = (f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in cards.items())
    return f'<div class="cards">{"".join(drawn)}</div>'


def _load(told: Forecast) -> Iterator[str]:
    yield "<h2>Load on carriers</h2>"
    rows = []
    for name, it in told.channels.items():
        rate = f"{it.rate_per_s:g}/s" if it.rate_per_s else "not known"
        late = it.wait_s is not None and it.wait_s > 60
        rows.append(
            (
                escape(name), amount(it.messages), amount(it.units), amount(it.moved),
                amount(it.failed), f"{float(it.cost):,.2f}",
                f"{it.peak_second.count:,}/s", f"{it.peak_minute.count:,}",
                f"{it.peak_minute.at:%-d %b %H:%M}" if it.peak_minute.at else "", rate,
                _coloured(_span(it.wait_s), bad=late) if it.wait_s is not None else "",
            )
        )  # fmt: skip
    head = (
        "channel", "messages", "units", "moved here", "failed", f"cost {told.currency}",
        "most in a second", "in a minute", "at (UTC)", "configured rate", "longest wait",
    )  # fmt: skip
    yield _table(head, rows)
    yield (
        "<p>As the paces of journeys let them go. Units: parts of SMS, else messages. Neither pace "
        "nor stock holds anybody up here: whoever gets a message that a pace would hold back "
        "answers, waits and is counted from the moment it was decided, and who buys what is sold "
        "out pays for it.</p>"
    )


def _journeys(told: Forecast) -> Iterator[str]:
    yield "<h2>Journeys</h2>"
    head = (
        "journey", "entered", "wanted to send", "sent", "withheld", "waiting", "put off",
        "hours late", "goal", "held out",
    )  # fmt: skip
    yield _table(head, [_journey(name, it) for name, it in told.journeys.items()])
    yield (
        "<p>Put off at least once; hours late: of those, on average. Goals depend on what the "
        "audience was told to do; compare those who got the messages with those held out.</p>"
    )
    absent = [
        f"<p>{escape(name)}: nobody came in; {escape(it.absent)}</p>"
        for name, it in told.journeys.items()
        if it.absent
    ]
    if absent:
        yield "<h3>Who is not there</h3>"
        yield from absent
    starved = [
        (escape(name), escape(by), f"{count:,}", f"{it.late_by_h.get(by, 0.0):,.0f}")
        for name, it in told.journeys.items()
        for by, count in it.held_by.items()
    ]
    if starved:
        yield "<h3>Who keeps whom waiting</h3>"
        yield _table(("journey", "by messages of", "times", "hours lost"), starved, text={1})
        yield "<p>A message of the one was put off or withheld because of one of the other.</p>"


def _journey(name: str, it: Fate) -> Sequence[str]:
    starved = it.wanted and it.sent < it.wanted / 2
    sent = f"{amount(it.sent)} ({it.sent / it.wanted:.0%})" if it.wanted else "0"
    return (
        escape(name), amount(it.entered), amount(it.wanted),
        _coloured(sent, bad=bool(starved)), amount(sum(it.withheld.values())),
        amount(it.waiting), amount(it.held), f"{it.late_h:,.1f}", _goal(it.goal),
        _goal(it.control_goal),
    )  # fmt: skip


def _goal(goal: Goal | None) -> str:
    return f"{goal.share:.1%} of {amount(goal.of)}" if goal is not None else ""


def _points(told: Forecast, days: Sequence[str]) -> Iterator[str]:
    points = told.points
    yield (
        f"<h2>Points</h2><p>{points.before:,} owned before; {points.issued:,} issued, "
        f"{points.spent:,} spent, {points.expired:,} expired.</p>"
        '<div class="two"><div><h3>Owed at the end of each day</h3>'
    )
    yield plots.lines({"owed": points.liability}, days, HALF)
    yield "</div><div><h3>By reason</h3>"
    yield plots.rows(points.by_reason) if points.by_reason else "<p>None.</p>"
    yield "</div></div>"
    if told.rewards:
        rows = [
            (
                escape(name),
                _coloured(amount(it.redeemed), bad=it.redeemed > it.stock),
                amount(it.stock),
            )
            for name, it in told.rewards.items()
        ]
        yield _table(("reward", "bought", "in stock"), rows)
        yield (
            "<p>Red: more were bought than are in stock. It would be sold out by then, and whoever "
            "came later would keep their points.</p>"
        )


def _changes(changes: Sequence[Difference], against: str) -> Iterator[str]:
    yield f"<h2>Against {escape(against)}</h2>"
    rows = [
        (
            it.name.count(".") < 2,
            (escape(it.name), _number(it.before), _number(it.after), it.change),
        )
        for it in changes
        if it.change
    ]
    if not rows:
        yield "<p>Nothing differs.</p>"
        return
    head = ("", "before", "after", "change")
    yield _table(head, [row for is_whole, row in rows if is_whole])
    yield "<details><summary>By channel and journey</summary>"
    yield _table(head, [row for is_whole, row in rows if not is_whole])
    yield "</details>"


def _number(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}"


def _table(head: Iterable[str], rows: Iterable[Sequence[str]], text: Iterable[int] = ()) -> str:
    texts = {*text}

    def kind(column: int) -> str:
        return ' class="text"' if column in texts else ""

    heads = "".join(f"<th{kind(n)}>{escape(it)}</th>" for n, it in enumerate(head))
    body = "".join(
        f"<tr>{''.join(f'<td{kind(n)}>{it}</td>' for n, it in enumerate(row))}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{heads}</tr>{body}</table></div>'


def _coloured(text: str, bad: bool) -> str:
    return f'<span class="bad">{text}</span>' if bad else text


def _span(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
