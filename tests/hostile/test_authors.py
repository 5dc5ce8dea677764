"""Files that mean no good, in every place of a project: each is an author's error with file and
line, or harmless, within a second and in little memory. What a template alone can try stands in
`tests/core/test_render_bounds.py`, what YAML alone can be in `tests/project/test_yaml.py`."""

from __future__ import annotations

import random
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import orchestrator.project
from orchestrator.core.engine import decide
from orchestrator.core.errors import GrammarError, RenderError
from orchestrator.core.events import SubscriberEvent
from orchestrator.core.expression import Condition
from orchestrator.core.model import Subscriber
from orchestrator.core.scene import Scene
from orchestrator.project.findings import ProjectErrors
from orchestrator.project.load import check, load
from orchestrator.project.source import MAX_FILE_OCTETS, decode, read_folder
from tests.timely import timely

STARTER = read_folder(Path(orchestrator.project.__file__).parent / "starter")
YAML_FILES = [path for path in STARTER if path.endswith(".yaml")]
LIMIT_S = 1.5
"""For a file as large as there can be, on a loaded machine; the slowest takes half of it."""
ROOM_OCTETS = 128 * 1024 * 1024
_ROOM = MAX_FILE_OCTETS - 100

BOMBS: dict[str, str] = {
    "billion laughs": "a0: &a0 [x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 20)),
    "a merge of itself": "a: &a\n  <<: *a\n",
    "an alias of itself": "&a [*a]",
    "keys nobody knows": "".join(f"keyx{n}: 1\n" for n in range(17_000)),
    "keys almost known": "".join(f"journey{n}: 1\n" for n in range(17_000)),
    "one key again and again": "steps: 1\n" * 24_000,
    "a list": "- a\n" * 49_000,
    "a list in one line": "[" + "a," * 49_000 + "]",
    "one key": "a" * _ROOM + ": 1",
    "one value": "journey: " + "a" * _ROOM,
    "lists in lists": "[" * _ROOM,
    "tables in tables": "{a: " * 60_000,
    "dashes": "- " * 100_000,
    "questions": "? " * 100_000,
    "lists as keys": "? [a]\n: b\n" * 10_000,
    "many deep ones": "".join("- " * 30 + "a\n" for _ in range(1_500)),
    "escapes": '"' + "\\u0041" * 40_000 + '"',
    "empty lines in quotes": '"' + "\n" * _ROOM + '"',
    "a comment": "#" * _ROOM,
    "spaces": " " * _ROOM + "a",
    "tabs": "\t" * _ROOM,
    "a quote that is never closed": "a: 'b\n" + "c: d\n" * 40_000,
    "directives": "%TAG ! tag:x,2000:\n" * 8_000 + "---\na: 1",
    "documents": "---\na: 1\n" * 20_000,
    "python": "a: !!python/object/apply:os.system ['id']",
    "python's own": "!!python/name:os.system",
    "a date": "journey: !!timestamp 2026-01-01",
    "NUL": "journey: a\0b",
    "half a character": "journey: \ud800",
    "text turned around": "journey: hello\u202eolleh",
    "text set apart": "steps:\n  - if: \u2066subscriber.vip\u2069",
    "a byte order mark inside": "a: 1\n\ufeffb: 2",
    "line ends of other systems": "a: 1\x85b: 2\u2028c: 3\u2029d: 4",
    "steps without end": "journey: x\nclass: friendly\nenter:\n  - on: a\nsteps:\n"
    + "".join(f"  - id: s{n}\n    send: x/y{n}\n" for n in range(8_000)),
}


