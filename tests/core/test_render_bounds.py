"""What a hostile or careless template cannot do: reach out of the sandbox, or take long."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import RenderError
from orchestrator.core.render import TemplateError, compile_message
from tests.timely import timely

LIMIT_S = 0.5
"""For a loaded test machine: the slowest takes 80 ms, nearly all less than 10."""


class Secret:
    """An object of ours that slipped into the variables."""

    token = "s3cr3t"

    def reveal(self) -> str:
        return self.token


VARIABLES: dict[str, Any] = {
    "subscriber": {
        "name": "x" * 15_000,
        "list": list(range(3_000)),
        "some": list(range(500)),
        "texts": ["ab"] * 3_000,
        "nested": [["a"] * 100] * 100,
        "day": "2026-01-01",
        "n": 1.5,
        "huge": 10**5000,
    },
    "secret": Secret(),
    "f": "{0.__class__}",
}


def _outcome(block: str) -> str:
    """'refused' at compile time, 'stopped' at run time, or the text; within the limit."""
    return timely(LIMIT_S, partial(_tried, block))


def _tried(block: str) -> str:
    try:
        message = compile_message("m", {"en": f"{{% block sms %}}{block}{{% endblock %}}"}, "en")
        return message.render("sms", "en", VARIABLES).text
    except TemplateError:
        return "refused"
    except RenderError:
        return "stopped"


@pytest.mark.parametrize(
    "block",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ ''['__cla' ~ 'ss__'] }}",
        "{{ subscriber.__class__ }}",
        "{{ subscriber.items }}",
        "{{ subscriber.get('name') }}",
        "{{ subscriber['get'] }}",
        "{{ secret.token }}",
        "{{ secret['token'] }}",
        "{{ secret.reveal() }}",
        "{{ secret }}",
        "{{ self._TemplateReference__context }}",
        "{{ self.sms() }}",
        "{{ super() }}",
        "{{ link.__globals__ }}",
        "{{ link }}",
        "{{ link('x').__class__ }}",
        "{{ ''|attr('__class__') }}",
        "{{ [1]|map('upper')|list }}",
        "{{ f.format(secret) }}",
        "{{ f|format(secret) }}",
        "{{ '%s'|format(secret) }}",
        "{{ f % secret }}",
        "{{ f.format_map(subscriber) }}",
        "{{ namespace(a=1) }}",
        "{{ cycler('a') }}",
        "{{ lipsum(1000) }}",
        "{{ range(3) }}",
        "{{ dict(a=1) }}",
        "{% for x in subscriber.list %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in subscriber.list %}{{ loop._iterator }}{% endfor %}",
        "{% for x in subscriber.list %}{{ loop['__class__'] }}{% endfor %}",
        "{% for x in subscriber.list %}{{ loop.cycle('a') }}{% endfor %}",
        "{% include 'other.j2' %}",
        "{% import 'other.j2' as x %}",
        "{% from 'other.j2' import x %}",
        "{% extends 'other.j2' %}",
        "{% block inner %}x{% endblock %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% call x() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{% autoescape true %}x{% endautoescape %}",
        "{% set x %}y{% endset %}{{ x }}",
        "{% with a = 1 %}x{% endwith %}",
        "{% do x %}",
        "{% set subscriber.name = 'x' %}{{ subscriber.name }}",
        "{% for x in subscriber.list recursive %}{{ loop(x) }}{% endfor %}",
        "{{ _purse }}",
        "{{ subscriber.name|_each(1) }}",
        "{{ '\\x00' }}",
        "{{ '\\ud800' }}",
    ],
)
def test_there_is_no_way_out(block: str) -> None:
    assert _outcome(block) in ("refused", "stopped")


@pytest.mark.parametrize(
    "block",
    [
        "{{ 'a' * 50000000 }}",
        "{{ 50000000 * 'a' }}",
        "{{ subscriber.list * 1000000 }}",
        "{{ 9**9**9 }}",
        "{{ 999999999999999999 * 999999999999999999 * 999999999999999999 }}",
        "{{ " + " * ".join(["subscriber.n"] * 2000) + " }}",
        "{{ subscriber.huge }}",
        "{{ subscriber.huge + 1 }}",
        "{{ subscriber.huge|number }}",
        "{{ '9' * 100000 }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ range(10**9)|join }}",
        "{% for x in range(1000000000) %}{% endfor %}",
        "{{ 'a'|center(1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ 'a'|indent(1000000000) }}",
        "{{ subscriber|tojson }}",
        "{{ subscriber.nested|join }}",
        "{{ subscriber.list|join(subscriber.name) }}",
        "{{ subscriber.name|replace('x', subscriber.name) }}",
        "{{ subscriber.name|replace('', subscriber.name) }}",
        "{{ subscriber.name|urlencode ~ subscriber.name }}",
        "{% set a = 'aaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
        "{% set a = [1, 2] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
        "{% set a = [1] %}{% set b = [1] %}"
        + "{% set a = [a, a] %}{% set b = [b, b] %}" * 40
        + "{{ 'x' if a == b }}",
        "{% for x in subscriber.list %}" * 4 + "{% endfor %}" * 4,
        "{% for x in subscriber.list %}" * 4 + "x" + "{% endfor %}" * 4,
        "{% for x in subscriber.list %}" + "y" * 1000 + "{% endfor %}",
        "{% for x in subscriber.list %}{{ subscriber.name }}{% endfor %}",
        "{% for x in subscriber.list %}{{ subscriber.name|title|length }}{% endfor %}",
        "{% for x in subscriber.list %}{% if x not in subscriber.list %}{% endif %}{% endfor %}",
        "{% for x in subscriber.list %}{% if 'ab' in subscriber.name %}{% endif %}{% endfor %}",
        "{% for x in subscriber.list %}{% set q = subscriber.list|length %}{% endfor %}",
        "{% for x in subscriber.list %}{% set q = subscriber.nested == subscriber.nested %}"
        "{% endfor %}",
        "{% for x in subscriber.list %}{{ x }}{{ loop.revindex }}{{ loop.length }}{% endfor %}" * 5,
        "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
        "{{ " + "not " * 10000 + "1 }}",
        "{{ " + "-" * 10000 + "1 }}",
        "{{ " + "[" * 1000 + "]" * 1000 + " }}",
        "{{ " + "1 if " * 500 + "1 }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{% for x in [1] %}" * 30 + "{% endfor %}" * 30,
        "{#" * 15_000,
        "{% if 1 " * 3_500,
        "x" * 70_000,
        "x" * 30_000,
        "{{ a" + ".a" * 3_000 + " }}",
        "{{ 'a'" + "|upper" * 2_000 + " }}",
    ],
)
def test_a_bomb_goes_off_within_milliseconds_as_an_error(block: str) -> None:
    assert _outcome(block) in ("refused", "stopped")


@pytest.mark.parametrize(
    ("block", "characters"),
    [
        ("{% for x in subscriber.some %}{% set y = subscriber.n * 1.3 / 7 %}{% endfor %}x", 1),
        ("{% for x in subscriber.some %}{{ subscriber.day|date('%d') }}{% endfor %}", 1_000),
        ("{{ subscriber.texts|join(', ') }}", 11_998),
    ],
)
def test_large_but_honest_work_is_done(block: str, characters: int) -> None:
    assert len(_outcome(block)) == characters


def test_one_message_over_its_bounds_leaves_the_next_one_its_own() -> None:
    assert _outcome("{% for x in subscriber.list %}" * 4 + "{% endfor %}" * 4) == "stopped"
    assert _outcome("{% for x in [1, 2] %}{{ x }}{% endfor %}") == "12"


_PIECES = ["{{", "}}", "{%", "%}", " for x in ", "subscriber.list", " endfor ", " if ", " endif "]
_PIECES += [
    "subscriber.name",
    "|join",
    "|upper",
    "|replace('x', 'yy')",
    " ~ ",
    " * ",
    " + ",
    "x",
    "1",
]
_PIECES += [
    "'a'",
    "[",
    "]",
    "(",
    ")",
    " set a = ",
    "a",
    " == ",
    " in ",
    "link",
    "loop",
    ".index",
    "\n",
]
_BALANCED = [
    "{{ x }}",
    "{% for x in subscriber.list %}",
    "{% endfor %}",
    "{% if x %}",
    "{% endif %}",
]
_BALANCED += [
    "{% set x = x ~ subscriber.name %}",
    "{{ x|upper|join(x) }}",
    "{{ loop.index }}",
    "text",
]


@given(
    st.lists(st.sampled_from(_PIECES), max_size=15).map("".join)
    | st.lists(st.sampled_from(_BALANCED), max_size=8).map("".join)
)
def test_any_text_is_refused_stopped_or_said(block: str) -> None:
    _outcome(block)
