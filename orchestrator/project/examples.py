"""Example subscribers for a message: everything that its templates ask for has a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from jinja2 import Environment, TemplateSyntaxError, nodes
from msgspec import Struct

from orchestrator.project.draft import Draft

Kind: TypeAlias = Literal["text", "number", "boolean", "list", "date"]

ALWAYS = frozenset(
    {
        *("subscriber.key", "subscriber.locale", "subscriber.tags", "subscriber.created_at"),
        *("points.balance", "points.earned"),
    }
)
"""Names that have a value for everybody."""

MAY_LACK = ("subscriber", "usage", "event")
"""What is below these names may be missing."""

ROOTS = ("subscriber", "usage", "points", "event")

LACKING = "lacking"

_NUMBER_FILTERS = {"round", "abs", "int"}
_LIST_FILTERS = {"join", "first", "last", "sort", "unique"}
_ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg)
_ORDER = {"lt", "lteq", "gt", "gteq"}
PARSER = Environment(autoescape=False)

_WORDS: Mapping[str, tuple[str, str, str, str]] = {
    "name": ("Ann", "Maximiliane Oberhuber-Kastner", "王芳", "买买提江·阿卜杜热合曼"),
    "city": ("Cologne", "Garmisch-Partenkirchen", "杭州", "西双版纳傣族自治州"),
    "plan": ("Smart M", "Family Unlimited Plus Europe", "畅享39元套餐", "畅享全家199元不限量套餐"),
    "phone_brand": ("Nokia", "Sony Ericsson", "华为", "索尼爱立信"),
    "phone_os": ("android", "android", "android", "android"),
    "screen": ("240x320", "1080x2400", "240x320", "1080x2400"),
    "country": ("de", "de", "cn", "cn"),
    "url": ("https://shop.example/a",) * 4,
}
"""What an attribute of this name holds: usual and long, for most locales and for Chinese ones."""

_USUAL: Mapping[Kind, Any] = {
    "number": 42,
    "boolean": True,
    "list": ["one", "two"],
    "date": "2026-03-02",
}
_LARGE_NUMBER = 123_456
_ROOM = 24
"""Letters that a long text has, where nothing better is known."""

_POINTS = {"usual": {"balance": 120, "earned": 480}, "long": {"balance": 98_765, "earned": 123_456}}


class Use(Struct, frozen=True):
    """What a template does with a name: the kind of its values, and the constants that it is
    compared with."""

    kind: Kind = "text"
    constants: tuple[Any, ...] = ()


class Example(Struct, frozen=True):
    """One subscriber. `values` are by dotted name; a None is a value that they lack. One who is not
    `complete` has the usual values besides."""

    name: str
    values: Mapping[str, Any]
    complete: bool = False

    def over(self, usual: Example) -> Example:
        """The same, complete by the usual values."""
        return Example(self.name, {**usual.values, **self.values}, complete=True)

    def scope(self, extra: Mapping[str, Any]) -> dict[str, Any]:
        """What templates see of them, beside `extra`."""
        whole: dict[str, Any] = {
            **extra,
            **{root: {} for root in ROOTS},
        }
        for name, value in self.values.items():
            *groups, last = name.split(".")
            place = whole
            for group in groups:
                inner = place.get(group)
                place[group] = place = dict(inner) if isinstance(inner, dict) else {}
            place[last] = value
        usage = whole["subscriber"].get("usage")
        whole["usage"] = {**(usage if isinstance(usage, dict) else {}), **whole["usage"]}
        whole["subscriber"]["usage"] = whole["usage"]
        return whole

    def lacking(self, name: str) -> Example:
        """The same, without this value."""
        return Example(f"{LACKING} {name}", {**self.values, name: None})


def uses(texts: Iterable[str]) -> dict[str, Use]:
    """What these templates do with each name from outside, of those that can be read."""
    found: dict[str, list[Kind]] = {}
    constants: dict[str, list[Any]] = {}
    for text in texts:
        try:
            tree = PARSER.parse(text)
        except TemplateSyntaxError:
            continue
        own = {it.name for it in tree.find_all(nodes.Name) if it.ctx != "load"}
        for name in _names(tree):
            if name.split(".")[0] not in own:
                found.setdefault(name, [])
        for name, kind, constant in _hints(tree):
            if name in found:
                found[name].append(kind)
                if constant is not None and constant not in constants.setdefault(name, []):
                    constants[name].append(constant)
    return {
        name: Use(_surest(kinds, name), tuple(constants.get(name, ())))
        for name, kinds in found.items()
    }


def examples(draft: Draft, used: Mapping[str, Use], locale: str) -> list[Example]:
    """Example subscribers who write `locale`: the usual one, one with long values, one for each way
    that a template may take by a value, and one who lacks all that can be lacking."""
    declared = draft.settings.attributes if draft.settings else {}
    kinds = {name: _declared(declared, name) or use.kind for name, use in used.items()}

    def valued(size: str) -> dict[str, Any]:
        own = {
            "subscriber.key": "u1001",
            "subscriber.locale": locale,
            "subscriber.timezone": draft.settings.timezone if draft.settings else "UTC",
            "subscriber.tags": [],
            "subscriber.created_at": "2026-03-02T09:30:00Z",
            **{f"points.{name}": value for name, value in _POINTS[size].items()},
        }
        theirs = {
            name: _value(name, kinds[name], use, locale, size == "long")
            for name, use in used.items()
            if name.split(".")[0] in MAY_LACK and name not in own and "." in name
        }
        return {**own, **theirs}

    usual = Example("usual", valued("usual"))
    made = [usual, Example("long", valued("long"))]
    for name, use in used.items():
        for value in _others(use, usual.values.get(name)):
            if name.split(".")[0] in MAY_LACK:
                made.append(Example(called(name, value), {**usual.values, name: value}))
    lacks = dict.fromkeys(lackable(used))
    if lacks:
        made.append(Example(LACKING, {**usual.values, **lacks}))
    return made


def called(name: str, value: Any) -> str:
    """What an example is called that has this value: `plan = gold`, or `no plan`."""
    word = name.partition(".")[2]
    if value is None:
        return f"no {word}"
    said = ", ".join(map(str, value)) if isinstance(value, list) else value
    return f"{word} = {said or 'none'}"


def lackable(used: Mapping[str, Use]) -> list[str]:
    """Those of the names that a subscriber, or an event, may lack."""
    return [it for it in used if it.split(".")[0] in MAY_LACK and it not in ALWAYS]


def bots(draft: Draft, locale: str) -> dict[str, Any]:
    """What the bot's own messages are told besides."""
    tiers = [tier.name for tier in draft.points.tiers] if draft.points else []
    rewards = [
        {
            "number": number,
            "name": _in(reward.names, locale, reward.id),
            "cost_points": reward.cost_points,
            "missing_points": max(0, reward.cost_points - _POINTS["usual"]["balance"]),
        }
        for number, reward in enumerate(draft.rewards or (), 1)
    ] or [{"number": 1, "name": "A cup of coffee", "cost_points": 10, "missing_points": 0}]
    lines = [
        {"points": 20, "reason": "quiz", "name": "", "on": "2026-03-02"},
        {"points": -10, "reason": "redeemed", "name": rewards[0]["name"], "on": "2026-03-05"},
    ]
    return {
        "rewards": rewards,
        "reward": rewards[0],
        "lines": lines,
        "code": "7QK2-M4TX-9BDR-W3HP",
        "minutes": 15,
        "per_member": 1,
        "tier": tiers[0] if tiers else "silver",
        "next_tier": tiers[1] if len(tiers) > 1 else "gold",
        "to_next_tier": 120,
        "expiring_points": 30,
        "expiring_on": "2026-03-31",
    }