def judge(path: str, text: str) -> int:
    """How many errors the project has with this file in it; each says where."""
    _, findings = timely(LIMIT_S, lambda: check({**STARTER, path: text}))
    errors = [found for found in findings if found.severity == "error"]
    for found in errors[:20]:
        assert re.match(r"[\w./-]+\.(yaml|j2):\d+:\d+: error: ", str(found)), str(found)[:200]
        assert "Traceback" not in found.message
    return len(errors)


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_file_that_is_a_bomb_is_an_authors_error(bomb: str) -> None:
    """In a journey, and in one of the other files of a project."""
    other = YAML_FILES[[*BOMBS].index(bomb) % len(YAML_FILES)]
    for path in {"journeys/hello.yaml", other}:
        assert judge(path, BOMBS[bomb][:MAX_FILE_OCTETS])


def test_all_bombs_one_after_the_other_go_off_in_little_memory() -> None:
    """A process that may not have more than `ROOM_OCTETS` beyond what it began with."""
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import in_little_memory; in_little_memory()"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def in_little_memory() -> None:
    begun = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (begun + ROOM_OCTETS,) * 2)
    for bomb in BOMBS.values():
        check({**STARTER, "journeys/hello.yaml": bomb[:MAX_FILE_OCTETS]})
    print("done")


