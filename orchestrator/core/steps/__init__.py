"""The step types, one file each. The word that names a type is its class's first own field."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from orchestrator.core.steps.base import Step


def _find() -> dict[str, type[Step]]:
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return {cls.word(): cls for cls in Step.__subclasses__()}


STEP_TYPES: dict[str, type[Step]] = _find()
"""Every step type by its word in the YAML: adding a file here adds the type."""
