"""The lint rules, a class each, by subject. A class that is added here is a rule that is checked,
and `tests/project/bad/` must hold a file that it finds something in."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from orchestrator.project.rules.base import Rule


def _find() -> dict[str, type[Rule]]:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return {rule.name(): rule for rule in Rule.__subclasses__()}


RULES: dict[str, type[Rule]] = _find()
"""Every rule by name."""