@pytest.mark.parametrize("character", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_nothing_in_yaml_can_look_other_than_it_is(character: str) -> None:
    """As in "Trojan Source" (CVE-2021-42574): what a reviewer sees is what is read."""
    text = STARTER["journeys/hello.yaml"].replace("did not like it", f"did {character}not like it")
    _, findings = check({**STARTER, "journeys/hello.yaml": text})
    assert f"U+{ord(character):04X}" in str(findings[0])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037"])
def test_a_file_in_another_encoding_is_an_error_with_its_place(encoding: str) -> None:
    raw = "journey: héllo\nclass: friendly\n".encode(encoding)
    try:
        text = decode("journeys/a.yaml", raw)
    except ProjectErrors as errors:
        said = str(errors.findings[0])
    else:
        _, findings = check({**STARTER, "journeys/a.yaml": text})
        said = str(findings[0])
    assert said.startswith("journeys/a.yaml:1:")


ODD_VALUES = [
    "a" * 200_000,
    "9" * 200_000,
    "1" * 30 + "d",
    "'" + " " * 100_000 + "'",
    "-1",
    "0",
    "1e309",
    "99999999999999999d",
    "day 99999999999999999 10:00",
    "month on 28 at 99:99",
    "'25:61'",
    "9999-12-31",
    "0000-00-00",
    "[]",
    "{}",
    "[[[[]]]]",
    "null",
    "true",
    "''",
    "'../../../../etc/passwd'",
    "'{{ 7 * 7 }}'",
    "\"x'; DROP TABLE subscribers; --\"",
    "'__class__'",
    "subscriber.__class__.__mro__",
    "'\\u202e'",
    "\"\\0\"",
    "\"\\ud83d\"",
    "𝕳𝖊𝖑𝖑𝖔",
    "'%s%n{0.__class__}'",
]  # fmt: skip


def places(text: str) -> Iterator[tuple[int, int]]:
    """Where a value stands after a key or a dash: begin and end."""
    for found in re.finditer(r"(?:: |- )([^\s#{\[][^#\n]*?)(?=\s*(?:#|$))", text, re.MULTILINE):
        yield found.span(1)


@pytest.mark.parametrize("path", YAML_FILES)
def test_a_value_that_means_no_good_is_refused_or_harmless_wherever_it_stands(path: str) -> None:
    text, chance = STARTER[path], random.Random(path)
    for begin, end in places(text):
        for value in chance.sample(ODD_VALUES, 12):
            judge(path, text[:begin] + value + text[end:])


CHAT = "{% block chat %}Hello{% endblock %}"
SECRET = re.compile(r"__|<class|<function|object at 0x|sandbox|jinja|Traceback|globals|os\.system")


class Inner:
    """An object of ours that slipped into the variables."""

    token = "s3cr3t"


VARIABLES: Mapping[str, Any] = {
    "subscriber": {"name": "Ann", "tags": ["a"], "usage": {"mb": 3}, "long": "a" * 15_000},
    "event": {"name": "x"},
    "points": {"balance": 1},
    "inner": Inner(),
}

# Server-side template injections as published (PayloadsAllTheThings, "Server Side Template
# Injection", Jinja2; the CVEs of Jinja's sandbox: 2016-10745, 2019-10906, 2024-56201, 2024-56326,
# 2025-27516) and some of our own.
INJECTIONS = [
    "{{ 7*'7'.__class__.__name__ }}",
    "{{ ''.__class__.mro()[1].__subclasses__() }}",
    "{{ ''.__class__.__base__.__subclasses__()[104].__init__.__globals__['sys'] }}",
    "{{ ().__class__.__bases__[0].__subclasses__() }}",
    "{{ [].__class__ }}",
    "{{ {}.__class__ }}",
    "{{ 1.0.__class__ }}",
    "{{ config }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__.__builtins__.__import__('os').popen('id').read() }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ self._TemplateReference__context.joiner.__init__.__globals__.os }}",
    "{{ self._TemplateReference__context.namespace.__init__.__globals__.os }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os.popen('id').read() }}",
    "{{ namespace.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum.__globals__.os }}",
    "{{ lipsum|attr('__globals__') }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ ''|attr('__class__')|attr('__mro__') }}",
    "{{ ''|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
    "{{ ''|attr(['_'*2,'class','_'*2]|join) }}",
    "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ ''['__cl' 'ass__'] }}",
    "{{ (''|string)['__class__'] }}",
    "{{ subscriber|attr('items') }}",
    "{{ subscriber|map(attribute='__class__')|list }}",
    "{{ [subscriber]|map(attribute='__class__')|first }}",
    "{{ [subscriber]|selectattr('__class__')|list }}",
    "{{ [subscriber]|groupby('__class__') }}",
    "{{ [subscriber]|sum(attribute='__class__') }}",
    "{{ [subscriber]|sort(attribute='__class__') }}",
    "{{ [subscriber]|unique(attribute='__class__') }}",
    "{{ [1]|map('attr', '__class__')|list }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(inner) }}",
    "{{ '{0.__class__}'|format(inner) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(inner) }}",
    "{{ ['{0.__class__}']|map('format', inner)|first }}",
    "{{ ('{0.__class__}'|attr('format'))(inner) }}",
    "{{ '%(a)s' % {'a': inner} }}",
    "{{ inner.token }}",
    "{{ inner }}",
    "{{ [inner] }}",
    "{{ [inner]|join }}",
    "{{ inner ~ '' }}",
    "{{ inner|string }}",
    "{{ inner|default('x') }}",
    "{{ inner|upper }}",
    "{{ {'a': inner} }}",
    "{{ namespace(a=inner).a.token }}",
    "{% set ns = namespace(x=1) %}{% set ns.x = ns.__class__ %}{{ ns.x }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os.popen('id') }}",
    "{% from 'os' import system %}{{ system('id') }}",
    "{% extends '/etc/passwd' %}",
    "{% macro f() %}{{ caller.__globals__ }}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% endmacro %}{{ f.__class__ }}",
    "{% call(x) f() %}{% endcall %}",
    "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}",
    "{% for k in self %}{{ k }}{% endfor %}",
    "{% for k in link %}{{ k }}{% endfor %}",
    "{% set x = loop %}{{ x }}",
    "{% for x in [1] %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for x in [1] %}{{ loop|attr('__class__') }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% with %}{% set context = self %}{{ context }}{% endwith %}",
    "{% debug %}",
    "{% do subscriber.clear() %}",
    "{% trans %}{{ x }}{% endtrans %}",
    "{% raw %}{{ 1 }}{% endraw %}{{ caller() }}",
    "{{ x.__init__.__builtins__ if x is defined else self.__dict__ }}",
    "{{ undefined_name.__class__ }}",
    "{{ undefined_name._undefined_exception }}",
    "{{ undefined_name._fail_with_undefined_error() }}",
    "{{ link.__code__ }}",
    "{{ link('http://x').__class__.__mro__ }}",
    "{{ link(inner) }}",
    "{{ link('http://x', 'y', z=1) }}",
    "{{ link(*[1]) }}",
    "{{ link(**subscriber) }}",
    "{{ range(10**9)|list }}",
    "{% for x in range(10**9) %}{% for y in range(10**9) %}{% endfor %}{% endfor %}",
    "{{ 'a' * 10**9 }}",
    "{{ [0] * 10**9 }}",
    "{{ 10**10**10 }}",
    "{{ 2**2**2**2**2**2 }}",
    "{{ 99999999 ** 99999999 }}",
    "{{ -9**99999999 }}",
    "{{ '%99999999999s'|format('x') }}",
    "{{ 'x'|center(10**9) }}",
    "{{ 'x'.zfill(10**9) }}",
    "{{ 'x'|indent(10**9) }}",
    "{{ ['x']|batch(10**9, 'y')|list }}",
    "{{ ['x']|slice(10**9)|list }}",
    "{{ lipsum(n=10**6) }}",
    "{{ (subscriber.long|list)|join(subscriber.long) }}",
    "{{ subscriber.long|wordwrap(1) }}",
    "{{ subscriber.long|replace('a', subscriber.long) }}",
    "{{ subscriber.long|urlize }}",
    "{{ subscriber.long|striptags }}",
    "{{ subscriber.long|tojson|tojson|tojson }}",
    "{{ ('(' * 5000) ~ (')' * 5000) }}",
    "{{ " + " + ".join(["subscriber.long"] * 3_000) + " }}",
    "{{ " + " ~ ".join(["subscriber.long"] * 3_000) + " }}",
    "{{ f'{subscriber.__class__}' }}",
    "{{ `id` }}",
    "${7*7}#{7*7}<%= 7*7 %>{{ 7*7*inner }}",
    "{{ '\\N{LATIN SMALL LETTER A}'.__class__ }}",
    "{{ ''.\uff3f\uff3fclass\uff3f\uff3f }}",
    "{{ ''.__cla\u017f\u017f__ }}",
]


@pytest.mark.parametrize("block", INJECTIONS)
def test_no_published_way_out_of_a_template_leads_out(block: str) -> None:
    path = "templates/hello/welcome.en.j2"

    def rendered() -> str:
        project = load({**STARTER, path: CHAT + f"{{% block sms %}}{block}{{% endblock %}}"})
        return project.messages["hello/welcome"].render("sms", "en", VARIABLES).text

    try:
        said = timely(LIMIT_S, rendered)
    except ProjectErrors as errors:
        said = ""
        wrong = [str(it) for it in errors.findings if not str(it).startswith(f"{path}:1:")]
    except RenderError as error:
        said = ""
        wrong = [] if re.match(r"hello/welcome\.en\.j2:\d+: ", error.message) else [error.message]
    else:
        wrong = SECRET.findall(said)
    assert not wrong
    assert "s3cr3t" not in said
    assert len(said) <= 20_000


CONDITIONS = [
    "subscriber.__class__",
    "subscriber['__class__']",
    "subscriber|attr('__class__')",
    "''.__class__ == 1",
    "self.__init__.__globals__",
    "lipsum.__globals__['os']",
    "cycler.__init__",
    "namespace(a=1)",
    "range(10**9)",
    "subscriber.a in range(10**9)",
    "'a' * 10**9 == 'b'",
    "subscriber.a * 10**9",
    "10**10**10 > 1",
    "9**9**9**9 == subscriber.a",
    "1 / 0 == 1",
    "1 % 0 == 1",
    "1 // 0 == 1",
    "'%1000000000d' % 1 == 'x'",
    "'{0.__class__}'.format(subscriber) == 'x'",
    "'{0}'|format(subscriber)",
    "subscriber.a is matching('(a+)+$')",
    "subscriber.a|regex_search('(a+)+$')",
    "subscriber.a|replace('a', 'b' * 10**9)",
    "subscriber.a.upper() == 'A'",
    "subscriber.update({'a': 1})",
    "(" * 1_000 + "1" + ")" * 1_000,
    "not " * 1_000 + "1",
    "-" * 3_000 + "1 == 1",
    " and ".join(["subscriber.a"] * 500),
    " or ".join(["subscriber.a == 1"] * 300),
    "[" * 1_000 + "]" * 1_000 + " == 1",
    "subscriber" + ".a" * 1_900,
    "subscriber" + "[0]" * 1_000,
    "1 if " * 600 + "1",
    "subscriber.a" + "|lower" * 600,
    "subscriber.a|round(10**9) == 1",
    "subscriber.a|round(-999999999) == 1",
    "subscriber.a|default(10**400)",
    "9" * 3_900 + " == 1",
    "1e400 == 1",
    "subscriber.a == '" + "x" * 3_900 + "'",
    "subscriber.a == '\\x00'",
    "subscriber.a == '\\ud800'",
    "subscriber.a == 'x'; DROP TABLE subscribers; --'",
    "subscriber.a == '''; DROP TABLE subscribers; --'",
    "subscriber[\"a'||(select 1)||'\"] == 1",
    "subscriber.a == '$1'",
    "{{ subscriber.a }}",
    "{% for x in y %}",
    "subscriber.a {# #} == 1",
    "subscriber.a\n\n\n== 1",
    "subscriber.\u202ea == 1",
    "ｓubscriber.a == 1",
    "subscriber.a = 1",
    "__import__('os')",
    "lambda: 1",
    "[x for x in subscriber]",
    "subscriber.a[::-1]",
    "caller()",
    "loop.index == 1",
    "super()",
    "event.__class__ == 1",
    "points.__class__ == 1",
    "usage.__class__.__mro__",
]
ODD_ATTRIBUTES: list[Any] = [
    None,
    "a" * 100_000,
    10**4000,
    -1.5e300,
    [[[]]] * 1_000,
    {"a": {"a": 1}},
    Inner(),
]
SCOPES: list[Mapping[str, Any]] = [
    {"subscriber": {"a": value, "usage": value}, "usage": value, "points": {"balance": 1}}
    for value in ODD_ATTRIBUTES
]


@pytest.mark.parametrize("source", CONDITIONS)
def test_a_condition_that_means_no_good_is_refused_or_decided_soon(source: str) -> None:
    def decided() -> str:
        condition = Condition.parse(source)
        for scope in SCOPES:
            assert condition.holds(scope) in (True, False)
        return condition.sql().text

    try:
        text = timely(LIMIT_S, decided)
    except GrammarError as error:
        text = ""
        unsaid = not (error.message and error.hint)
    else:
        unsaid = False
    assert not unsaid
    assert len(text) < 200_000
    assert "DROP" not in text
    assert "__" not in text


@pytest.mark.parametrize("source", CONDITIONS)
def test_as_a_segment_it_is_an_error_with_its_place_or_harmless(source: str) -> None:
    quoted = '"' + source.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    judge("journeys/program/segments.yaml", f"segments:\n  keen: {quoted}\n")


def test_journeys_that_enroll_each_other_come_to_an_end() -> None:
    def enrolling(name: str, other: str) -> str:
        return (
            f"journey: {name}\nclass: friendly\nenter:\n  - on: go\nagain: always\n"
            f"steps:\n  - id: one\n    enroll: {other}\n  - id: two\n    enroll: {other}\n"
        )

    project = load(
        {
            **STARTER,
            "journeys/a.yaml": enrolling("a", "b"),
            "journeys/b.yaml": enrolling("b", "c"),
            "journeys/c.yaml": enrolling("c", "a"),
        }
    )
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ann = Subscriber(1, "ann", 0, "en", "UTC", {}, frozenset(), {}, {}, now)
    gone = SubscriberEvent("go", now, {}, "e1")
    assert timely(LIMIT_S, lambda: decide(Scene(project, ann, {}), gone, now)).effects