def _declared(declared: Mapping[str, str], name: str) -> Kind | None:
    """What program/project.yaml says of an attribute."""
    root, _, rest = name.partition(".")
    said = declared.get(rest if root == "subscriber" else name)
    known: tuple[Kind, ...] = ("text", "number", "boolean", "list")
    return next((it for it in known if it == said), None)


def _in(names: Mapping[str, str], locale: str, otherwise: str) -> str:
    return (
        names.get(locale)
        or names.get(locale.split("-")[0])
        or next(iter(names.values()), otherwise)
    )


def _value(name: str, kind: Kind, use: Use, locale: str, long: bool) -> Any:
    if kind == "number":
        return _LARGE_NUMBER if long else _USUAL["number"]
    if kind != "text":
        return _USUAL[kind]
    if use.constants:
        return use.constants[0]
    last = name.rpartition(".")[2]
    if words := _WORDS.get(last):
        return words[2 * locale.startswith("zh") + long]
    plain = last.replace("_", " ")
    return (f"{plain} " * _ROOM)[:_ROOM].rstrip() if long else plain


def _others(use: Use, usual: Any) -> Iterator[Any]:
    """Values that make a template take another way than the usual one does."""
    for constant in use.constants:
        if isinstance(usual, list):
            yield [*usual, constant]
        elif isinstance(constant, bool):
            continue
        elif not isinstance(constant, int | float):
            if constant != usual:
                yield constant
        elif isinstance(usual, int | float):
            yield constant - 1 if usual >= constant else constant + 1


