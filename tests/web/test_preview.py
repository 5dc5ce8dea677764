"""The preview's page: it follows what is saved in the folder."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestServer

from orchestrator.core.errors import OutreachError
from orchestrator.project import shipped
from orchestrator.web import preview as module
from orchestrator.web.preview import create_preview
from orchestrator.web.preview_folder import Folder

PAGE = Path(module.__file__).parent / "preview_page"
WELCOME = "templates/hello/welcome.en.j2"
PNG = Path(__file__).parents[2] / "templates/seven-days/gift.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The starter project, of the test's own."""
    for name, text in shipped.starter().items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def save(path: Path, text: str | bytes) -> None:
    """The file says this, at once."""
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(text.encode() if isinstance(text, str) else text)
    fresh.replace(path)


class Browser:
    """Looks at a running preview."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session

    async def get(self, path: str, **options: Any) -> aiohttp.ClientResponse:
        return await self.session.get(self.server.make_url(path), **options)

    async def json(self, path: str) -> Any:
        return await (await self.get(path)).json()

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[int]]:
        """The numbers of the readings, as an open page hears of them."""
        async with self.session.get(self.server.make_url("/changes")) as answer:
            assert answer.content_type == "text/event-stream"
            yield self._numbers(answer)

    async def _numbers(self, answer: aiohttp.ClientResponse) -> AsyncIterator[int]:
        async for line in answer.content:
            if line.startswith(b"data: "):
                yield int(line[6:])


@asynccontextmanager
async def looking(folder: Path, **options: Any) -> AsyncIterator[Browser]:
    server = TestServer(create_preview(Folder(folder), **options))
    await server.start_server()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session:
        try:
            yield Browser(server, session)
        finally:
            await asyncio.wait_for(server.close(), 10)


async def test_the_index_has_every_message_and_journey(folder: Path) -> None:
    async with looking(folder) as browser:
        index = await browser.json("/index")
    assert [it["name"] for it in index["journeys"]] == ["hello"]
    assert {"hello/welcome", "bot/help"} <= {it["name"] for it in index["messages"]}
    assert index["project"] == "my-project"
    assert index["findings"] == []


async def test_an_open_page_hears_of_what_is_saved_and_gets_it(folder: Path) -> None:
    async with looking(folder) as browser, browser.changes() as numbers:
        assert await anext(numbers) == 0
        told = await browser.json("/messages/hello/welcome")
        assert told["preview"]["locales"] == ["en"]
        save(folder / WELCOME, "{% block sms %}Good morning{% endblock %}")
        number = await anext(numbers)
        told = await browser.json("/messages/hello/welcome")
        assert told["number"] >= number > 0
        (shown,) = told["preview"]["shown"]
        assert shown["content"]["text"] == "Good morning"
        assert shown["sms"]["parts"] == ["Good morning"]


async def test_a_mistake_stands_on_the_page_with_its_line_and_goes_when_it_is_mended(
    folder: Path,
) -> None:
    async with looking(folder) as browser, browser.changes() as numbers:
        await anext(numbers)
        save(folder / WELCOME, "{% block sms %}\n{{ subscriber.name }{% endblock %}")
        await anext(numbers)
        told = (await browser.json("/messages/hello/welcome"))["preview"]
        assert told["shown"] == []
        (found,) = told["findings"]
        assert (found["mark"]["file"], found["mark"]["line"]) == (WELCOME, 2)
        assert found["severity"] == "error"
        assert found["hint"]
        index = await browser.json("/index")
        assert [it["errors"] for it in index["messages"] if it["name"] == "hello/welcome"] == [1]
        save(folder / WELCOME, "{% block sms %}Hello{% endblock %}")
        await anext(numbers)
        assert (await browser.json("/messages/hello/welcome"))["preview"]["findings"] == []


async def test_what_cannot_be_read_at_all_leaves_the_last_that_could(folder: Path) -> None:
    async with looking(folder) as browser, browser.changes() as numbers:
        await anext(numbers)
        save(folder / WELCOME, b"{% block sms %}\xff\xfe{% endblock %}")
        await anext(numbers)
        assert (await browser.json("/messages/hello/welcome"))["preview"]["shown"]
        (found,) = (await browser.json("/index"))["findings"]
        assert found["message"] == "this is not UTF-8"


async def test_a_journey_is_drawn_with_links_to_its_messages(folder: Path) -> None:
    async with looking(folder) as browser:
        drawn = await browser.json("/journeys/hello")
        assert 'href="?message=hello/welcome"' in drawn["picture"]
        assert "style" not in drawn["picture"]
        assert drawn["messages"] == ["hello/welcome", "hello/question"]
        nothing = await browser.json("/journeys/nothing")
        assert "picture" not in nothing or nothing["picture"] == ""


async def test_a_broken_journey_says_what_is_wrong(folder: Path) -> None:
    (folder / "journeys/hello.yaml").write_text("journey: hello\nstep: []\n")
    async with looking(folder) as browser:
        found = (await browser.json("/journeys/hello"))["findings"]
    assert {it["mark"]["file"] for it in found} == {"journeys/hello.yaml"}


async def test_a_message_that_is_not_there_is_said_to_be_missing(folder: Path) -> None:
    async with looking(folder) as browser:
        told = await browser.json("/messages/hello/nothing")
        assert told["preview"] is None
        assert "no message hello/nothing" in told["missing"]


async def test_pictures_are_the_projects_only(folder: Path) -> None:
    (folder / "templates/gift.png").write_bytes(PNG.read_bytes())
    blocks = "{% block mms_text %}Hi{% endblock %}{% block mms_image %}gift.png{% endblock %}"
    save(folder / WELCOME, blocks)
    async with looking(folder) as browser:
        (shown,) = (await browser.json("/messages/hello/welcome"))["preview"]["shown"]
        digest = shown["picture"]["hash"]
        answer = await browser.get(f"/wall/pictures/project/{digest}")
        assert answer.content_type == "image/png"
        assert await answer.read() == PNG.read_bytes()
        for wrong in ("0" * 64, "..%2F..%2Fjourneys%2Fhello.yaml", "gift.png"):
            assert (await browser.get(f"/wall/pictures/project/{wrong}")).status == 404


async def test_the_page_and_all_its_parts_come_with_a_strict_policy(folder: Path) -> None:
    async with looking(folder) as browser:
        page = await (await browser.get("/")).text()
        parts = re.findall(r'(?:href|src)="((?:wall|preview)/[^"]+)"', page)
        assert len(parts) >= 5
        for path in ["", *parts, *(f"preview/{it.name}" for it in PAGE.glob("*.js"))]:
            answer = await browser.get(f"/{path}")
            assert answer.status == 200, path
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
        for path in ("/preview/preview.py", "/preview/..%2Fpreview.py", "/wall/nothing.js"):
            assert (await browser.get(path)).status == 404


async def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    for part in PAGE.iterdir():
        text = part.read_text()
        assert not re.findall(r"""(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}""", text), part.name
        assert " style=" not in text
        assert "innerHTML" not in text


async def test_only_this_machine_looks_unless_everybody_may(folder: Path) -> None:
    async with looking(folder) as browser:
        for headers in ({"Host": "preview.example"}, {"Origin": "http://elsewhere.example"}):
            assert (await browser.get("/index", headers=headers)).status == 403
    async with looking(folder, everybody=True) as browser:
        assert (await browser.get("/index", headers={"Host": "preview.example"})).status == 200


async def test_a_server_that_ends_lets_its_open_pages_go(folder: Path) -> None:
    async with looking(folder) as browser, browser.changes() as numbers:
        await anext(numbers)
        await asyncio.wait_for(browser.server.close(), 10)
        with pytest.raises(StopAsyncIteration):
            await anext(numbers)


async def test_what_is_saved_before_anybody_watches_is_seen(folder: Path) -> None:
    early = Folder(folder)
    save(folder / WELCOME, "{% block sms %}Early{% endblock %}")
    async with early.watched():
        assert (await early.after(0)).draft.files[WELCOME] == "{% block sms %}Early{% endblock %}"


async def test_a_save_that_changes_nothing_is_no_reading(folder: Path) -> None:
    same = Folder(folder)
    save(folder / WELCOME, (folder / WELCOME).read_text())
    await same.read()
    assert same.now.number == 0


def test_a_folder_without_a_project_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutreachError, match="not a project"):
        Folder(tmp_path)
