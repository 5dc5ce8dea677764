"""The preview as an author sees it, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.chromium import CHROMIUM, opened
from tests.web.test_preview import WELCOME, looking, save
from tests.web.test_preview import folder as folder  # a fixture

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

SAID = "document.querySelector('main').innerText"


async def test_what_is_saved_shows_without_a_reload(folder: Path) -> None:
    async with looking(folder) as browser:
        url = str(browser.server.make_url("/?message=hello/welcome"))
        async with opened(url) as page:
            await page.until(f"{SAID}.includes('good to have you')")
            await page.value("window.same = true")
            save(folder / WELCOME, "{% block sms %}It’s {{ subscriber.name }}{% endblock %}")
            await page.until(f"{SAID}.includes('It’s Ann')")
            assert "UCS-2 because of ’" in await page.value(SAID)
            assert "who lacks subscriber.name gets nothing by sms" in await page.value(SAID)
            assert await page.value("document.querySelectorAll('.card.fresh').length") > 0
            save(folder / WELCOME, "{% block sms %}\n{{ subscriber.name }{% endblock %}")
            await page.until(f"{SAID}.includes('{WELCOME}:2:20')")
            assert await page.value("document.querySelectorAll('.stale .phone').length") > 0
            assert await page.value("window.same") is True
            assert page.complaints == []


async def test_a_journey_is_drawn_and_leads_to_its_messages_in_the_readers_language(
    folder: Path,
) -> None:
    async with looking(folder) as browser:
        url = str(browser.server.make_url("/?journey=hello"))
        async with opened(url, "zh-CN") as page:
            await page.until("document.querySelector('main svg .send .box') !== null")
            assert await page.value("document.querySelector('#index h2').innerText") == "旅程"
            filled = "getComputedStyle(document.querySelector('main svg .paper')).fill"
            assert await page.value(filled) == "rgb(255, 255, 255)"
            await page.value(
                "document.querySelector('main svg a[href=\"?message=hello/welcome\"] text')"
                ".dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}))"
            )
            await page.until("document.querySelector('main .phone') !== null")
            assert await page.value("location.search") == "?message=hello/welcome"
            assert page.complaints == []
