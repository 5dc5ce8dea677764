"""A message as every phone shows it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.core.cost import Price, Prices
from orchestrator.core.errors import OutreachError
from orchestrator.core.model import Content
from orchestrator.core.short_message import TextError
from orchestrator.project import shipped, source
from orchestrator.project.draft import Draft
from orchestrator.project.examples import LACKING, Example, uses
from orchestrator.project.load import inspect
from orchestrator.project.preview import Means, Preview, Shown, preview, sms

ROOT = Path(__file__).parents[2]
SHIPPED, FINDINGS = inspect(source.read_folder(ROOT))
STARTER = shipped.starter()


def written(**texts: str) -> Draft:
    """The starter project with the message `m`, in these locales."""
    files = {f"templates/m.{locale}.j2": text for locale, text in texts.items()}
    return inspect({**STARTER, **files})[0]


def seen(found: Preview, channel: str = "sms", locale: str = "en") -> dict[str, str]:
    """What each example reads, or why they do not."""
    return {
        it.example: it.content.text if it.content else it.trouble.message if it.trouble else ""
        for it in found.shown
        if (it.channel, it.locale) == (channel, locale)
    }


def only(found: Preview, channel: str, **wanted: Any) -> Shown:
    (one,) = (
        it
        for it in found.shown
        if it.channel == channel and all(getattr(it, key) == to for key, to in wanted.items())
    )
    return one


@pytest.mark.parametrize("name", SHIPPED.template_files)
def test_every_shipped_message_can_be_shown_to_everybody(name: str) -> None:
    found = preview(SHIPPED, name, findings=FINDINGS)
    assert found.locales == ("en", "zh")
    assert found.channels
    assert [it.trouble for it in found.shown if it.trouble] == []
    assert [str(it) for it in found.findings if it.rule == "may-lack"] == []
    for locale in found.locales:
        assert found.examples[locale][0].name == "usual"


def test_a_message_has_its_channels_prices_and_journeys() -> None:
    found = preview(SHIPPED, "seven-days/entrance")
    assert found.channels == ("sms", "mms", "wap_push", "chat")
    assert found.journeys == ("seven-days",)
    short = only(found, "sms", locale="zh", example="usual")
    assert short.sms is not None
    assert (short.sms.encoding, len(short.sms.parts)) == ("UCS-2", 2)
    assert short.price == Decimal("0.10")
    picture = only(found, "mms", locale="zh", example="usual")
    assert picture.picture == SHIPPED.pictures["seven-days/entrance.png"]
    assert picture.content is not None
    words = f"{picture.content.subject}{picture.content.text}".encode()
    assert picture.octets == picture.picture.size + len(words)
    assert found.currency == "CNY"


def test_what_an_example_gets_like_another_is_shown_once() -> None:
    draft = written(en="{% block sms %}Hi {{ subscriber.name|default('you') }}{% endblock %}"
                    "{% block chat %}Hello{% endblock %}")  # fmt: skip
    found = preview(draft, "m")
    assert [*seen(found)] == ["usual", "long", LACKING]
    assert [*seen(found, "chat")] == ["usual"]
    plain = preview(written(en="{% block sms %}Hello{% endblock %}"), "m")
    assert [it.name for it in plain.examples["en"]] == ["usual"]


def test_each_way_that_a_template_may_take_has_an_example() -> None:
    text = (
        "{% block sms %}{% if subscriber.phone_os == 'ios' %}apple"
        "{% elif subscriber.phone_os in ['android', 'harmony'] %}other{% else %}none{% endif %}"
        "{% if usage.mb_7d|default(0) >= 30 %} much{% endif %}{% endblock %}"
    )
    said = seen(preview(written(en=text), "m"))
    assert set(said.values()) == {"apple much", "other much", "apple", "none"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "{% if subscriber.vip %}A {{ subscriber.plan }}{% else %}B {{ subscriber.name }}"
            "{% endif %}",
            {"usual": "A Smart M", "no vip": "B Ann"},
        ),
        (
            "{% if subscriber.sex == 'f' %}{% if usage.mb > 30 %}a{% else %}b{% endif %}"
            "{% elif usage.mb > 30 %}c {{ subscriber.name }}{% else %}d {{ subscriber.name }}"
            "{% endif %}",
            {
                "usual": "a",
                "mb = 29": "b",
                "sex = another": "c Ann",
                "sex = another, mb = 29": "d Ann",
            },
        ),
        (
            "{{ 'Mr' if subscriber.sex == 'm' else 'Ms' }} {{ subscriber.name }}",
            {"usual": "Mr Ann", "sex = another": "Ms Ann"},
        ),
        (
            "{% if 'vip' in subscriber.tags and 'x' in subscriber.apps %}both{% endif %}"
            " {{ subscriber.name }}",
            {"usual": "Ann", "tags = vip, apps = one, two, x": "both Ann"},
        ),
    ],
)
def test_a_way_that_takes_several_values_at_once_has_an_example_too(
    text: str, said: dict[str, str]
) -> None:
    found = seen(preview(written(en=f"{{% block sms %}}{text}{{% endblock %}}"), "m"))
    assert {name: words for name, words in found.items() if name in said} == said


def test_whoever_would_get_nothing_is_warned_of_with_file_line_and_fix() -> None:
    text = (
        "{% block sms %}Hi\n{{ subscriber.name }}{% endblock %}\n"
        "{% block chat %}{% if subscriber.name %}{{ subscriber.name }}{% endif %} hi{% endblock %}"
    )
    (warned,) = preview(written(en=text), "m").findings
    assert (warned.mark.file, warned.mark.line) == ("templates/m.en.j2", 2)
    assert warned.message == "who lacks subscriber.name gets nothing by sms"
    assert "|default" in warned.hint
    assert warned.severity == "warning"


def test_what_fails_for_everybody_is_not_laid_to_a_lack() -> None:
    text = (
        "{% block chat %}Hi{% if subscriber.vip %}!{% endif %}{% endblock %}"
        "{% block chat_buttons %}A={{ '' }}{% endblock %}"
    )
    assert preview(written(en=text), "m").findings == ()


def test_a_broken_locale_is_told_and_the_others_are_shown() -> None:
    found = preview(
        written(en="{% block sms %}Hello{% endblock %}", de="{% block sms %}{{ }{% endblock %}"),
        "m",
    )
    assert seen(found) == {"usual": "Hello"}
    assert seen(found, locale="de") == {}
    assert {it.mark.file for it in found.findings} == {"templates/m.de.j2"}


def test_somebody_is_shown_what_falls_back_to_their_locale() -> None:
    told = preview(written(en="{% block sms %}Hi{% endblock %}"), "m", locale="fr-CA").written
    assert told == {"fr-CA": "en"}
    draft = written(en="{% block sms %}Hello{% endblock %}", zh="{% block sms %}你好{% endblock %}")
    assert seen(preview(draft, "m", locale="zh-CN"), locale="zh-CN") == {"usual": "你好"}
    assert seen(preview(draft, "m", locale="fr"), locale="fr") == {"usual": "Hello"}


def test_a_given_subscriber_has_the_usual_values_besides_and_one_from_a_file_has_not() -> None:
    text = "{% block sms %}{{ subscriber.name }}, {{ usage.mb_7d|default('?') }}{% endblock %}"
    ann = Example("some", {"subscriber.name": "Ann"})
    both = [ann, Example("whole", {"subscriber.name": "Bob"}, complete=True)]
    found = seen(preview(written(en=text), "m", given=both))
    assert found == {"some": "Ann, 42", "whole": "Bob, ?"}


def test_values_of_a_group_are_found_by_both_of_their_names() -> None:
    scope = Example("it", {"subscriber.usage.mb": 3, "usage.kb": 4}).scope({})
    assert scope["usage"] == {"mb": 3, "kb": 4}
    assert scope["subscriber"]["usage"] == {"mb": 3, "kb": 4}


def test_a_message_that_does_not_exist_is_not_guessed() -> None:
    with pytest.raises(OutreachError, match="no message hello/welcom") as caught:
        preview(written(), "hello/welcom")
    assert "hello/welcome" in caught.value.hint


def test_links_are_as_long_as_the_installation_makes_them() -> None:
    draft = written(en="{% block sms %}{{ link('https://shop.example/') }}{% endblock %}")
    assert seen(preview(draft, "m")) == {"usual": "https://shop.example/"}
    (short,) = seen(preview(draft, "m", means=Means(site="https://go.example"))).values()
    assert short.startswith("https://go.example/l/")
    assert 35 <= len(short) <= 50


def test_a_push_is_as_large_as_its_channel_says_or_says_why_it_does_not_go() -> None:
    def size(content: Content) -> tuple[int, int]:
        if len(content.text) > 9:
            raise OutreachError("too long", "shorten it")
        return 100 + len(content.text), 1

    def pushed(text: str) -> Shown:
        href = "{% block wap_push_href %}https://a.example/{% endblock %}"
        blocks = f"{{% block wap_push_text %}}{text}{{% endblock %}}{href}"
        return only(preview(written(en=blocks), "m", means=Means(size)), "wap_push")

    assert (pushed("Look").octets, pushed("Look").messages) == (104, 1)
    refused = pushed("Look at this")
    assert refused.trouble is not None
    assert (refused.trouble.message, refused.trouble.hint) == ("too long", "shorten it")


def test_a_picture_that_is_not_there_is_missed() -> None:
    blocks = "{% block mms_text %}Hi{% endblock %}{% block mms_image %}no.png 9x9{% endblock %}"
    shown = only(preview(written(en=blocks), "m"), "mms")
    assert shown.trouble is not None
    assert shown.trouble.message == "there is no picture no.png"


USES: Mapping[str, Mapping[str, str]] = {
    "{{ subscriber.a + 1 }} {{ subscriber.b|round }} {{ -subscriber.c }}": {
        "subscriber.a": "number",
        "subscriber.b": "number",
        "subscriber.c": "number",
    },
    "{% for it in event.items %}{{ it.name }}{% endfor %}": {"event.items": "list"},
    "{{ event.on|date('%m') }}": {"event.on": "date"},
    "{% if subscriber.vip == true %}{{ subscriber.name|upper }}{% endif %}": {
        "subscriber.vip": "boolean",
        "subscriber.name": "text",
    },
    "{% if 30 < usage.mb|default(0) %}{{ subscriber.nick|default('you') }}{% endif %}": {
        "usage.mb": "number",
        "subscriber.nick": "text",
    },
    "{% set own = subscriber.x %}{{ own }}": {"subscriber.x": "text"},
    "{{ broken": {},
}


@pytest.mark.parametrize("text", USES)
def test_what_a_template_does_with_a_value_tells_its_kind(text: str) -> None:
    assert {name: use.kind for name, use in uses([text]).items()} == USES[text]


def test_what_the_project_declares_of_an_attribute_is_believed() -> None:
    path = "journeys/program/project.yaml"
    files = {
        **STARTER,
        path: STARTER[path] + "\nattributes: {size: number}\n",
        "templates/m.en.j2": "{% block sms %}{{ subscriber.size }}{% endblock %}",
    }
    assert seen(preview(inspect(files)[0], "m"))["usual"] == "42"


@pytest.mark.parametrize(
    ("text", "encoding", "parts", "left"),
    [
        ("a" * 160, "GSM-7", 1, 0),
        ("a" * 161, "GSM-7", 2, 145),
        ("€" * 80, "GSM-7", 1, 0),
        ("是" * 70, "UCS-2", 1, 0),
        ("是" * 71, "UCS-2", 2, 63),
        ("🎉" * 35, "UCS-2", 1, 0),
    ],
)
def test_an_sms_tells_what_is_left_of_its_last_part(
    text: str, encoding: str, parts: int, left: int
) -> None:
    found = sms(text)
    assert (found.encoding, len(found.parts), found.left) == (encoding, parts, left)


def test_an_sms_is_measured_in_the_national_tables_that_its_channel_writes() -> None:
    turkish = "Şu an ğ ile yazıyoruz, " * 6
    assert (sms(turkish).encoding, len(sms(turkish).parts)) == ("UCS-2", 3)
    found = sms(turkish, ("es", "tr"))
    assert (found.encoding, len(found.parts), found.forced) == ("GSM-7 tr", 1, ())
    assert "".join(found.parts) == turkish
    assert 0 < found.left < 20
    draft = written(en=f"{{% block sms %}}{turkish}{{% endblock %}}")
    assert draft.settings is not None
    draft.settings = replace(draft.settings, prices=Prices("EUR", sms=Price(Decimal("0.05"))))
    cell = only(preview(draft, "m", means=Means(languages=("tr",))), "sms")
    assert (cell.sms and len(cell.sms.parts), cell.price) == (1, Decimal("0.05"))


def test_an_sms_tells_which_characters_cost_it_the_small_alphabet_and_what_would_not() -> None:
    found = sms(f"It’s “here” {'x' * 80}")
    assert [(it.letter, it.count, it.instead) for it in found.forced] == [
        ("’", 1, "'"),
        ("“", 1, '"'),
        ("”", 1, '"'),
    ]
    assert (len(found.parts), found.parts_without) == (2, 1)
    assert sms("It’s 是").parts_without == 0
    assert sms("It's").forced == ()
    assert sms("一二三四五六七八九十").forced_count == 10


@given(st.text(max_size=400))
def test_the_parts_of_an_sms_say_its_text(text: str) -> None:
    try:
        found = sms(text)
    except TextError:
        return
    assert "".join(found.parts) == text.replace("\0", "\ufffd")
    assert found.left >= 0
    assert bool(found.forced) == (found.encoding == "UCS-2")
