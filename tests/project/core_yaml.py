"""YAML as editors read it: the core schema of YAML 1.2 (YAML 1.2.2 §10.3.2), in which `no` and
`12:30` are text, and `0123` a number."""

from __future__ import annotations

import re
from typing import Any

import yaml


class CoreLoader(yaml.SafeLoader):
    """PyYAML's reader, with the core schema's scalars instead of those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_FORMS = {
    "tag:yaml.org,2002:null": r"null|Null|NULL|~|",
    "tag:yaml.org,2002:bool": r"true|True|TRUE|false|False|FALSE",
    "tag:yaml.org,2002:int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "tag:yaml.org,2002:float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
for _tag, _form in _FORMS.items():
    CoreLoader.add_implicit_resolver(_tag, re.compile(rf"(?:{_form})\Z"), None)


def _integer(loader: CoreLoader, node: yaml.ScalarNode) -> int:
    return int(node.value, 0) if node.value[:2] in ("0o", "0x") else int(node.value)


def _number(loader: CoreLoader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", node.value.lower()))


def _mapping(loader: CoreLoader, node: yaml.MappingNode) -> dict[str, Any]:
    pairs = [(key.value, loader.construct_object(value, deep=True)) for key, value in node.value]
    return dict(pairs)


CoreLoader.add_constructor("tag:yaml.org,2002:int", _integer)
CoreLoader.add_constructor("tag:yaml.org,2002:float", _number)
CoreLoader.add_constructor("tag:yaml.org,2002:map", _mapping)


def core(text: str) -> Any:
    """The one document in the text, as JSON values; keys are the texts they were written as."""
    return yaml.load(text, CoreLoader)
