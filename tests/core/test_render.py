"""Messages: wordings per locale and channel, and what an author's slip is called."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from orchestrator.core.errors import RenderError
from orchestrator.core.expression import subscriber_scope
from orchestrator.core.model import Button, Content, Subscriber
from orchestrator.core.render import MessageTemplate, TemplateError, compile_message

ENTRANCE = """{# the first message #}
{% block sms %}欢迎{{ subscriber.name }}！{{ link('http://wap.example/a') }} 回复TD{% endblock %}
{% block wap_push_text %}五大入口{% endblock %}
{% block wap_push_href %}{{ link('http://wap.example/start') }}{% endblock %}
{% block mms_subject %}欢迎{% endblock %}
{% block mms_text %}
您好，
{% if usage.mb > 10 %}
已用 {{ usage.mb }} MB
{% endif %}
再见
{% endblock %}
{% block mms_image %}seven-days/entrance.png{% endblock %}
{% block chat %}您好{% endblock %}
{% block chat_image %}seven-days/entrance.png{% endblock %}
{% block chat_buttons %}我的积分=/points | 兑换=/redeem
好{% endblock %}
"""


def _variables(**more: Any) -> dict[str, Any]:
    subscriber = Subscriber(
        id=1,
        key="c-1",
        shard=0,
        locale="zh-CN",
        timezone=None,
        attributes={"name": "小王", "nick": None, "items": ["a", "b"], "usage": {"mb": 12.5}},
        tags=frozenset({"beta", "alpha"}),
        addresses={},
        consents={},
        created_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    )
    return {**subscriber_scope(subscriber, balance_points=1234567), **more}


def _sms(source: str, **more: Any) -> str:
    message = compile_message("m", {"en": f"{{% block sms %}}{source}{{% endblock %}}"}, "en")
    return message.render("sms", "en", _variables(**more)).text


@pytest.fixture
def entrance() -> MessageTemplate:
    return compile_message(
        "seven-days/entrance",
        {"zh": ENTRANCE, "en": "{% block sms %}Hello{% endblock %}"},
        default_locale="en",
    )


def test_each_channel_gets_its_own_wording(entrance: MessageTemplate) -> None:
    said = {word: entrance.render(word, "zh", _variables()) for word in entrance.channels("zh")}
    assert said == {
        "sms": Content(text="欢迎小王！http://wap.example/a 回复TD"),
        "chat": Content(
            text="您好",
            image="seven-days/entrance.png",
            buttons=(Button("我的积分", "/points"), Button("兑换", "/redeem"), Button("好", "好")),
        ),
        "mms": Content(
            subject="欢迎",
            text="您好，\n已用 12.5 MB\n再见",
            image="seven-days/entrance.png",
        ),
        "wap_push": Content(text="五大入口", href="http://wap.example/start"),
    }


def test_every_chat_channel_speaks_the_chat_wording(entrance: MessageTemplate) -> None:
    assert entrance.render("telegram", "zh", _variables()).text == "您好"


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        *(("zh", "欢迎"), ("zh-CN", "欢迎"), ("zh_Hans_CN", "欢迎"), ("ZH", "欢迎")),
        *(("en-GB", "Hello"), ("fr", "Hello"), ("", "Hello")),
    ],
)
def test_a_locale_falls_back_to_its_language_then_to_the_projects(
    entrance: MessageTemplate, locale: str, text: str
) -> None:
    assert entrance.render("sms", locale, _variables()).text.startswith(text)


def test_a_file_without_a_locale_serves_everybody() -> None:
    message = compile_message("m", {"": "{% block sms %}Hi{% endblock %}"}, "zh")
    assert message.render("sms", "fr", {}).text == "Hi"


def test_links_go_through_the_callers_function(entrance: MessageTemplate) -> None:
    variables = _variables(link=lambda url: f"{url}?c=1")
    assert entrance.render("wap_push", "zh", variables).href == "http://wap.example/start?c=1"


def test_a_channel_without_wording_cannot_be_rendered(entrance: MessageTemplate) -> None:
    assert entrance.channels("en") == ("sms",)
    with pytest.raises(RenderError, match=r"entrance\.en\.j2 has no wording for mms"):
        entrance.render("mms", "en", _variables())


def test_its_names_are_known_for_linting(entrance: MessageTemplate) -> None:
    assert entrance.names() == {"subscriber.name", "usage.mb"}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ points.balance|number }}", "1,234,567"),
        (
            "{{ 1234.5|number }} {{ 1234.5|number(2) }} {{ 2.345|number(2) }}",
            "1,234.5 1,234.50 2.35",
        ),
        ("{{ 1234567.8|number(1, '.', ',') }}", "1.234.567,8"),
        ("{{ 0.1 + 0.2 }} {{ 10 / 4 }} {{ 10 / 5 }} {{ 7 // 2 }} {{ -7 % 3 }}", "0.3 2.5 2 3 2"),
        ("{{ 2.5|round }} {{ 2.345|round(2) }} {{ '42'|int + 1 }} {{ (0-3)|abs }}", "3 2.35 43 3"),
        ("{{ 3.0 }} {{ 0.0000001 }} {{ usage.mb }}", "3 0.0000001 12.5"),
        ("{{ '2026-02-03'|date('%-d.%-m.%Y') }}", "3.2.2026"),
        ("{{ '2026-02-03T04:05:06Z'|date('%m月%d日 %H:%M %%') }}", "02月03日 04:05 %"),
        ("{{ day|date }}", "2026-03-04"),
        (
            "{{ 'o’neil straße'|title }} {{ 'ÉCOLE'|lower }} {{ 'é'|upper }}",
            "O’neil Straße école É",
        ),
        ("{{ ' x '|trim }}{{ 'abc'|replace('b', '-') }}{{ 'a b'|urlencode }}", "xa-ca%20b"),
        ("{{ 'welcome'|truncate(4) }} {{ '中文字符'|truncate(3, '') }}", "wel… 中文字"),
        ("{{ subscriber.tags|join(', ') }} {{ subscriber.tags|length }}", "alpha, beta 2"),
        (
            "{{ subscriber.tags|first }} {{ subscriber.tags|last }} {{ 'abc'|length }}",
            "alpha beta 3",
        ),
        ("{{ subscriber.items[1] }} {{ subscriber['name'] }}", "b 小王"),
        ("{{ subscriber.items|join }}", "ab"),
        ("{{ subscriber.nick|default('friend') }} {{ a.b.c|default('x') }}", "friend x"),
        ("{{ ''|default('x', true) }}", "x"),
        ("{% if subscriber.nick %}a{% elif subscriber.nick == none %}b{% endif %}", "b"),
        (
            "{% if subscriber.nick is defined or 'x' in subscriber.nick %}a{% else %}b{% endif %}",
            "b",
        ),
        (
            "{% for t in subscriber.tags if t != 'beta' %}{{ loop.index }}{{ t }}{% endfor %}",
            "1alpha",
        ),
        ("{% for t in ['x', subscriber.name] %}{{ t }}{% else %}-{% endfor %}", "x小王"),
        ("{% set n = subscriber.name ~ 1 ~ '!' %}{{ n }}", "小王1!"),
        ("{{ 'yes' if points.balance > 1000 and usage.mb >= 12.5 else 'no' }}", "yes"),
        ("  {{ '<b>' }} & \n ", "<b> &"),
        ("{# aside #}{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ offer.label }}", "Plus"),
    ],
)
def test_a_template_says(source: str, text: str) -> None:
    assert _sms(source, day=date(2026, 3, 4), offer=Button("Plus", "p")) == text


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ subscriber.nmae }}", "nmae is empty or unknown"),
        ("{{ subscriber.nick }}", "nick is empty or unknown"),
        ("{{ nobody }}", "nobody is empty or unknown"),
        ("{{ nobody.at.all }}", "nobody is empty or unknown"),
        ("{{ subscriber.nick|upper }}", "nick is empty or unknown"),
        ("{{ subscriber.name ~ subscriber.nick }}", "nick is empty or unknown"),
        ("{{ [subscriber.nick]|join }}", "nick is empty or unknown"),
        ("{{ subscriber.nick + 1 }}", "a value is empty or unknown"),
        ("{% if subscriber.nick > 1 %}x{% endif %}", "is undefined"),
        ("{% for x in subscriber.nick %}x{% endfor %}", "the list is empty or unknown"),
        ("{% for x in subscriber.name %}x{% endfor %}", "this is no list"),
        ("{{ subscriber.tags }}", "a list is not a text"),
        ("{{ usage }}", "a dict is not a text"),
        ("{{ true }}", "true and false are not texts"),
        ("{{ 'a' if subscriber.nick }}", "a value is empty or unknown"),
        ("{{ 'a' + 'b' }}", "+ adds numbers only"),
        ("{{ 1 / 0 }}", "a division by zero"),
        ("{{ subscriber.name|date }}", "this is no date"),
        ("{{ '2026-01-01'|date('%B') }}", "date knows no %B"),
        ("{% if subscriber.name > 1 %}x{% endif %}", "cannot be compared"),
        ("{% if subscriber.nick %}x{% endif %}", "sms comes out empty"),
        ("{{ subscriber.name|truncate('x') }}", "truncate needs a length"),
        ("{{ subscriber.name|int }}", "no usable number"),
    ],
)
def test_a_half_empty_or_senseless_text_does_not_go_out(source: str, reason: str) -> None:
    with pytest.raises(RenderError) as raised:
        _sms(source)
    assert reason in raised.value.message
    assert raised.value.message.startswith("m.en.j2")
    assert raised.value.hint


def test_a_tag_or_comment_alone_on_its_line_leaves_no_line_behind() -> None:
    source = """
a
{# an aside
{% if not a tag %}
#}
  {% if 1 == 1 %}
b {% if 2 == 2 %}c{% endif %}

d
  {% endif %}
{% raw %}
{% e %}
{% endraw %}f"""
    assert _sms(source) == "a\nb c\n\nd\n\n{% e %}\nf"


def test_what_one_rendering_sets_the_next_does_not_see() -> None:
    source = "{% if first %}{% set x = 'set' %}{% endif %}{{ x|default('unset') }}"
    message = compile_message("m", {"": f"{{% block sms %}}{source}{{% endblock %}}"}, "en")
    said = [message.render("sms", "en", {"first": first}).text for first in (True, False)]
    assert said == ["set", "unset"]


def test_a_failure_names_file_and_line() -> None:
    with pytest.raises(RenderError, match=r"^m\.en\.j2:4: nick is empty or unknown"):
        _sms("one\n{% if 1 == 1 %}\n\n{{ subscriber.nick }}{% endif %}")


def test_a_failure_does_not_repeat_what_the_subscriber_is() -> None:
    with pytest.raises(RenderError) as raised:
        _sms("{% if subscriber.name > 1 %}x{% endif %}{{ subscriber.name|date }}")
    assert "小王" not in str(raised.value)


@pytest.mark.parametrize("buttons", ["=x", "a=", "a=b | =c"])
def test_a_button_needs_a_label_and_a_reply(buttons: str) -> None:
    source = (
        f"{{% block chat %}}x{{% endblock %}}{{% block chat_buttons %}}{buttons}{{% endblock %}}"
    )
    message = compile_message("m", {"en": source}, "en")
    with pytest.raises(RenderError, match="lacks its label or its reply"):
        message.render("chat", "en", {})


@pytest.mark.parametrize(
    ("source", "line", "message", "hint"),
    [
        ("\n{% block smss %}x{% endblock %}", 2, "unknown block smss", "did you mean sms?"),
        ("Hello", 1, "stands outside of a block", "block sms"),
        ("{% set a = 1 %}{% block sms %}x{% endblock %}", 1, "outside of a block", "block sms"),
        ("", 1, "says nothing", "block sms"),
        ("{% block sms %}x", 1, "this `block` is never closed", "write {% endblock %}"),
        ("{% block sms %}\n{{ x y }}{% endblock %}", 2, "y cannot follow here", "write }}"),
        ("{% block sms %}\n\n{{ x|uper }}{% endblock %}", 3, "unknown filter uper", "upper?"),
        ("{% block sms %}{{ x|e }}{% endblock %}", 1, "unknown filter e", "there are:"),
        ("{% block sms %}{{ x is numbr }}{% endblock %}", 1, "unknown test: is numbr", "number?"),
        ("{% block sms %}{{ x|truncate }}{% endblock %}", 1, "missing a required", "filters"),
        ("{% block sms %}{{ x.upper() }}{% endblock %}", 1, "upper() cannot", "|upper"),
        ("{% block sms %}{{ lnk('x') }}{% endblock %}", 1, "lnk is no function", "link?"),
        ("{% block sms %}{{ link() }}{% endblock %}", 1, "one address", "link('https"),
        (
            "{% block sms %}{% for x in y %}{{ loop.indx }}{% endfor %}{% endblock %}",
            1,
            "indx",
            "index",
        ),
        ("{% block sms %}{% set link = 1 %}x{% endblock %}", 1, "link cannot be used", "another"),
        ("{% block chat_buttons %}a=b{% endblock %}", 1, "chat_buttons needs chat", "block chat"),
        ("{% block chat_image %}a.png{% endblock %}", 1, "chat_image needs chat", "block chat"),
        ("{% block wap_push_text %}a{% endblock %}", 1, "needs wap_push_href", "wap_push_href"),
        ("{% block mms_subject %}a{% endblock %}", 1, "mms_subject needs mms_text", "mms_text"),
        ("{% block sms %}a{% endblock %}{% block sms %}b{% endblock %}", 1, "here twice", "in one"),
    ],
)
def test_a_slip_in_a_template_is_found_at_its_line(
    source: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(TemplateError) as raised:
        compile_message("seven-days/m", {"en": source}, "en")
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert (raised.value.file, raised.value.line) == ("seven-days/m.en.j2", line)


@pytest.mark.parametrize(
    ("said", "place", "message", "hint"),
    [
        ("Hi {% if x %}a", "2:4", "this `if` is never closed", "write {% endif %} where it ends"),
        ("{% for x in y %}", "2:1", "this `for` is never closed", "write {% endfor %}"),
        ("{% raw %}", "2:1", "this `raw` is never closed", "write {% endraw %}"),
        ("a {# b", "2:3", "this {# is never closed", "write #}"),
        ("a {{ x.y", "2:3", "this {{ is never closed", "write }}"),
        ("{{ x.y }", "2:8", "this } closes nothing", "what {{ opens, }} closes"),
        ("{{ 'x }}", "2:4", "this quote is never closed", "write ' where the text ends"),
        ('{{ "x }}', "2:4", "this quote is never closed", 'write " where the text ends'),
        ("{% if x = 3 %}{% endif %}", "2:8", "= does not compare", "write =="),
        ("{{ x && y }}", "2:6", "& cannot stand here", "write `and`"),
        ("{{ x y }}", "2:6", "y cannot follow here", "write }} before it"),
        ("{% iff x %}", "2:4", "there is no tag 'iff'", "did you mean 'if'?"),
        ("{% if x %}{% elseif y %}{% endif %}", "2:14", "no tag 'elseif'", "mean 'elif'?"),
        ("{% if x %}a{% end %}", "2:15", "there is no tag 'end'", "did you mean 'endif'?"),
        ("a{% endif %}", "2:5", "`endif` belongs to nothing", "take it out"),
        ("{% else %}", "2:4", "`else` belongs to nothing", "take it out"),
        ("{{ }}", "2:1", "nothing is said here", "subscriber.name"),
        ("{% %}", "2:1", "this tag is empty", "write {% if … %}"),
        ("{{ x | }}", "2:1", "a name is missing here", "behind |"),
        ("{{ x|defualt(3) }}", "2:6", "unknown filter defualt", "did you mean default?"),
        ("{{ lnk(x) }}", "2:4", "lnk is no function", "did you mean link?"),
    ],
)
def test_what_jinja_cannot_read_is_told_as_an_author_sees_it(
    said: str, place: str, message: str, hint: str
) -> None:
    with pytest.raises(TemplateError) as raised:
        compile_message("m", {"en": f"{{% block sms %}}\n{said}{{% endblock %}}"}, "en")
    found = raised.value
    assert f"{found.line}:{found.column}" == place
    assert message in found.message
    assert hint in found.hint


def test_a_message_has_a_wording_in_the_projects_own_locale() -> None:
    with pytest.raises(TemplateError, match="m has no wording in en"):
        compile_message("m", {"zh": "{% block sms %}x{% endblock %}"}, "en")
