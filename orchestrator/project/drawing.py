"""A journey drawn: an SVG, laid out from its tree.

Steps stand one below the other on an axis; the branches of a step stand side by side below it and
come together again. A block reaches so far to the left and so far to the right of its axis, so
nothing ever crosses, and no solver is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from unicodedata import east_asian_width
from xml.sax.saxutils import escape as escaped
from xml.sax.saxutils import quoteattr

from msgspec import Struct

from orchestrator.project.graph import NOBODY, Box, Branch, Node, People, Sketch

STYLE = """
.graph { font: 13px/1.4 system-ui, -apple-system, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans", "Noto Sans CJK SC", sans-serif; --paper: #fff; --ink: #12171c; --soft: #566270; --edge: #9aa7b3; --box: #f6f8fa; --line: #cfd8df; --say: #0b7a5b; --wait: #a15c00; --ask: #6d3fc0; --do: #4a6b8a; --out: #0a66b7; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { .graph { --paper: #0f1317; --ink: #e9edf0; --soft: #95a1ad; --edge: #5f6c78; --box: #1a2128; --line: #36414c; --say: #59d0a6; --wait: #f0b65e; --ask: #b79bf5; --do: #9db8d2; --out: #7cbcf7; --bad: #ff8a80; } }
.graph .paper { fill: var(--paper); }
.graph text { fill: var(--ink); }
.graph .head { font-size: 18px; font-weight: 700; }
.graph .soft { fill: var(--soft); font-size: 12px; }
.graph .id { fill: var(--soft); font-size: 11px; }
.graph .title { font-weight: 650; }
.graph .box { fill: var(--box); stroke: var(--line); }
.graph .pill { fill: var(--paper); stroke: var(--edge); }
.graph .mark { fill: var(--do); }
.graph .send .mark, .graph .ask .mark, .graph .hand_over .mark { fill: var(--say); }
.graph .wait .mark, .graph .wait_for .mark { fill: var(--wait); }
.graph .when .mark, .graph .split .mark { fill: var(--ask); }
.graph .emit .mark, .graph .enroll .mark { fill: var(--out); }
.graph .leave .mark { fill: var(--bad); }
.graph .way { fill: none; stroke: var(--edge); stroke-width: 1.5; }
.graph .other { stroke: var(--out); stroke-dasharray: 4 4; }
.graph .tip { fill: var(--edge); }
.graph .why { fill: var(--paper); stroke: none; }
.graph .why-text { font-size: 12px; fill: var(--ask); font-weight: 600; }
.graph .journey-text { fill: var(--out); font-weight: 600; }
.graph .people rect { fill: var(--say); }
.graph .people text { fill: var(--paper); font-size: 11.5px; font-weight: 700; }
.graph a:hover .box, .graph a:focus-visible .box { stroke: var(--say); stroke-width: 2; }
"""  # noqa: E501 - a style is read rule by rule
"""Light and dark. A page that forbids styles within pictures takes it as a sheet of its own."""

WIDTH = 252
_PAD, _LINE, _SMALL = 12, 17, 16
_GAP = 30  # between two steps, for an arrow
_BETWEEN = 26  # between two branches
_LABEL = 190  # the widest a branch's label gets
_SIDE = 26  # from a step to another journey beside it
_EM = {"title": 13.0, "line": 12.0, "id": 11.0, "head": 18.0}
_NARROW = {"title": 0.6, "line": 0.57, "id": 0.56, "head": 0.62}

Link = Callable[[str], str]


class _Size(Struct, frozen=True):
    """How far something reaches left and right of its axis, and how high it is."""

    left: float
    right: float
    height: float


def svg(
    tree: Sketch,
    *,
    elsewhere: People = NOBODY,
    styled: bool = True,
    message_link: Link | None = None,
    journey_link: Link | None = None,
) -> str:
    """The picture. With `styled` it carries its own style. The links give the addresses that a
    message, or another journey, is shown at."""
    return _Drawing(tree.version, message_link, journey_link).whole(tree, elsewhere, styled)


class _Drawing:
    def __init__(self, version: str, message_link: Link | None, journey_link: Link | None) -> None:
        self._version = version
        self._message_link = message_link
        self._journey_link = journey_link
        self._ways: list[str] = []
        self._marks: list[str] = []

    def whole(self, tree: Sketch, elsewhere: People, styled: bool) -> str:
        facts = [*tree.facts, *_elsewhere(elsewhere)]
        size = _block_size(tree.steps)
        start = _node_size(tree.start)
        wide = max(_wide(line, "line") for line in (*facts, tree.summary, tree.journey * 2))
        left = max(size.left, start.left) + 24
        width = max(left + max(size.right, start.right) + 24, wide + 48)
        axis = left + (width - left - max(size.right, start.right) - 24) / 2
        top = self._heading(tree, facts)
        self._node(tree.start, axis, top)
        bottom = self._block(tree.steps, axis, top + start.height)
        if bottom is not None:
            self._arrow(axis, bottom, bottom + _GAP)
            self._pill("end", axis, bottom + _GAP)
        height = top + start.height + size.height + (_GAP + 30 if bottom is not None else 0) + 20
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" width="{width:.0f}" '
                f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
                f"aria-label={quoteattr(_printable(f'{tree.journey}: {tree.summary}'))}>",
                *([f"<style>{STYLE}</style>"] if styled else []),
                f'<rect class="paper" width="{width:.0f}" height="{height:.0f}" rx="12"/>',
                *self._ways,
                *self._marks,
                "</svg>\n",
            )
        )

    def _heading(self, tree: Sketch, facts: Sequence[str]) -> float:
        self._text(24, 38, tree.journey, "head")
        y = 60.0
        for line in (tree.summary, *facts):
            if line:
                self._text(24, y, line, "soft")
                y += _LINE
        return y + 10

    def _block(self, steps: Iterable[Box], axis: float, y: float) -> float | None:
        """Where the way on leaves the last of these steps; None if the journey ends there."""
        for box in steps:
            self._arrow(axis, y, y + _GAP)
            y += _GAP
            self._node(box.node, axis, y)
            self._beside(box, axis, y)
            y += _node_size(box.node).height
            if box.ends:
                return None
            if box.branches:
                after = self._branches(box.branches, axis, y)
                if after is None:
                    return None
                y = after
        return y

    def _branches(self, branches: Sequence[Branch], axis: float, y: float) -> float | None:
        """The branches side by side, and where they have come together again."""
        sizes = [_branch_size(branch) for branch in branches]
        row = y + 14
        deepest = row + max(size.height for size in sizes)
        x = axis - _row_width(sizes) / 2
        ends = []
        for branch, size in zip(branches, sizes, strict=True):
            middle = x + size.left
            self._way(axis, y, middle, row, turn=row)
            label = _wrapped(branch.label, "line", _LABEL)
            corner = 0 if abs(middle - axis) < 1 else 8
            self._way(middle, row + corner, middle, row + 12 + _SMALL * len(label) + 6)
            self._why(label, middle, row + 12)
            end = self._block(branch.steps, middle, row + 12 + _SMALL * len(label) + 6)
            if end is not None:
                ends.append((middle, end))
            x += size.left + size.right + _BETWEEN
        for middle, end in ends:
            self._way(middle, end, axis, deepest + 14, turn=deepest + 14)
        return deepest + 14 if ends else None

    def _beside(self, box: Box, axis: float, y: float) -> None:
        """The other journeys that the step leads to."""
        for number, (name, how) in enumerate(box.others):
            x, line = axis + WIDTH / 2, y + 20 + 40 * number
            width = _wide(name, "title") + 26
            long = _SIDE + _wide(how, "id") + 8
            self._ways.append(f'<path class="way other" d="M{x:.1f} {line:.1f}h{long:.1f}"/>')
            self._text(x + 10, line - 5, how, "id")
            x += long
            self._linked(
                self._journey_link(name) if self._journey_link else "",
                f'<rect class="pill" x="{x:.1f}" y="{line - 15:.1f}" width="{width:.1f}" '
                f'height="30" rx="6"/>',
                _text(x + 13, line + 4.5, name, "journey-text"),
            )

    def _node(self, node: Node, axis: float, y: float) -> None:
        height = _node_size(node).height
        x = axis - WIDTH / 2
        parts = [
            f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{WIDTH}" height="{height:.1f}" '
            f'rx="{_rounding(node)}"/>'
        ]
        if node.kind != "start":
            parts.append(
                f'<rect class="mark" x="{x:.1f}" y="{y + 8:.1f}" width="4" '
                f'height="{height - 16:.1f}" rx="2"/>'
            )
        line = y + _PAD
        for text, kind in _written(node):
            line += _LINE
            parts.append(_text(x + 16, line - 5, text, kind))
        if node.at:
            parts.append(_text(x + WIDTH - 12, y + _PAD + _LINE - 5, node.at, "id", "end"))
        link = self._message_link(node.message) if self._message_link and node.message else ""
        self._marks.append(f'<g class="{_escape(node.kind)}">')
        self._linked(link, *parts)
        self._marks.append("</g>")
        if node.people:
            self._people(node, axis + WIDTH / 2, y)

    def _people(self, node: Node, x: float, y: float) -> None:
        versions = node.people
        said = counted(versions, self._version)
        width = _wide(said, "line") + 14
        by_version = ", ".join(f"{count:,} in {version}" for version, count in versions.items())
        self._marks.append(
            f'<g class="people"><title>{_escape(by_version)}</title>'
            f'<rect x="{x - width + 8:.1f}" y="{y - 10:.1f}" width="{width:.1f}" height="20" '
            f'rx="10"/>{_text(x - width / 2 + 8, y + 4, said, "", "middle")}</g>'
        )

    def _pill(self, text: str, axis: float, y: float) -> None:
        width = _wide(text, "title") + 40
        self._marks.append(
            f'<rect class="pill" x="{axis - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="30" rx="15"/>{_text(axis, y + 20, text, "", "middle")}'
        )

    def _why(self, lines: Sequence[str], x: float, y: float) -> None:
        width = max(_wide(line, "line") for line in lines) + 12
        self._marks.append(
            f'<rect class="why" x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{_SMALL * len(lines) + 2}"/>'
        )
        for number, line in enumerate(lines, 1):
            self._marks.append(_text(x, y + _SMALL * number - 3, line, "why-text", "middle"))

    def _arrow(self, x: float, y: float, to: float) -> None:
        self._way(x, y, x, to - 6)
        self._ways.append(f'<path class="tip" d="M{x - 4.5:.1f} {to - 8:.1f}h9l-4.5 8z"/>')

    def _way(self, x: float, y: float, to_x: float, to_y: float, turn: float = 0) -> None:
        """Down; over at the height `turn`, with round corners; down."""
        if abs(x - to_x) < 1:
            self._ways.append(f'<path class="way" d="M{x:.1f} {y:.1f}V{to_y:.1f}"/>')
            return
        side = 8 if to_x > x else -8
        over = f"M{x:.1f} {y:.1f}V{turn - 8:.1f}q0 8 {side} 8H{to_x - side:.1f}"
        down = f"q{side} 0 {side} 8" if to_y == turn and y < turn else ""
        self._ways.append(f'<path class="way" d="{over}{down}"/>')

    def _linked(self, link: str, *parts: str) -> None:
        inner = "".join(parts)
        self._marks.append(f"<a href={quoteattr(link)}>{inner}</a>" if link else inner)

    def _text(self, x: float, y: float, text: str, kind: str) -> None:
        self._marks.append(_text(x, y, text, kind))


def _printable(text: str) -> str:
    """The text without what XML cannot hold."""
    return "".join(it if it.isprintable() else " " for it in text)


def _escape(text: str) -> str:
    """The text within markup."""
    return escaped(_printable(text))


def _text(x: float, y: float, text: str, kind: str, anchor: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{named}{where}>{_escape(text)}</text>'


def _written(node: Node) -> Iterator[tuple[str, str]]:
    """The lines of a box, and what kind each is."""
    if node.kind not in ("start", "end"):
        yield _cut(node.id, "id", WIDTH - 34 - (_wide(node.at, "id") if node.at else 0)), "id"
    for line in _wrapped(node.title, "title", WIDTH - 28):
        yield line, "title"
    most = 8 if node.kind == "start" else 3  # what a trigger asks is what it is
    for text in node.lines:
        for line in _wrapped(text, "line", WIDTH - 28, most):
            yield line, "soft"


def _node_size(node: Node) -> _Size:
    lines = sum(1 for _ in _written(node))
    return _Size(WIDTH / 2, WIDTH / 2, 2 * _PAD + _LINE * lines - 4)


def _rounding(node: Node) -> int:
    return 16 if node.kind in ("start", "leave") else 8


def _box_size(box: Box) -> _Size:
    size = _node_size(box.node)
    right = size.right
    for name, how in box.others:
        right = max(right, size.right + _SIDE + 8 + _wide(how, "id") + _wide(name, "title") + 26)
    height = max(size.height, 40 * len(box.others))
    if not box.branches:
        return _Size(size.left, right, height)
    sizes = [_branch_size(branch) for branch in box.branches]
    half = _row_width(sizes) / 2
    deepest = max(it.height for it in sizes)
    return _Size(max(size.left, half), max(right, half), size.height + 28 + deepest)


def _row_width(sizes: Sequence[_Size]) -> float:
    return sum(it.left + it.right for it in sizes) + _BETWEEN * (len(sizes) - 1)


def _branch_size(branch: Branch) -> _Size:
    label = _wrapped(branch.label, "line", _LABEL)
    half = max(_wide(line, "line") for line in label) / 2 + 6
    inner = _block_size(branch.steps)
    height = 12 + _SMALL * len(label) + 6 + inner.height
    return _Size(max(half, inner.left), max(half, inner.right), height)


def _block_size(steps: Iterable[Box]) -> _Size:
    sizes = [_box_size(box) for box in steps]
    return _Size(
        max((it.left for it in sizes), default=0),
        max((it.right for it in sizes), default=0),
        sum(it.height + _GAP for it in sizes),
    )


def counted(people: Mapping[str, int], version: str) -> str:
    """`40`, or with those in other versions `40 + 2`."""
    others = sum(count for it, count in people.items() if it != version)
    return f"{people.get(version, 0):,}{f' + {others:,}' if others else ''}"


def _elsewhere(people: People) -> Iterator[str]:
    for step, counts in people.items():
        for version, count in counts.items():
            yield f"{count:,} in version {version} at {step}, a step that this version lacks"


def _wide(text: str, kind: str) -> float:
    """About how wide it is on the screen: the font is the reader's."""
    em = _EM[kind]
    return sum(em if east_asian_width(it) in "WF" else em * _NARROW[kind] for it in text)


def _cut(text: str, kind: str, width: float) -> str:
    if _wide(text, kind) <= width:
        return text
    while text and _wide(text, kind) > width - 10:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _wrapped(text: str, kind: str, width: float, most: int = 3) -> list[str]:
    """At most so many lines; what is longer ends in an ellipsis."""
    lines, line = [], ""
    for word in _pieces(text):
        if line and _wide(line + word.rstrip(), kind) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
    lines.append(line.rstrip())
    if len(lines) > most:
        lines = [*lines[: most - 1], _cut(" ".join(lines[most - 1 :]), kind, width)]
    return [_cut(it, kind, width) for it in lines]


def _pieces(text: str) -> Iterator[str]:
    """The text in pieces between which a line may end: after a space, a / or a wide letter, but
    not before a /."""
    piece = ""
    for number, letter in enumerate(text, 1):
        piece += letter
        ends = letter in " /" or east_asian_width(letter) in "WF"
        after = text[number : number + 2]
        if ends and not after.lstrip().startswith("/") and not (letter == "/" and after[:1] == " "):
            yield piece
            piece = ""
    if piece:
        yield piece
