"""What is read at a glance is what Jinja would read."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.core.errors import GrammarError
from orchestrator.core.render import BLOCKS, sandbox
from orchestrator.core.render.skim import skimmed
from orchestrator.project import shipped

PIECES = (
    *("{% block sms %}", "{% block chat %}", "{%- block script -%}", "{% endblock %}"),
    *("{% endblock sms %}", "{%- endblock chat -%}", "{% block nonsense %}"),
    *("{{ subscriber.name }}", "{{ subscriber.name|default('there') }}", "{{ points.balance }}"),
    *("{{ link('https://shop.example/') }}", "{{ nothing() }}", "{{ event.on|date('%d.%m.') }}"),
    *("{{", "}}", "{%", "%}", "{#", "#}", "{# a comment #}", "{#- another\n-#}", "{% raw %}"),
    *("{% endraw %}", "{{ '}}' }}", '{{ "{{" }}', "{{ 'a\\'' }}"),
    *("{% if usage.mb %}", "{%- if points.balance > 3 -%}", "{% if event.a - %}", "{% if %}"),
    *("{% elif usage.mb == 'a %} b' %}", "{% elif not usage.mb +%}", "{% else %}", "{%- else-%}"),
    *("{% endif %}", "{% endif -%}", "{% endif - %}", "{% else if points.balance %}", "{% iffy %}"),
    *("{% for x in event.list %}", "{% for loop in event.list %}", "{{ loop.index }}", "{{ x }}"),
    *("{% for x in event.list if loop %}", "{% endfor %}", "{% set x = 1 %}", "{% set loop = 1 %}"),
    *("Hello", " ", "\n", "'", '"', "{", "}", "%", "#", "-", "\0", "\ud800", "您好"),
)
WHOLE = st.lists(
    st.sampled_from(BLOCKS).flatmap(
        lambda block: st.lists(st.sampled_from(PIECES), max_size=4).map(
            lambda parts: f"{{% block {block} %}}{''.join(parts)}{{% endblock %}}"
        )
    ),
    max_size=3,
).map("\n".join)
SOURCES = WHOLE | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)


IF = "{% if usage.mb %}"
ELSE = "{% else %}"
END = "{% endif %}"


@settings(max_examples=300)
@given(SOURCES)
@example(f"{{% block sms %}}a{IF}b{{% elif event.n %}}{IF}c{END}{ELSE}d{END}{{% endblock %}}")
@example(f"{{% block sms %}}a{IF}b{ELSE}c{ELSE}d{END}{{% endblock %}}")
@example(f"{{% block sms %}}a{IF}b{ELSE}c{{% elif event.n %}}d{END}{{% endblock %}}")
@example(f"{{% block sms %}}a{IF}b{{% endblock %}}{END}")
@example("{% block sms %}{{% if usage.mb %}{% endif %}{% endblock %}")
@example("{% block sms %}{{ '{#' }}{# {% endblock %} #}{% endblock %}")
@example("{% block sms %}{{ subscriber.name }}{% endblock chat %}")
def test_a_glance_never_sees_another_template_than_jinja_does(source: str) -> None:
    glanced = skimmed(source, sandbox._names_of)
    if glanced is None:
        return
    template = sandbox.compiled("m.en.j2", source)
    _, names = sandbox._checked("m.en.j2", source)
    assert glanced[0] == names
    assert sorted(glanced[1]) == sorted(template.blocks)


@settings(max_examples=100)
@given(SOURCES)
def test_what_is_outlined_can_be_compiled(source: str) -> None:
    try:
        outline = sandbox.outlined("m.en.j2", source)
    except GrammarError:
        return
    assert sorted(sandbox.compiled("m.en.j2", source).blocks) == sorted(outline.blocks)


def test_most_of_the_shipped_templates_need_no_more_than_a_glance() -> None:
    sources = [text for path, text in shipped.programme().items() if path.endswith(".j2")]
    glanced = sum(skimmed(source, sandbox._names_of) is not None for source in sources)
    assert glanced > 0.9 * len(sources)


@pytest.mark.parametrize(
    "said",
    [
        "{% if usage.mb %}a{% endif %}",
        "{% if usage.mb > 3 -%} a {%- else -%} b {%- endif %}",
        "{% if a.b %}{% if a.c %}1{% elif a.d == 'if' %}2{% else %}3{% endif %}{% endif %}",
    ],
)
def test_a_condition_needs_no_more_than_a_glance(said: str) -> None:
    source = f"{{% block sms %}}{said}{{% endblock %}}"
    assert skimmed(source, sandbox._names_of) == (sandbox._checked("", source)[1], ("sms",))


@pytest.mark.parametrize("word", ["{% if ", "{{ ", "{% ", "{% if a", "{{ a.b.c"])
def test_a_glance_is_short_whatever_it_falls_on(word: str) -> None:
    for filling in (" ", "a", "'", "- ", word):
        source = f"{{% block sms %}}{(word + filling * 32_000)[:31_000]}{{% endblock %}}"
        skimmed(source, sandbox._names_of)  # a pattern that looks back takes minutes


@pytest.mark.parametrize("deep", [5, 15, 19, 25, 90, 400])
@pytest.mark.parametrize("word", ["if", "for x in"])
def test_a_deep_template_is_an_error_before_it_is_needed(deep: int, word: str) -> None:
    opened, closed = f"{{% {word} points.balance %}}", f"{{% end{word[:3].strip()} %}}"
    source = "{% block sms %}" + opened * deep + "a" + closed * deep
    try:
        sandbox.outlined("m.en.j2", source + "{% endblock %}")
    except GrammarError:
        assert deep > 15
    else:
        sandbox.compiled("m.en.j2", source + "{% endblock %}")
