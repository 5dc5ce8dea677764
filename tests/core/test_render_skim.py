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
    *(
        "{% endraw %}",
        "{% if usage.mb %}",
        "{% endif %}",
        "{{ '}}' }}",
        '{{ "{{" }}',
        "{{ 'a\\'' }}",
    ),
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


@settings(max_examples=300)
@given(SOURCES)
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
    assert glanced > 0.7 * len(sources)


@pytest.mark.parametrize("deep", [5, 90, 400])
def test_a_deep_template_is_an_error_before_it_is_needed(deep: int) -> None:
    source = "{% block sms %}" + "{% if points.balance %}" * deep + "a" + "{% endif %}" * deep
    try:
        sandbox.outlined("m.en.j2", source + "{% endblock %}")
    except GrammarError:
        assert deep > 5
    else:
        sandbox.compiled("m.en.j2", source + "{% endblock %}")
