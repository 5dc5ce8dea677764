"""The one Jinja environment that messages are compiled in: a sandbox on top of the grammar."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template
from jinja2 import TemplateError as JinjaError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from orchestrator.core.render import grammar
from orchestrator.core.render.bounds import refill
from orchestrator.core.render.filters import FILTERS, REWRITTEN, TESTS, calculated
from orchestrator.core.render.grammar import TemplateError
from orchestrator.core.render.values import Missing, plain


class Compiled(Struct, frozen=True):
    """One template file, checked and compiled. `names` are the dotted names it uses."""

    file: str
    template: Template
    names: frozenset[str]


class _Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"-", "+"})

    def __init__(self) -> None:
        super().__init__(
            autoescape=False, undefined=Missing, finalize=plain, optimized=False, cache_size=0
        )
        self.filters = {**FILTERS, **REWRITTEN}
        self.tests = {**TESTS}
        self.globals = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if type(obj) is dict and (value := obj.get(attribute)) is not None:
            return value  # what nearly all are: one call less
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The part of a JSON value or of one of our frozen values; else missing. No object's
        methods or inner attributes can be reached, whatever it is."""
        value = None
        kind = type(obj)
        if kind is dict:
            value = obj.get(argument) if type(argument) is str else None
        elif kind is list or kind is tuple:
            if type(argument) is int and -len(obj) <= argument < len(obj):
                value = obj[argument]
        elif kind is LoopContext:
            value = getattr(obj, argument) if argument in grammar.LOOP else None
        elif isinstance(obj, Missing):
            return obj
        elif isinstance(obj, Struct):
            value = getattr(obj, argument) if argument in obj.__struct_fields__ else None
        elif isinstance(obj, Mapping):
            value = obj.get(argument)
        return Missing(name=str(argument)) if value is None else value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return calculated(operator, left, right)

    def call_unop(self, context: Context, operator: str, arg: Any) -> Any:
        return calculated(operator, 0, arg)


_SANDBOX = _Sandbox()


@lru_cache(maxsize=4096)
def compile_source(file: str, source: str) -> Compiled:
    """The template, or TemplateError with file and line."""
    if len(source) > grammar.LONGEST:
        raise TemplateError(
            f"the file has {len(source):,} characters",
            f"at most {grammar.LONGEST:,} are allowed",
            file,
            1,
        )
    refill()
    try:
        _SANDBOX.parse(source, file, file)
        parsed = _SANDBOX.parse(grammar.without_lone_lines(source), file, file)
        checked, names = grammar.check(parsed, file)
        code = _SANDBOX.compile(checked, file, file)
    except JinjaError as error:
        line = getattr(error, "lineno", 1)
        hint = "see the line above it, too: something may be left open there"
        raise TemplateError(error.message or "this is no template", hint, file, line) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError):
        raise TemplateError("the template is nested too deeply", "split it", file, 1) from None
    return Compiled(file, Template.from_code(_SANDBOX, code, {}), names)
