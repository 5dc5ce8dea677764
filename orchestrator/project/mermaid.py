"""A journey as a flowchart in Mermaid, the language that Markdown pages draw diagrams in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.project.graph import Graph, Node

_SHAPES: Mapping[str, tuple[str, str]] = {
    "start": ("([", "])"),
    "end": ("([", "])"),
    "leave": ("([", "])"),
    "journey": ("[[", "]]"),
    "when": ("{{", "}}"),
    "split": ("{{", "}}"),
    "wait": ("[/", "/]"),
    "wait_for": ("[/", "/]"),
}
"""Of other kinds: a box."""

_ARROWS = {"other": "-.->"}

_NOT_PLAIN = frozenset('"#&;<>`|\\[]{}()')
"""What would end a text, begin markup, or be read as another character's number."""


def mermaid(graph: Graph) -> str:
    """The flowchart, from top to bottom, with a line for each node and each edge."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    yield f"%% {_comment(graph.journey)}: {_comment(graph.summary)}"
    yield "flowchart TD"
    names = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        opens, closes = _SHAPES.get(node.kind, ("[", "]"))
        said = "<br/>".join(map(_escaped, _said(node, graph.version)))
        yield f'  {names[node.id]}{opens}"{said}"{closes}'
    for edge in graph.edges:
        label = f'|"{_escaped(edge.label)}"|' if edge.label else ""
        arrow = _ARROWS.get(edge.kind, "-->")
        yield f"  {names[edge.source]} {arrow}{label} {names[edge.target]}"


def _said(node: Node, version: str) -> Iterator[str]:
    if node.kind not in ("start", "end", "journey"):
        yield f"{node.id} · {node.at}" if node.at else node.id
    yield node.title
    yield from node.lines
    if node.people:
        others = sum(count for it, count in node.people.items() if it != version)
        more = f", {others:,} in other versions" if others else ""
        yield f"{node.people.get(version, 0):,} here{more}"


def _escaped(text: str) -> str:
    """The text within quotes. Mermaid writes a character as # and its number and ;."""
    shown = " ".join(text.split())
    return "".join(f"#{ord(it)};" if it in _NOT_PLAIN else it for it in shown if it.isprintable())


def _comment(text: str) -> str:
    """On one line, and without what Mermaid takes for a directive in a comment."""
    return " ".join(text.split()).replace("{", "(").replace("}", ")")
