"""Tracked links: what a template says becomes a short signed address, and nothing else does."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import RenderError
from orchestrator.core.links import MOST, Link, Links, read, rendered, sign, tracked
from orchestrator.core.model import Content
from orchestrator.core.render import compile_message

SECRET = b"a secret of sixteen octets or more"
SITE = "https://go.example"
ids = st.integers(0, (1 << 63) - 1)


def said(template: str, **variables: str) -> Content:
    message = compile_message("x", {"en": f"{{% block sms %}}{template}{{% endblock %}}"}, "en")
    return rendered(message, "sms", "en", variables)


@given(ids, ids, st.integers(0, 15))
def test_a_token_says_which_link_it_is_to_whoever_knows_the_secret(
    who: int, message: int, index: int
) -> None:
    token = sign(Link(who, message, index), SECRET)
    assert token.isascii()
    assert token.isalnum()
    assert read(token, SECRET) == Link(who, message, index)
    assert read(token, b"another secret of sixteen octets") is None


def test_a_token_of_our_day_is_short() -> None:
    assert len(sign(Link(40_000_000, 1 << 62, 3), SECRET)) <= 23


def test_no_changed_token_is_read() -> None:
    token = sign(Link(77, 1 << 61, 1), SECRET)
    chance = random.Random(1)
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for at in range(len(token)):
        for _ in range(20):
            changed = token[:at] + chance.choice(letters) + token[at + 1 :]
            assert changed == token or read(changed, SECRET) is None


@given(st.text(max_size=60))
def test_any_text_is_a_token_or_is_not(text: str) -> None:
    assert read(text, SECRET) is None


def test_a_message_remembers_its_links_and_says_them_as_they_are() -> None:
    content = said("Look: {{ link('https://a.example/x') }} or {{ link('https://b.example') }}")
    assert content.text == "Look: https://a.example/x or https://b.example"
    assert content.links == ("https://a.example/x", "https://b.example")


def test_a_short_address_takes_the_place_of_each_link_and_of_nothing_else() -> None:
    content = said(
        "{{ link('https://a.example/x') }}，{{ link('https://a.example/x?y=1') }}. "
        "Not https://a.example/xy nor https://c.example"
    )
    out = tracked(content, SITE, 7, 1 << 60, SECRET)
    first, second = (f"{SITE}/l/{sign(Link(7, 1 << 60, i), SECRET)}" for i in (0, 1))
    assert out.text == f"{first}，{second}. Not https://a.example/xy nor https://c.example"
    assert out.links == content.links


def test_the_same_address_twice_is_one_link() -> None:
    content = said("{{ link('https://a.example') }} {{ link('https://a.example') }}")
    assert content.links == ("https://a.example",)


@pytest.mark.parametrize(
    "url", ["", "a.example", "javascript:alert(1)", "https://a b", "https://x\n", "ftp://x"]
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(RenderError, match="no web address"):
        said("{{ link(subscriber) }}", subscriber=f"x{url}" if url == "https://x\n" else url)


def test_a_message_has_at_most_so_many_links() -> None:
    links = Links()
    for number in range(MOST):
        links(f"https://a.example/{number}")
    with pytest.raises(RenderError, match="more than 16 links"):
        links("https://a.example/more")
