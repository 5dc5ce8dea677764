"""The JSON Schema of `channels.yaml`, for editors: from the settings of every kind of channel.

A setting is read as text first, in which `${NAME}` is the environment's. So where a number or a
word may stand, such a text may; and where a text may, whatever YAML takes for a number.
"""

from __future__ import annotations

from typing import Any

import msgspec

from channels.registry import kind_names, kind_of
from orchestrator.project.docstrings import said_of, text, unwrapped
from orchestrator.project.patterns import TEXT
from orchestrator.project.schema import DIALECT, Schema, scalar, spoken
from orchestrator.runtime.channels import ALWAYS, NAMES

_REF = "#/definitions/"
_FILLED: Schema = {"type": "string", "pattern": r"\$\{\w+\}"}
_LAX = {
    "integer": "^-?[0-9]+$",
    "number": r"^-?[0-9]+(?:\.[0-9]+)?$",
    "boolean": "^(?:true|false)$",
}
"""How msgspec takes these when they are written as text."""

_KIND = "The kind of channel, a page of docs/channels/. If left out: the one of the channel's name."


def channel_schema() -> Schema:
    """The schema. It loads the libraries of all kinds, which takes a second."""
    kinds = {name: kind_of(name).settings for name in kind_names()}
    shapes, parts = msgspec.json.schema_components(kinds.values(), ref_template=f"{_REF}{{name}}")
    definitions = {name: _relaxed(part) for name, part in parts.items()}
    for (name, settings), shape in zip(kinds.items(), shapes, strict=True):
        own = definitions.pop(shape["$ref"].removeprefix(_REF))
        for key, value in own["properties"].items():
            value |= spoken(said_of(settings, key))
        own |= {"title": name, **spoken(unwrapped(text(settings)))}
        own["properties"] = {"kind": {"const": name, **spoken(_KIND)}, **own["properties"]}
        definitions[name] = own
        definitions[f"{name}-named"] = {"allOf": [{"$ref": _REF + name}], "required": ["kind"]}
    return {
        "$schema": DIALECT,
        "type": "object",
        **spoken("The channels of an installation, by the names that journeys say in `via`."),
        "properties": {name: _channel(name) for name in NAMES},
        "additionalProperties": False,
        "definitions": definitions,
    }


def _channel(name: str) -> Schema:
    """A channel of this name is of the kind it names, or else of that which has its own."""
    usual = ALWAYS.get(name, name)
    others = [f"{it}-named" for it in kind_names() if it != usual]
    likely = [usual] if usual in kind_names() else []
    return {
        "type": "object",
        "properties": {"kind": {"enum": [*kind_names()], **spoken(_KIND)}},
        "anyOf": [{"$ref": _REF + it} for it in (*likely, *others)],
    }


def _relaxed(shape: Any) -> Any:
    """What msgspec says of a type, as it is read from texts."""
    default = shape.get("default")
    kept = {key: value for key, value in shape.items() if key != "default"}
    return {**_read(kept), **({"default": default} if default else {})}


def _read(shape: Schema) -> Schema:
    match shape:
        case {"anyOf": several}:
            return {"anyOf": [_relaxed(one) for one in several]}
        case {"enum": words}:
            return {"anyOf": [{"enum": words}, _FILLED]}
        case {"type": "object", "properties": own}:
            return {**shape, "properties": {key: _relaxed(value) for key, value in own.items()}}
        case {"type": "object", "additionalProperties": dict() as value}:
            return {"type": "object", "additionalProperties": _relaxed(value)}
        case {"type": "array", "prefixItems": items}:
            return {"type": "array", "items": [_relaxed(item) for item in items]}
        case {"type": "array", "items": item}:
            return {"type": "array", "items": _relaxed(item)}
        case {"type": "string", **bounds}:
            bounded = {**bounds, **scalar(TEXT)}
            return {"anyOf": [bounded, _FILLED]} if bounds else bounded
        case {"type": ("integer" | "number" | "boolean") as kind}:
            return {"anyOf": [shape, {"type": "string", "pattern": _LAX[kind]}, _FILLED]}
    return shape
