"""What an author remarks among what a test expects: comments, and what each is about."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from msgspec import Struct

from orchestrator.project.allowances import comments
from orchestrator.project.trials.compare import kind_of
from orchestrator.project.trials.forms import Expected
from orchestrator.project.trials.story import Came


class Remark(Struct):
    """The comments above or within an item, and the one behind it."""

    above: list[str] = []
    behind: str = ""


class Remarks:
    """The comments of an `expect`. `head` stands behind the key itself."""

    def __init__(self, before: Sequence[Expected], items: Sequence[Remark], head: str) -> None:
        self.head = head
        self._left = [*zip(before, items, strict=False)]

    def of(self, came: Came) -> Remark:
        """What was remarked of this where it was expected, at its time or at another."""
        same = [it for it in self._left if _names(it[0]) == (came.kind, came.what)]
        same.sort(key=lambda it: it[0].at != came.at)
        if not same:
            return Remark()
        self._left.remove(same[0])
        return same[0][1]


def remarks(
    text: str, key: yaml.Node, value: yaml.CollectionNode, end: int, before: Sequence[Expected]
) -> Remarks:
    """The comments between the key and `end`."""
    items = value.value if isinstance(value, yaml.SequenceNode) else []
    said = [Remark() for _ in items]
    head = ""
    for start, stop in comments(text):
        if not key.start_mark.index < start < end or value.flow_style:
            continue
        words = text[start:stop].rstrip()
        alone = not text[text.rfind("\n", 0, start) + 1 : start].strip()
        begun = sum(it.start_mark.index <= start for it in items)
        within = begun and start < _last(items[begun - 1])
        if alone and (within or begun < len(items)):
            said[begun - 1 if within else begun].above.append(words)
        elif begun:
            said[begun - 1].behind = words
        else:
            head = words
    return Remarks(before, said, head)


def _names(expected: Expected) -> tuple[str, object]:
    kind = kind_of(expected)
    return kind, getattr(expected, kind)


def _last(node: yaml.Node) -> int:
    """Where the last of it begins."""
    if isinstance(node, yaml.MappingNode):
        return max((_last(value) for _, value in node.value), default=node.start_mark.index)
    return int(node.start_mark.index)
