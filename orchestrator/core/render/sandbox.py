"""The one Jinja environment that messages are compiled in: a sandbox on top of the grammar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from jinja2 import Template, nodes
from jinja2 import TemplateError as JinjaError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from orchestrator.core.render import grammar
from orchestrator.core.render.bounds import refill
from orchestrator.core.render.filters import FILTERS, REWRITTEN, TESTS, calculated
from orchestrator.core.render.grammar import TemplateError
from orchestrator.core.render.mistakes import column_of, mistake
from orchestrator.core.render.skim import skimmed
from orchestrator.core.render.values import Missing, plain


class Outline(Struct, frozen=True):
    """One template file, checked. `names` are the dotted names it uses, `blocks` its blocks."""

    file: str
    names: frozenset[str]
    blocks: tuple[str, ...]


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
def outlined(file: str, source: str) -> Outline:
    """What the template is, or TemplateError with file and line. It is compiled when it is needed,
    and will be without an error. Whoever reads a project again reads mostly what it was."""
    if len(source) > grammar.LONGEST:
        raise TemplateError(
            f"the file has {len(source):,} characters",
            f"at most {grammar.LONGEST:,} are allowed",
            file,
            1,
        )
    if plain_file := skimmed(source, _names_of):
        return Outline(file, *plain_file)
    refill()
    checked, names = _checked(file, source)
    blocks = tuple(node.name for node in checked.find_all(nodes.Block))
    if len({*blocks}) < len(blocks) or not grammar.is_plain(checked):
        compiled(file, source)  # which finds what is still wrong
    return Outline(file, names, blocks)


@lru_cache(maxsize=4096)
def compiled(file: str, source: str) -> Template:
    """The template, or TemplateError with file and line."""
    refill()
    checked, _ = _checked(file, source)
    with _told(file, source):
        return Template.from_code(_SANDBOX, _SANDBOX.compile(checked, file, file), {})


def _checked(file: str, source: str) -> tuple[nodes.Template, frozenset[str]]:
    with _told(file, source):
        parsed = _SANDBOX.parse(source, file, file)
        fewer = grammar.without_lone_lines(source)
        if fewer != source:
            parsed = _SANDBOX.parse(fewer, file, file)
        return grammar.check(parsed, file)


@contextmanager
def _told(file: str, source: str) -> Iterator[None]:
    """What Jinja and Python say of a template is a TemplateError."""
    try:
        yield
    except TemplateError as error:
        error.column = column_of(source, error.line, error.word)
        raise
    except JinjaError as error:
        it = mistake(source, error.message or "", getattr(error, "lineno", 1))
        raise TemplateError(it.message, it.hint, file, it.line, it.column) from None
    except (RecursionError, SyntaxError, MemoryError, ValueError):
        raise TemplateError("the template is nested too deeply", "split it", file, 1) from None


@lru_cache(maxsize=4096)
def _names_of(expression: str) -> frozenset[str] | None:
    """The names in what a text may say or ask; None if it may not, or is not simple."""
    try:
        refill()
        checked, names = _checked("", f"{{% block sms %}}{expression}{{% endblock %}}")
    except TemplateError:
        return None
    return names if grammar.is_plain(checked) else None
