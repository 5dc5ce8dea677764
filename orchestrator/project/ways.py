"""Examples for what a template says only where several things are so at once.

Which way a template takes for somebody is told by the words that stand in it: those that no example
has come to yet are looked for, with more and more values that differ from the usual ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, combinations, islice, product
from typing import Any

from jinja2 import TemplateSyntaxError, nodes

from orchestrator.core.model import Content
from orchestrator.project.examples import ALWAYS, MAY_LACK, PARSER, Example, Use, called

_MOST_TRIED = 600
_MOST_TOGETHER = 3
_OTHERWISE = "another"
"""A text that none of the template's own is."""

Says = Callable[[Example], list[Content]]
"""All that an example gets."""


def deeper(
    text: str, used: Mapping[str, Use], made: Sequence[Example], says: Says
) -> Iterator[Example]:
    """Examples each of which gets words of this template that neither those `made`, of which the
    first is the usual one, nor those before it get."""
    unseen = _said_on_the_way(text)
    for number, example in enumerate(chain(made, islice(_tried(used, made[0]), _MOST_TRIED))):
        if not unseen:
            return
        whole = "\n".join(map(_flat, says(example)))
        fresh = {words for words in unseen if words in whole}
        if fresh and number >= len(made):
            yield example
        unseen -= fresh


def _said_on_the_way(text: str) -> set[str]:
    """The words that the template says only if something is so."""
    try:
        tree = PARSER.parse(text)
    except TemplateSyntaxError:
        return set()
    found: list[Any] = []
    for node in tree.find_all(nodes.If):
        for inner in (*node.body, *node.else_):
            found += [it.data for it in inner.find_all(nodes.TemplateData)]
            found += [it.data for it in getattr(inner, "nodes", ()) if hasattr(it, "data")]
    for choice in tree.find_all(nodes.CondExpr):
        found += [it.value for it in (choice.expr1, choice.expr2) if isinstance(it, nodes.Const)]
    words = (max(re.split(r"[=|]", it), key=len).strip() for it in found if isinstance(it, str))
    return {it for it in words if it}


def _tried(used: Mapping[str, Use], usual: Example) -> Iterator[Example]:
    """With one value other than usual, then with two, then with three."""
    values = {
        name: [*_values(name, use, usual.values[name])]
        for name, use in used.items()
        if name in usual.values
    }
    for several in range(1, _MOST_TOGETHER + 1):
        for names in combinations(values, several):
            for chosen in product(*(values[name] for name in names)):
                other = dict(zip(names, chosen, strict=True))
                said = ", ".join(called(name, value) for name, value in other.items())
                yield Example(said, {**usual.values, **other})


def _values(name: str, use: Use, usual: Any) -> Iterator[Any]:
    """What may decide which way it goes, besides the usual value."""
    found: list[Any] = []
    for constant in use.constants:
        if isinstance(usual, list):
            found.append([*usual, constant])
        elif isinstance(constant, bool):
            found.append(not usual)
        elif isinstance(constant, int | float):
            found += [constant - 1, constant, constant + 1]
        else:
            found += [constant, _OTHERWISE]
    if isinstance(usual, bool):
        found.append(not usual)
    if name.split(".")[0] in MAY_LACK and name not in ALWAYS:
        found.append(None)
    kept: list[Any] = []
    for value in found:
        if value != usual and value not in kept:
            kept.append(value)
    yield from kept


def _flat(content: Content) -> str:
    buttons = (word for it in content.buttons for word in (it.label, it.reply))
    parts = content.text, content.subject, content.href, content.action, content.image, *buttons
    return "\n".join(filter(None, parts))