def _surest(kinds: Sequence[Kind], name: str) -> Kind:
    """The kind that most uses speak for; a name alone speaks for some."""
    if kinds:
        return Counter(kinds).most_common(1)[0][0]
    if name.startswith("usage.") or name.endswith((".amount", ".count", "_mb", "_points")):
        return "number"
    return "text"


def _names(tree: nodes.Template) -> Iterator[str]:
    inner = {id(it.node) for it in tree.find_all(nodes.Getattr)}
    for node in tree.find_all((nodes.Name, nodes.Getattr)):
        if id(node) not in inner and (dotted := _dotted(node)):
            yield dotted


def _hints(tree: nodes.Template) -> Iterator[tuple[str, Kind, Any]]:
    """What each use of a name says of its kind, and the constant it is compared with."""
    for compare in tree.find_all(nodes.Compare):
        for operand in compare.ops:
            if name := _bare(compare.expr):
                yield from _compared(name, operand.op, operand.expr)
            if name := _bare(operand.expr):
                for _, kind, constant in _compared(name, operand.op, compare.expr):
                    yield name, "list" if operand.op in ("in", "notin") else kind, constant
    for loop in tree.find_all(nodes.For):
        if name := _bare(loop.iter):
            yield name, "list", None
    for filtered in tree.find_all(nodes.Filter):
        name = _bare(filtered.node) if filtered.node is not None else None
        if name and filtered.name in _NUMBER_FILTERS:
            yield name, "number", None
        elif name and filtered.name in _LIST_FILTERS:
            yield name, "list", None
        elif name and filtered.name == "date":
            yield name, "date", None
        elif name and filtered.name == "default" and filtered.args:
            value = filtered.args[0]
            if isinstance(value, nodes.Const) and type(value.value) in (int, float):
                yield name, "number", None
    for node in tree.find_all(_ARITHMETIC):
        for part in node.iter_child_nodes():
            if name := _bare(part):
                yield name, "number", None


def _compared(name: str, operator: str, other: nodes.Node) -> Iterator[tuple[str, Kind, Any]]:
    values = other.items if isinstance(other, nodes.List | nodes.Tuple) else [other]
    for value in values:
        if not isinstance(value, nodes.Const) or value.value is None:
            if operator in _ORDER:
                yield name, "number", None
        elif isinstance(value.value, bool):
            yield name, "boolean", value.value
        elif isinstance(value.value, int | float):
            yield name, "number", value.value
        elif isinstance(value.value, str) and operator in ("eq", "ne", "in", "notin"):
            yield name, "text", value.value


def _bare(node: nodes.Node) -> str | None:
    """The name that an expression is about, whatever default it has."""
    while isinstance(node, nodes.Filter) and node.name in ("default", "lower", "upper", "trim"):
        if node.node is None:
            return None
        node = node.node
    return _dotted(node)


def _dotted(node: nodes.Node) -> str | None:
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, nodes.Name) else None
