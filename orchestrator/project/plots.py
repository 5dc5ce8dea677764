"""Plots as SVG, to stand in a page: days as lines or as stacked bars, names as rows of bars.

Colours are the page's own variables (`--c1` …), so that it can be light or dark; nothing is loaded
from anywhere, and every value can be read by pointing at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HALF, HEIGHT = 1_000, 480, 220
COLOURS = 8
_LEFT, _BOTTOM, _TOP = 56, 22, 8
_ROW = 22


def amount(value: float) -> str:
    """1,234; 12.3 k; 4.56 M."""
    if value >= 1_000_000:
        return f"{value / 1_000_000:.3g} M"
    if value >= 10_000:
        return f"{value / 1_000:.3g} k"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def stacked(
    series: Mapping[str, Sequence[float]], labels: Sequence[str], width: int = WIDTH
) -> str:
    """A column for each label, of which each series is a part."""
    sums = [sum(parts) for parts in zip(*series.values(), strict=True)]
    top = _round_up(max(sums, default=0))
    step = (width - _LEFT) / max(1, len(labels))
    height = HEIGHT - _TOP - _BOTTOM
    drawn = []
    below = [0.0] * len(labels)
    for number, (_, values) in enumerate(series.items()):
        for at, value in enumerate(values):
            if value:
                tall = value / top * height
                y = HEIGHT - _BOTTOM - (below[at] + value) / top * height
                below[at] += value
                drawn.append(
                    f'<rect class="c{_colour(number)}" x="{_LEFT + at * step:.1f}" y="{y:.1f}" '
                    f'width="{max(0.5, step * 0.86):.1f}" height="{tall:.1f}"/>'
                )
    for at, label in enumerate(labels):
        said = ", ".join(f"{name} {amount(values[at])}" for name, values in series.items())
        drawn.append(_point(at * step, step, f"{label}: {said}"))
    return _svg([*_axes(top, labels, width), *drawn], width) + _legend(series)


def lines(series: Mapping[str, Sequence[float]], labels: Sequence[str], width: int = WIDTH) -> str:
    """A line for each series, over the labels."""
    top = _round_up(max((max(values, default=0) for values in series.values()), default=0))
    step = (width - _LEFT) / max(1, len(labels))
    height = HEIGHT - _TOP - _BOTTOM
    drawn = []
    for number, (_, values) in enumerate(series.items()):
        points = " ".join(
            f"{_LEFT + (at + 0.5) * step:.1f},{HEIGHT - _BOTTOM - value / top * height:.1f}"
            for at, value in enumerate(values)
        )
        drawn.append(f'<polyline class="l{_colour(number)}" points="{points}"/>')
    for at, label in enumerate(labels):
        said = ", ".join(f"{name} {amount(values[at])}" for name, values in series.items())
        drawn.append(_point(at * step, step, f"{label}: {said}"))
    return _svg([*_axes(top, labels, width), *drawn], width) + _legend(series)


def rows(values: Mapping[str, float], unit: str = "") -> str:
    """A bar for each name, in the order given."""
    top = max(values.values(), default=0) or 1
    height = _ROW * len(values) + 4
    left, room = 190, HALF - 190 - 60
    drawn = []
    for number, (name, value) in enumerate(values.items()):
        y = number * _ROW + 4
        drawn.append(f'<text class="name" x="{left - 8}" y="{y + 13}">{escape(name[:30])}</text>')
        wide = max(1.0, value / top * room) if value else 0.0
        drawn.append(f'<rect class="c1" x="{left}" y="{y}" width="{wide:.1f}" height="{_ROW - 6}">')
        drawn.append(f"<title>{escape(name)}: {value:,}{unit}</title></rect>")
        shown = f"{amount(value)}{unit}"
        drawn.append(f'<text x="{left + wide + 6:.1f}" y="{y + 13}">{escape(shown)}</text>')
    return _svg(drawn, HALF, height)


def _axes(top: float, labels: Sequence[str], width: int) -> list[str]:
    drawn = []
    for part in (0, 0.25, 0.5, 0.75, 1):
        y = HEIGHT - _BOTTOM - part * (HEIGHT - _TOP - _BOTTOM)
        drawn.append(f'<line x1="{_LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = amount(part * top)
        drawn.append(f'<text class="name" x="{_LEFT - 6}" y="{y + 4:.1f}">{text}</text>')
    step = (width - _LEFT) / max(1, len(labels))
    every = max(1, -(-len(labels) * 60 // (width - _LEFT)))
    for at in range(0, len(labels), every):
        x = _LEFT + at * step
        if x > width - 40:
            break
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - 6}">{escape(labels[at])}</text>')
    return drawn


def _point(x: float, step: float, said: str) -> str:
    """What is told of a column when it is pointed at."""
    height = HEIGHT - _TOP - _BOTTOM
    return (
        f'<rect class="hit" x="{_LEFT + x:.1f}" y="{_TOP}" width="{step:.1f}" height="{height}">'
        f"<title>{escape(said)}</title></rect>"
    )


def _legend(series: Mapping[str, Sequence[float]]) -> str:
    if len(series) < 2:
        return ""
    keys = (
        f'<span><i class="k{_colour(number)}"></i>{escape(name)}</span>'
        for number, name in enumerate(series)
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def _svg(drawn: Sequence[str], width: int, height: int = HEIGHT) -> str:
    """In a box of its own that scrolls where a screen is too narrow for what is written."""
    least = f"min-width:{width * 2 // 3}px"
    svg = f'<svg viewBox="0 0 {width} {height}" role="img" style="{least}">{"".join(drawn)}</svg>'
    return f'<div class="plot">{svg}</div>'


def _colour(number: int) -> int:
    return number % COLOURS + 1


def _round_up(top: float) -> float:
    """The next number that reads well on an axis, and can be quartered."""
    if top <= 4:
        return 4.0
    size = 10 ** (len(str(int(top))) - 1)
    steps = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)
    return next(float(part * size) for part in steps if part * size >= top)
